//! PagerDuty, Events API v2. <https://github.com/PagerDuty/developer-docs/blob/main/docs/events-API-v2/02-Trigger-Events.md>

use serde_json::json;
use sysalert_abi::{Kind, Request, characters, shorten};
use sysalert_http::Call;

use crate::preset::Preset;
use crate::settings::secret;
use crate::words::{Tone, id, json_bytes, text, title, tone};

/// "The maximum permitted length of this property is 1024 characters."
const SUMMARY: usize = 1024;
/// "The maximum permitted length of this property is 255 characters."
const DEDUP_KEY: usize = 255;
/// "Events API payloads are limited to 512 KB" (01-Overview.md beside it); nobody reads more than this of a page.
const DETAILS: usize = 60_000;

pub(crate) const PRESET: Preset = Preset {
    name: "pagerduty",
    needs: &["token"],
    takes: &[],
    url: Some("https://events.pagerduty.com/v2/enqueue"),
    secret_url: false,
    call: |section, url, request| {
        let severity = match tone(request) {
            Tone::Critical => "critical",
            Tone::Warning => "warning",
            Tone::Info | Tone::Well => "info",
        };
        let mut payload = json!({
            "summary": title(request, SUMMARY, characters),
            "source": if request.host.is_empty() { "sysalert" } else { request.host.as_str() },
            "severity": severity,
            "component": request.service_name,
            "custom_details": {"text": text(request, DETAILS, json_bytes)},
        });
        if let Some(failure) = request.failures.last().filter(|_| request.kind != Kind::Recovery) {
            payload["timestamp"] = json!(failure.timestamp);
        }
        let call = Call::post(url).secret(secret(&section.token)).json(&json!({
            "routing_key": secret(&section.token),
            // "Once an incident is resolved, it won't generate any additional notifications"
            "event_action": if request.kind == Kind::Recovery { "resolve" } else { "trigger" },
            "dedup_key": dedup_key(request),
            "client": "sysalert",
            "payload": payload,
        }));
        Ok(call)
    },
    is_own: |reply| reply.status() == 202 && reply.json()["status"] == "success",
    pause: |_| None,
};

/// One alert for each incident of each host. A database that begins anew counts anew, too: hence the time.
fn dedup_key(request: &Request) -> String {
    match &request.incident {
        Some(incident) => {
            let end = format!("/{}/{}", incident.id, incident.first_failure);
            let host = shorten(&request.host, DEDUP_KEY.saturating_sub(characters(&end) + 9), characters);
            shorten(&format!("sysalert/{host}{end}"), DEDUP_KEY, characters)
        }
        None => format!("sysalert/{}", id(request)),
    }
}
