//! Each channel's documented contract. The rule and its source stand on the line or above it.

use serde_json::{Value, json};
use sysalert_http::testing::{Act, Heard};

use super::contract::{Contract, fence, keeps_the_end, posted, rule, text, utf16};

pub(super) const CONTRACTS: &[Contract] =
    &[SLACK, DISCORD, MATTERMOST, TEAMS, GOOGLECHAT, NTFY, GOTIFY, MATRIX, PUSHOVER, PAGERDUTY, HEALTHCHECKS];

const SLACK: Contract = Contract {
    name: "slack",
    path: "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    keys: &[],
    check: |heard| {
        let json = posted(heard, SLACK.path)?;
        let (line, block) = (text(&json, "/text")?, text(&json, "/attachments/0/blocks/0/text/text")?);
        // https://docs.slack.dev/messaging/formatting-message-text#escaping: & < > are control characters
        let acts = |text: &str| {
            let plain = ["&amp;", "&lt;", "&gt;"].iter().fold(text.to_owned(), |text, entity| text.replace(entity, ""));
            plain.contains(['<', '>', '&'])
        };
        rule(!acts(line) && !acts(block), "control characters")?;
        // https://docs.slack.dev/messaging/formatting-message-text#disabling-formatting; the SDK's type has the same words:
        // "Disable Slack markup parsing by setting to false" (ChatPostMessageArguments)
        rule(json["mrkdwn"] == false && !line.contains('\n'), "the line has markup")?;
        rule(json["attachments"][0]["blocks"][0]["type"] == "section", "block type")?;
        // the text object's page: without it channels' names and the like become links
        rule(json["attachments"][0]["blocks"][0]["text"]["verbatim"] == true, "verbatim")?;
        // https://docs.slack.dev/reference/block-kit/composition-objects/text-object: "maximum length is 3000 characters"
        rule(utf16(block) <= 3000, "invalid_blocks")?;
        let (before, inside) = fence(block)?;
        rule(before.is_empty() && keeps_the_end(inside), "the block")
    },
    // https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks: "ok"
    taken: |_| Act::say(200, "ok"),
    // https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks
    broken: |rule| Act::say(400, format!("invalid_payload {rule}")),
    // https://docs.slack.dev/apis/web-api/rate-limits: 429 with Retry-After
    limited: (|| Act::say(429, "rate_limited").with("Retry-After: 30"), Some(30)),
    // the changelog above
    revoked: (|| Act::say(410, "channel_is_archived"), "(410 channel_is_archived): check the address"),
};

