//! What a message is about, as variables of the program's environment.

use sysalert_abi::{Failure, Request, one_line};

use crate::settings::Settings;

/// No value needs more characters; the kernel takes 128 KiB.
const VALUE: usize = 4000;
/// Debian's default; the environment of a plugin has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The variables that have a value. In no value is a line's end or another control character, but in a secret's.
pub(crate) fn environment(request: &Request, settings: &Settings) -> Vec<(String, String)> {
    let newest = request.failures.last();
    let of_newest = |pick: fn(&Failure) -> &Option<String>| newest.and_then(|failure| pick(failure).clone());
    let incident = request.incident.as_ref();
    let facts = [
        ("KIND", Some(request.kind.as_str().to_owned())),
        ("MESSAGE", Some(request.message.subject.clone())),
        ("HOST", Some(request.host.clone())),
        ("UNIT", Some(request.service_name.clone())),
        ("SUBJECT", incident.map(|incident| incident.subject.clone())),
        ("SEVERITY", incident.map(|incident| incident.severity.clone())),
        ("INCIDENT", incident.map(|incident| incident.id.to_string())),
        ("FAILURES", incident.map(|incident| incident.failures.to_string())),
        ("SERVICE_RESULT", of_newest(|failure| &failure.service_result)),
        ("EXIT_CODE", of_newest(|failure| &failure.exit_code)),
        ("EXIT_STATUS", of_newest(|failure| &failure.exit_status)),
        ("INVOCATION_ID", of_newest(|failure| &failure.invocation_id)),
        ("IDEMPOTENCY_KEY", Some(request.idempotency_key.clone())),
        ("DEADLINE_MS", Some(request.deadline_ms.to_string())),
        ("TO", Some(settings.to.join(","))),
    ];
    let shown = |(name, value): (&str, Option<String>)| (format!("SYSALERT_{name}"), one_line(&value.unwrap_or_default(), VALUE));
    let mut environment = vec![("PATH".to_owned(), PATH.to_owned())];
    environment.extend(facts.into_iter().map(shown).filter(|(_, value)| !value.is_empty()));
    environment.extend(settings.secret.iter().map(|secret| ("SYSALERT_SECRET".to_owned(), secret.clone())));
    environment
}
