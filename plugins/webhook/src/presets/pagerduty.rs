//! PagerDuty, Events API v2. <https://github.com/PagerDuty/developer-docs/blob/main/docs/events-API-v2/02-Trigger-Events.md>
//!
//! Each incident is one alert there, which its recovery resolves, whether they are told alone or in a digest: of a digest each
//! incident is an event. A second try sends the same keys, and changes nothing.

use serde_json::{Value, json};
use sysalert_abi::{Beat, Incident, Kind, Level, Matter, Member, Parts, Request, characters, fit, lines, one_line, shorten};
use sysalert_http::{Call, Url};

use crate::preset::{Calls, Preset};
use crate::settings::secret;
use crate::words::{id, json_bytes, text, title};

/// "The maximum permitted length of this property is 1024 characters."
const SUMMARY: usize = 1024;
/// "The maximum permitted length of this property is 255 characters."
const DEDUP_KEY: usize = 255;
/// "Events API payloads are limited to 512 KB" (01-Overview.md beside it); nobody reads more than this of a page.
const DETAILS: usize = 60_000;
/// So many incidents of a digest are an event each: with more, a try would not end in time, nor would PagerDuty take 120 in a
/// minute. Then what failed is one event, which is resolved when nothing is open any more.
const MANY: usize = 40;

pub(crate) const PRESET: Preset = Preset {
    name: "pagerduty",
    needs: &["token"],
    takes: &[],
    url: Some("https://events.pagerduty.com/v2/enqueue"),
    secret_url: false,
    calls: Calls::Several(|section, url, request| {
        let key = secret(&section.token);
        events(request).iter().map(|event| call(key, url, request, event)).collect()
    }),
    is_own: |reply| reply.status() == 202 && reply.json()["status"] == "success",
    pause: |_| None,
};

/// One event.
struct Event<'a> {
    /// "Once an incident is resolved, it won't generate any additional notifications."
    resolves: bool,
    key: String,
    level: Level,
    summary: String,
    component: &'a str,
    text: String,
    /// When it happened, of a failure.
    at: Option<&'a str>,
}

/// The events of a message.
fn events(request: &Request) -> Vec<Event<'_>> {
    let mut events = match &request.incident {
        None if !request.incidents.is_empty() => of_digest(request),
        _ => of_one(request),
    };
    let ends = request.level() == Level::Well && request.open == 0;
    events.extend(ends.then(|| Event { resolves: true, key: key(request, "storm"), ..whole(request) }));
    events
}

/// Of a digest.
fn of_digest(request: &Request) -> Vec<Event<'_>> {
    if request.incidents.len() <= MANY {
        return request.incidents.iter().map(|member| of_member(member, request)).collect();
    }
    // those of the lowest numbers were told alone, before there were many
    let recovered = request.incidents.iter().filter(|member| member.kind == Kind::Recovery).take(MANY);
    let resolves = recovered.map(|member| of_member(member, request));
    let failed = (request.level() > Level::Well).then(|| Event { key: key(request, "storm"), ..whole(request) });
    failed.into_iter().chain(resolves).collect()
}

/// Of a message that is none.
fn of_one(request: &Request) -> Vec<Event<'_>> {
    let trigger = |key| Event { key, ..whole(request) };
    let resolve = |key| Event { resolves: true, key, ..whole(request) };
    if let Some(beat) = request.beat {
        let key = key(request, "heartbeat");
        return vec![if beat == Beat::Fail { trigger(key) } else { resolve(key) }];
    }
    let key = match (&request.incident, &request.matter) {
        (Some(incident), _) => incident_key(request, incident),
        (None, Some(Matter::Method { name })) => key(request, &format!("method/{name}")),
        (None, Some(Matter::Database)) => key(request, "database"),
        // it is over as soon as it has been seen
        (None, None) if request.kind == Kind::Test => return vec![trigger(key(request, "test")), resolve(key(request, "test"))],
        (None, None) => key(request, &id(request)),
    };
    vec![if request.kind == Kind::Recovery { resolve(key) } else { trigger(key) }]
}

/// What the whole message says, in an event without a key.
fn whole(request: &Request) -> Event<'_> {
    Event {
        resolves: false,
        key: String::new(),
        level: request.level(),
        summary: title(request, SUMMARY, characters),
        component: &request.service_name,
        text: text(request, DETAILS, json_bytes),
        at: request.failures.last().map(|failure| failure.timestamp.as_str()),
    }
}

/// What a digest says of one incident.
fn of_member<'a>(member: &'a Member, request: &Request) -> Event<'a> {
    let Parts { lead, facts, excerpt_title, excerpt, note, commands, .. } = &member.parts;
    let facts: Vec<String> = facts.iter().map(|fact| format!("{}: {}", fact.label, fact.value)).collect();
    let log = if excerpt.is_empty() { String::new() } else { format!("{excerpt_title}:\n{}", excerpt.join("\n")) };
    let blocks = [lead.clone(), facts.join("\n"), log, note.clone(), commands.join("\n")];
    let blocks: Vec<String> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
    let journal = lines(&excerpt.join("\n"));
    // all of them in one call's limit
    let text = fit(&lines(&blocks.join("\n\n")), &journal, DETAILS / 4, json_bytes);
    Event {
        resolves: member.kind == Kind::Recovery,
        key: incident_key(request, &member.incident),
        level: Level::of(member.kind, &member.incident.severity),
        summary: shorten(&one_line(&member.subject, usize::MAX), SUMMARY, characters),
        component: &member.service_name,
        text,
        at: member.failure.as_ref().map(|failure| failure.timestamp.as_str()),
    }
}

fn call(routing_key: &str, url: &Url, request: &Request, event: &Event<'_>) -> Call {
    let severity = match event.level {
        Level::Critical => "critical",
        Level::Warning => "warning",
        Level::Info | Level::Well => "info",
    };
    let filled = |text: &str| if text.trim().is_empty() { "(no text)".to_owned() } else { text.to_owned() };
    let mut payload = json!({
        "summary": filled(&event.summary),
        "source": if request.host.is_empty() { "sysalert" } else { request.host.as_str() },
        "severity": severity,
        "component": event.component,
        "custom_details": {"text": filled(&event.text)},
    });
    if let Some(at) = event.at.filter(|_| !event.resolves) {
        payload["timestamp"] = Value::from(at);
    }
    Call::post(url.clone()).secret(routing_key).json(&json!({
        "routing_key": routing_key,
        "event_action": if event.resolves { "resolve" } else { "trigger" },
        "dedup_key": event.key,
        "client": "sysalert",
        "payload": payload,
    }))
}

/// One alert for each incident of each host. Not by its number: a database that begins anew counts anew. To the second: the
/// journal, from which a lost one comes again, is not more exact.
fn incident_key(request: &Request, incident: &Incident) -> String {
    let began = incident.first_failure.split('.').next().unwrap_or_default().trim_end_matches('Z');
    let room = DEDUP_KEY / 2;
    key(request, &format!("{}/{began}Z", shorten(&incident.subject, room, characters)))
}

/// What belongs to this host.
fn key(request: &Request, what: &str) -> String {
    let host = shorten(&request.host, DEDUP_KEY.saturating_sub(characters(what) + 10), characters);
    shorten(&format!("sysalert/{host}/{what}"), DEDUP_KEY, characters)
}