const DISCORD: Contract = Contract {
    name: "discord",
    path: "/api/webhooks/223704706495545344/3d89bb7572e0fb30d8128367b3b1b44fecd1726de135cbe28a41f8b2f777c372ba2939e7",
    keys: &[],
    check: |heard| {
        // https://discord.com/developers/docs/resources/webhook#execute-webhook: wait
        let json = posted(heard, &format!("{}?wait=true", DISCORD.path))?;
        let (content, description) = (text(&json, "/content")?, text(&json, "/embeds/0/description")?);
        // the same page: content has up to 2,000 characters
        rule(utf16(content) <= 2000, "BASE_TYPE_MAX_LENGTH content")?;
        // https://discord.com/developers/docs/resources/message#embed-object-embed-limits: 4,096 and 6,000 in all
        rule(utf16(description) <= 4096 && utf16(description) <= 6000, "BASE_TYPE_MAX_LENGTH description")?;
        rule(json["embeds"][0]["color"].as_u64().is_some_and(|colour| colour <= 0xff_ffff), "color")?;
        // https://discord.com/developers/docs/resources/message#allowed-mentions-object: an empty list suppresses all
        rule(json["allowed_mentions"]["parse"] == json!([]), "mentions")?;
        let naked = content.replace("\\\\", "").replace(['\n'], "");
        let acts = |c| naked.match_indices(c).any(|(at, _)| at == 0 || !naked[..at].ends_with('\\'));
        rule(!['*', '_', '`', '~', '|', '<'].into_iter().any(acts), "the line has markup")?;
        let (before, inside) = fence(description)?;
        rule(before.is_empty() && keeps_the_end(inside), "the description")
    },
    // with wait the message: https://discord.com/developers/docs/resources/webhook#execute-webhook
    taken: |_| Act::say(200, r#"{"id": "334385199974967042", "type": 0}"#),
    // https://discord.com/developers/docs/reference#error-messages
    broken: |rule| {
        Act::say(400, json!({"code": 50035, "message": format!("Invalid Form Body: {rule}"), "errors": {}}).to_string())
    },
    // https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit-rate-limit-response-structure, its example:
    // "The number of seconds to wait", a fraction in the body alone
    limited: (
        || {
            Act::say(429, r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}"#)
                .with("Retry-After: 64")
        },
        Some(65),
    ),
    // https://discord.com/developers/docs/topics/opcodes-and-status-codes#json: 10015
    revoked: (|| Act::say(404, r#"{"message": "Unknown Webhook", "code": 10015}"#), "(404 Unknown Webhook): check the address"),
};

const MATTERMOST: Contract = Contract {
    name: "mattermost",
    path: "/hooks/xxxgeneratedkeyxxx",
    keys: &[],
    check: |heard| {
        let json = posted(heard, MATTERMOST.path)?;
        // https://developers.mattermost.com/integrate/webhooks/incoming/: text is required
        let text = text(&json, "/text")?;
        // PostMessageMaxRunesV2 in https://github.com/mattermost/mattermost/blob/master/server/public/model/post.go
        rule(text.chars().count() <= 16_383, "too long: it would be split")?;
        // https://docs.mattermost.com/collaborate/mention-people.html: @all, @channel, @here, @user
        // expandAnnouncement and replaceUserIds in https://github.com/mattermost/mattermost/blob/master/server/channels/app/slack.go:
        // before anybody looks for mentions <!here> becomes @here, and <@ID> a user's name
        let calls = |begin: &str| text.split(begin).skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()));
        rule(!calls("<!") && !calls("<@"), "mentions in Slack's way")?;
        // checkForMention in mention_parser_standard.go beside it: in letters of any case
        let lower = text.to_lowercase();
        rule(!["@all", "@channel", "@here"].iter().any(|word| lower.contains(word)), "mentions")?;
        let (before, inside) = fence(text)?;
        rule(before.starts_with("#### ") && before.trim().lines().count() == 1, "a heading of one line")?;
        rule(!before.replace("@\u{200b}", "").contains('@'), "mentions")?;
        rule(keeps_the_end(inside), "the end of the log")
    },
    taken: |_| Act::say(200, "ok"),
    broken: |rule| Act::say(400, json!({"id": "web.incoming_webhook", "message": rule, "status_code": 400}).to_string()),
    // https://developers.mattermost.com/api-documentation/#/#rate-limiting: no Retry-After
    limited: (|| Act::say(429, "limit exceeded").with("X-Ratelimit-Reset: 1"), None),
    revoked: (
        || {
            Act::say(
                400,
                r#"{"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook.", "status_code": 400}"#,
            )
        },
        "(400 Invalid webhook.): check the method's section",
    ),
};

const TEAMS: Contract = Contract {
    name: "teams",
    path: "/workflows/0123456789abcdef/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abcdefghijklmnop",
    keys: &[],
    check: |heard| {
        let json = posted(heard, TEAMS.path)?;
        // https://learn.microsoft.com/connectors/teams/#known-issues-and-limitations-with-actions: about 28 KB. What is measured is
        // the message that the workflow makes, in which the card is a text: https://github.com/MicrosoftDocs/msteams-docs/issues/11274
        // (24,453 bytes were called: "Actual message properties size: 28897 bytes, whereas max allowed size is 28672 bytes")
        rule(Value::from(json.to_string()).to_string().len() <= 28_672, "MessageSizeExceeded")?;
        // https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using#send-adaptive-cards-using-an-incoming-webhook
        rule(json["type"] == "message", "type")?;
        rule(json["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive", "contentType")?;
        let card = &json["attachments"][0]["content"];
        rule(card["type"] == "AdaptiveCard" && card["version"].is_string(), "card")?;
        let body = card["body"].as_array().ok_or("no body")?;
        let mut shown = String::new();
        for block in body {
            // https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features: no Markdown in a RichTextBlock
            rule(block["type"] == "RichTextBlock" && block["inlines"][0]["type"] == "TextRun", "block")?;
            let run = block["inlines"][0]["text"].as_str().unwrap_or_default();
            rule(!run.is_empty() && !run.contains('\n'), "a run is a line")?;
            // the same page: {{DATE(...)}} and {{TIME(...)}} are replaced
            rule(!run.contains("{{DATE") && !run.contains("{{TIME"), "functions")?;
            shown += run;
        }
        rule(body.len() >= 2 && keeps_the_end(&shown), "the end of the log")
    },
    // https://learn.microsoft.com/azure/connectors/connectors-native-reqres: without a response action 202
    taken: |_| Act::say(202, ""),
    broken: |rule| Act::say(400, json!({"error": {"code": "TriggerInputSchemaMismatch", "message": rule}}).to_string()),
    limited: (
        || Act::say(429, r#"{"error": {"code": "WorkflowTriggerQueueLimit", "message": "wait"}}"#).with("Retry-After: 12"),
        Some(12),
    ),
    revoked: (
        || {
            Act::say(
                401,
                r#"{"error": {"code": "DirectApiAuthorizationRequired", "message": "The request must be authenticated"}}"#,
            )
        },
        "(401 The request must be authenticated): check the key or token",
    ),
};

const GOOGLECHAT: Contract = Contract {
    name: "googlechat",
    path: "/v1/spaces/AAAAAAAAAAA/messages?key=AIzaSyDdI0hCZtE6vySjMmWEfRq3CPzqKqqsHI&token=abcdefghijkl",
    keys: &[],
    check: |heard| {
        // https://developers.google.com/workspace/chat/quickstart/webhooks: key and token stay
        let (path, id) = heard.target.rsplit_once("&requestId=").ok_or("no requestId")?;
        rule(path == GOOGLECHAT.path && !id.is_empty(), "address")?;
        let json = posted(heard, &heard.target)?;
        // https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/create: "The maximum message size,
        // including the message contents, is 32,000 bytes"; with a known requestId it "returns the message created with that ID"
        rule(heard.body.len() <= 32_000, "message too long")?;
        let text = text(&json, "/text")?;
        // https://developers.google.com/workspace/chat/format-messages: <users/all>, <https://...|...>
        rule(!["<u", "<h", "<m"].iter().any(|link| text.contains(link)), "mentions and links")?;
        let (before, inside) = fence(text)?;
        rule(before.trim().lines().count() == 1 && keeps_the_end(inside), "the text")
    },
    taken: |_| Act::say(200, r#"{"name": "spaces/AAAAAAAAAAA/messages/x.x", "text": "..."}"#),
    // https://cloud.google.com/apis/design/errors#http_mapping
    broken: |rule| Act::say(400, json!({"error": {"code": 400, "message": rule, "status": "INVALID_ARGUMENT"}}).to_string()),
    // https://developers.google.com/workspace/chat/limits
    limited: (
        || Act::say(429, r#"{"error": {"code": 429, "message": "Resource has been exhausted", "status": "RESOURCE_EXHAUSTED"}}"#),
        None,
    ),
    revoked: (
        || {
            Act::say(
                403,
                r#"{"error": {"code": 403, "message": "The caller does not have permission", "status": "PERMISSION_DENIED"}}"#,
            )
        },
        "(403 The caller does not have permission): check the key or token",
    ),
};

const NTFY: Contract = Contract {
    name: "ntfy",
    path: "/sysalert-Zb7kQ2",
    keys: &[("token", "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2")],
    check: |heard| {
        // https://docs.ntfy.sh/publish/#publish-as-json: to the root, with the topic in it
        let json = posted(heard, "/")?;
        // https://docs.ntfy.sh/publish/#access-tokens
        rule(heard.header("authorization") == format!("Bearer {}", NTFY.keys[0].1), "unauthorized")?;
        // server.go: transformBodyJSON reads twice the message's limit, topicRegex
        rule(heard.body.len() <= 8192, "request body too large")?;
        rule(json["topic"] == "sysalert-Zb7kQ2", "invalid topic")?;
        // https://docs.ntfy.sh/publish/#limitations: at 4,096 bytes it becomes an attachment
        let message = text(&json, "/message")?;
        rule(message.len() < 4096, "attachments not allowed")?;
        text(&json, "/title")?;
        // https://docs.ntfy.sh/publish/#message-priority
        rule(json["priority"].as_u64().is_some_and(|priority| (1..=5).contains(&priority)), "invalid priority")?;
        rule(json["tags"].as_array().is_some_and(|tags| tags.iter().all(Value::is_string)), "invalid tags")?;
        rule(keeps_the_end(message), "the end of the log")
    },
    // https://docs.ntfy.sh/subscribe/api/#json-message-format
    taken: |_| Act::say(200, r#"{"id": "sPs71M8A2T", "time": 1643935928, "event": "message", "topic": "t", "message": "m"}"#),
    // https://github.com/binwiederhier/ntfy/blob/main/server/errors.go
    broken: |rule| Act::say(400, json!({"code": 40024, "http": 400, "error": rule}).to_string()),
    limited: (|| Act::say(429, r#"{"code": 42901, "http": 429, "error": "limit reached: too many requests"}"#), None),
    revoked: (
        || Act::say(403, r#"{"code": 40301, "http": 403, "error": "forbidden"}"#),
        "(403 forbidden): check the key or token",
    ),
};

const GOTIFY: Contract = Contract {
    name: "gotify",
    path: "/gotify/",
    keys: &[("token", "AyYpQzJlJ0rJ6uE")],
    check: |heard| {
        // https://gotify.net/api-docs: createMessage
        let json = posted(heard, "/gotify/message")?;
        rule(heard.header("x-gotify-key") == GOTIFY.keys[0].1, "you need to provide a valid access token")?;
        let message = text(&json, "/message")?;
        text(&json, "/title")?;
        rule(json["priority"].is_i64(), "priority")?;
        // https://gotify.net/docs/msgextras: namespaces with objects
        rule(json["extras"]["client::display"]["contentType"] == "text/plain", "extras")?;
        rule(keeps_the_end(message), "the end of the log")
    },
    taken: |_| Act::say(200, r#"{"id": 25, "appid": 5, "message": "m", "title": "t", "priority": 8}"#),
    broken: |rule| Act::say(400, json!({"error": "Bad Request", "errorCode": 400, "errorDescription": rule}).to_string()),
    // Gotify has no limit, but the proxy before it may have one
    limited: (|| Act::say(429, "<html>429 Too Many Requests</html>").with("Retry-After: 3"), Some(3)),
    revoked: (
        || {
            Act::say(
                401,
                r#"{"error": "Unauthorized", "errorCode": 401, "errorDescription": "you need to provide a valid access token"}"#,
            )
        },
        "(401 Unauthorized: you need to provide a valid access token): check the key or token",
    ),
};

const MATRIX: Contract = Contract {
    name: "matrix",
    path: "/",
    keys: &[("token", "syt_c3lzYWxlcnQ_abcdefghijklmnop"), ("room", "!jEsUZKDJdhlrceRyVU:example.org")],
    check: |heard| {
        // https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
        rule(heard.method == "PUT", "M_UNRECOGNIZED")?;
        let path = "/_matrix/client/v3/rooms/!jEsUZKDJdhlrceRyVU:example.org/send/m.room.message/";
        let transaction = heard.target.strip_prefix(path).ok_or_else(|| format!("M_UNRECOGNIZED {}", heard.target))?;
        rule(!transaction.is_empty() && !transaction.contains('/'), "M_UNRECOGNIZED")?;
        rule(heard.header("authorization") == format!("Bearer {}", MATRIX.keys[0].1), "M_MISSING_TOKEN")?;
        let json: Value = serde_json::from_slice(&heard.body).map_err(|_| "M_NOT_JSON")?;
        // https://spec.matrix.org/latest/client-server-api/#size-limits: 65,536 bytes with what the servers add
        rule(heard.body.len() <= 60_000, "M_TOO_LARGE")?;
        rule(json["msgtype"] == "m.text" && json["format"] == "org.matrix.custom.html", "M_BAD_JSON")?;
        // https://spec.matrix.org/latest/client-server-api/#user-and-room-mentions: empty, it calls nobody
        rule(json["m.mentions"] == json!({}), "mentions")?;
        let (plain, html) = (text(&json, "/body")?, text(&json, "/formatted_body")?);
        let bare = ["<strong>", "</strong><pre><code>", "</code></pre>"]
            .iter()
            .fold(html.to_owned(), |html, tag| html.replacen(tag, "", 1));
        rule(!bare.contains(['<', '>']) && html.ends_with("</code></pre>"), "broken HTML")?;
        rule(keeps_the_end(plain) && keeps_the_end(html), "the end of the log")
    },
    taken: |_| Act::say(200, r#"{"event_id": "$YUwRidLecu:example.org"}"#),
    // https://spec.matrix.org/latest/client-server-api/#standard-error-response
    broken: |rule| Act::say(400, json!({"errcode": "M_BAD_JSON", "error": rule}).to_string()),
    // https://spec.matrix.org/latest/client-server-api/#rate-limiting
    limited: (
        || Act::say(429, r#"{"errcode": "M_LIMIT_EXCEEDED", "error": "Too many requests", "retry_after_ms": 2500}"#),
        Some(3),
    ),
    revoked: (
        || Act::say(401, r#"{"errcode": "M_UNKNOWN_TOKEN", "error": "Unrecognised access token"}"#),
        "(401 M_UNKNOWN_TOKEN: Unrecognised access token): check the key or token",
    ),
};

const PUSHOVER: Contract = Contract {
    name: "pushover",
    path: "/1/messages.json",
    keys: &[("token", "azGDORePK8gMaC0QOYAMyEEuzJnyUi"), ("user", "uQiRzpo4DXghDmr9QzzfQu27cmVRsG")],
    check: |heard| {
        rule(heard.method == "POST" && heard.target == PUSHOVER.path, "not found")?;
        rule(heard.header("content-type") == "application/x-www-form-urlencoded", "content type")?;
        let field = |name: &str| {
            let found = form_urlencoded::parse(&heard.body).find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        // https://pushover.net/api#messages: token, user and message are required
        rule(field("token") == PUSHOVER.keys[0].1, "application token is invalid")?;
        rule(field("user") == PUSHOVER.keys[1].1, "user identifier is not a valid user, group, or subscribed user key")?;
        rule(!field("message").trim().is_empty(), "message cannot be blank")?;
        // https://pushover.net/api#limits
        rule(field("message").chars().count() <= 1024, "message is too long")?;
        rule(field("title").chars().count() <= 250, "title is too long")?;
        // https://pushover.net/api#priority: 2 needs retry and expire
        rule(["-2", "-1", "0", "1"].contains(&field("priority").as_str()), "priority is invalid")?;
        rule(keeps_the_end(&field("message")), "the end of the log")
    },
    // https://pushover.net/api#response
    taken: |_| Act::say(200, r#"{"status": 1, "request": "647d2300-702c-4b38-8b2f-d56326ae460b"}"#),
    broken: |rule| Act::say(400, json!({"errors": [rule], "status": 0, "request": "5042853c"}).to_string()),
    // https://pushover.net/api#limits: 429 when the month's messages are used up
    limited: (|| Act::say(429, r#"{"errors": ["application has exceeded its monthly limit"], "status": 0}"#), None),
    revoked: (
        || Act::say(400, r#"{"token": "invalid", "errors": ["application token is invalid"], "status": 0}"#),
        "(400 application token is invalid): check the method's section",
    ),
};

const PAGERDUTY: Contract = Contract {
    name: "pagerduty",
    path: "/v2/enqueue",
    keys: &[("token", "samplekeyheresamplekeyheresample")],
    check: |heard| {
        // https://github.com/PagerDuty/developer-docs/blob/main/docs/events-API-v2/02-Trigger-Events.md, all but the size
        let json = posted(heard, PAGERDUTY.path)?;
        rule(json["routing_key"].as_str().is_some_and(|key| key.len() == 32), "Invalid routing key")?;
        let action = json["event_action"].as_str().unwrap_or_default();
        rule(["trigger", "acknowledge", "resolve"].contains(&action), "event_action")?;
        rule(text(&json, "/dedup_key")?.chars().count() <= 255, "dedup_key")?;
        rule(text(&json, "/payload/summary")?.chars().count() <= 1024, "summary")?;
        text(&json, "/payload/source")?;
        let severity = json["payload"]["severity"].as_str().unwrap_or_default();
        rule(["critical", "error", "warning", "info"].contains(&severity), "severity")?;
        rule(json["payload"]["custom_details"].is_object(), "custom_details")?;
        // 01-Overview.md beside it: 512 KB
        rule(heard.body.len() <= 512_000, "too large")?;
        rule(keeps_the_end(text(&json, "/payload/custom_details/text")?), "the end of the log")
    },
    // https://developer.pagerduty.com/api-reference/368ae3d938c9e-send-an-event-to-pager-duty
    taken: |heard| {
        let key = heard.json()["dedup_key"].clone();
        Act::say(202, json!({"status": "success", "message": "Event processed", "dedup_key": key}).to_string())
    },
    broken: |rule| {
        Act::say(400, json!({"status": "invalid event", "message": "Event object is invalid", "errors": [rule]}).to_string())
    },
    // 01-Overview.md: retry after some time
    limited: (
        || Act::say(429, r#"{"status": "throttle exceeded", "message": "Requests for this service are arriving too quickly"}"#),
        None,
    ),
    revoked: (
        || {
            Act::say(
                400,
                r#"{"status": "invalid event", "message": "Event object is invalid", "errors": ["Invalid routing key"]}"#,
            )
        },
        "(400 Event object is invalid: Invalid routing key): check the method's section",
    ),
};

/// The call, as a test looks at it.
pub(super) fn json(heard: &Heard) -> Value {
    heard.json()
}

const HEALTHCHECKS: Contract = Contract {
    name: "healthchecks",
    path: "/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278",
    keys: &[],
    // https://healthchecks.io/docs/http_api/
    check: |heard| {
        rule(matches!(heard.method.as_str(), "HEAD" | "GET" | "POST"), "method")?;
        let rest = heard.target.strip_prefix(HEALTHCHECKS.path).ok_or("not found")?;
        rule(matches!(rest, "" | "/start" | "/fail" | "/log"), "not found")?;
        // a body is kept "if it looks like a UTF-8 string", its first 100 kB; 10 kB by a server of one's own
        let body = std::str::from_utf8(&heard.body).map_err(|_| "the body is no text")?;
        rule(body.len() <= 10_000 && !body.is_empty(), "the body's length")?;
        rule(keeps_the_end(body), "the end of the log")
    },
    taken: |_| Act::say(200, "OK"),
    broken: |rule| Act::say(400, rule),
    limited: (|| Act::say(429, "rate limited"), None),
    // "200 OK (not found)": could not find a check with the specified UUID
    revoked: (|| Act::say(200, "OK (not found)"), "(200 OK (not found)): this is no answer of healthchecks: check `url`"),
};
