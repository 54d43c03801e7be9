//! From the request to the fields of one entry, each as `NAME=value`.

use sysalert_abi::{Failure, Kind, Level, Request, lines, one_line};

/// The MESSAGE_ID of everything but a recovery, and a digest of nothing but recoveries. Never changes: others match on it.
const TROUBLE: &str = "5ebf820c63e14f2f935d623791f6c5e0";
/// The MESSAGE_ID of a recovery.
const RECOVERY: &str = "bf2087a53eea44e09f0504f2a299aa83";

/// `journalctl` shows three lines of an entry where it shortens, so what counts stands in these.
const LINES: usize = 2;
/// A digest is a list: it has more.
const DIGEST_LINES: usize = 40;
/// No field needs more characters.
const VALUE: usize = 1000;

/// The fields of the entry.
pub(crate) fn fields(request: &Request) -> Vec<String> {
    let newest = request.failures.last();
    let of_newest = |pick: fn(&Failure) -> &Option<String>| newest.and_then(|failure| pick(failure).clone());
    let incident = request.incident.as_ref();
    let id = if request.level() == Level::Well { RECOVERY } else { TROUBLE };
    let fields = [
        ("MESSAGE_ID", Some(id.into())),
        ("PRIORITY", Some(priority(request).to_string())),
        ("SYSLOG_IDENTIFIER", Some("sysalert".into())),
        ("SYSALERT_KIND", Some(request.kind.as_str().into())),
        ("SYSALERT_HOST", Some(request.host.clone())),
        ("SYSALERT_UNIT", Some(request.service_name.clone())),
        ("SYSALERT_SUBJECT", incident.map(|incident| incident.subject.clone())),
        ("SYSALERT_INCIDENT", incident.map(|incident| incident.id.to_string())),
        ("SYSALERT_FAILURES", incident.map(|incident| incident.failures.to_string())),
        ("SYSALERT_SERVICE_RESULT", of_newest(|failure| &failure.service_result)),
        ("SYSALERT_EXIT_CODE", of_newest(|failure| &failure.exit_code)),
        ("SYSALERT_EXIT_STATUS", of_newest(|failure| &failure.exit_status)),
        ("SYSALERT_INVOCATION_ID", of_newest(|failure| &failure.invocation_id)),
        ("SYSALERT_ALERT", Some(request.idempotency_key.clone())),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| value.map(|value| (name, one_line(&value, VALUE))));
    let mut entry = vec![format!("MESSAGE={}", lines(&message(request)))];
    entry.extend(given.filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}")));
    entry
}

/// syslog's level, as `journalctl -p` selects by it.
fn priority(request: &Request) -> u8 {
    const ERR: u8 = 3;
    const WARNING: u8 = 4;
    const NOTICE: u8 = 5;
    match request.level() {
        Level::Well | Level::Info => NOTICE,
        Level::Warning => WARNING,
        Level::Critical => ERR,
    }
}

/// The subject, and below it what the reader of `journalctl -t sysalert` needs to go on.
fn message(request: &Request) -> String {
    let mut message = vec![one_line(&request.message.subject, VALUE)];
    let most = if request.kind == Kind::Digest { DIGEST_LINES } else { LINES };
    let newest = request.failures.last().filter(|_| request.kind != Kind::Digest);
    match newest.and_then(|failure| failure.words().map(|words| (failure, words))) {
        Some((failure, words)) => {
            let count = request.incident.as_ref().map_or(1, |incident| incident.failures);
            let who = failure.triggered_by.as_ref().map(|unit| format!("; started by {unit}")).unwrap_or_default();
            let told = match request.kind {
                Kind::Recovery => format!("the last failure of {count} was {words}"),
                _ => format!("{words}; failure {count} of this incident{who}"),
            };
            message.push(one_line(&told, VALUE));
            // the command of the message that shows the run's lines; a recovery has none
            let mut commands = request.message.parts.commands.iter();
            let see = commands.find(|command| command.starts_with("journalctl ") && request.kind != Kind::Recovery);
            message.extend(see.map(|command| one_line(&format!("see: {command}"), VALUE)));
        }
        None => message.extend(request.message.gist(most).into_iter().map(|line| one_line(line, VALUE))),
    }
    message.join("\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The failure of backup.service on web1, with the commands that sysalert gives.
    pub(crate) fn request() -> Request {
        let mut request = sysalert_abi::testing::request(json!({}));
        let run = request.failures[0].invocation_id.clone().unwrap_or_default();
        let run = format!("journalctl _SYSTEMD_INVOCATION_ID={run} + INVOCATION_ID={run}");
        request.message.parts.commands = vec!["systemctl status backup.service".into(), run];
        request
    }

    fn field(request: &Request, name: &str) -> Option<String> {
        fields(request).iter().find_map(|field| field.strip_prefix(&format!("{name}="))).map(str::to_string)
    }

    #[test]
    fn an_entry_has_everything_in_its_fields() {
        let expected = [
            "MESSAGE=backup.service failed on web1: exited with status 11\n\
             exit-code, exited, 11; failure 1 of this incident; started by backup.timer\n\
             see: journalctl _SYSTEMD_INVOCATION_ID=27958a5008624b39838d249d6fa93b04 \
             + INVOCATION_ID=27958a5008624b39838d249d6fa93b04",
            "MESSAGE_ID=5ebf820c63e14f2f935d623791f6c5e0",
            "PRIORITY=3",
            "SYSLOG_IDENTIFIER=sysalert",
            "SYSALERT_KIND=failure",
            "SYSALERT_HOST=web1",
            "SYSALERT_UNIT=backup.service",
            "SYSALERT_SUBJECT=unit:backup.service",
            "SYSALERT_INCIDENT=7",
            "SYSALERT_FAILURES=1",
            "SYSALERT_SERVICE_RESULT=exit-code",
            "SYSALERT_EXIT_CODE=exited",
            "SYSALERT_EXIT_STATUS=11",
            "SYSALERT_INVOCATION_ID=27958a5008624b39838d249d6fa93b04",
            "SYSALERT_ALERT=27958a5008624b39838d249d6fa93b04.chat",
        ];
        assert_eq!(fields(&request()), expected);
    }

    #[test]
    fn a_recovery_has_its_own_id_and_no_alarm() {
        let mut request = request();
        request.kind = Kind::Recovery;
        request.message.subject = "backup.service is well again on web1".into();
        assert_eq!(field(&request, "MESSAGE_ID").as_deref(), Some("bf2087a53eea44e09f0504f2a299aa83"));
        assert_eq!(field(&request, "PRIORITY").as_deref(), Some("5"));
        let expected = "backup.service is well again on web1\nthe last failure of 1 was exit-code, exited, 11";
        assert_eq!(field(&request, "MESSAGE").as_deref(), Some(expected));
    }

    #[test]
    fn the_priority_follows_severity_and_kind() {
        let rows = [
            (Kind::Failure, Some("critical"), "3"),
            (Kind::Reminder, Some("warning"), "4"),
            (Kind::Failure, Some("info"), "5"),
            (Kind::Recovery, Some("critical"), "5"),
            (Kind::Test, None, "5"),
            (Kind::Digest, None, "3"),
        ];
        for (kind, severity, expected) in rows {
            let mut request = request();
            request.kind = kind;
            match severity {
                Some(severity) => request.incident.as_mut().expect("an incident").severity = severity.into(),
                None => request.incident = None,
            }
            assert_eq!(field(&request, "PRIORITY").as_deref(), Some(expected), "{kind:?} {severity:?}");
        }
        let incident = request().incident.expect("an incident");
        let mut digest = Request { kind: Kind::Digest, incident: None, ..request() };
        for (kind, expected) in [(Kind::Recovery, ["5", RECOVERY]), (Kind::Failure, ["4", TROUBLE])] {
            digest.incidents = sysalert_abi::testing::members(&incident, &[(Kind::Recovery, "critical"), (kind, "warning")]);
            let seen = ["PRIORITY", "MESSAGE_ID"].map(|name| field(&digest, name).expect("a field"));
            assert_eq!(seen, expected);
        }
    }

    #[test]
    fn without_systemds_words_the_text_speaks_and_never_the_excerpt() {
        let mut request = request();
        request.failures[0].service_result = None;
        request.failures[0].exit_code = None;
        request.failures[0].exit_status = None;
        request.message.journal = "boom\n".into();
        request.message.text = format!("{}\n\nfirst\nboom\nsecond\nthird\n", request.message.subject);
        assert_eq!(
            field(&request, "MESSAGE").as_deref(),
            Some("backup.service failed on web1: exited with status 11\nfirst\nsecond")
        );
        request.kind = Kind::Digest;
        assert_eq!(
            field(&request, "MESSAGE").as_deref(),
            Some("backup.service failed on web1: exited with status 11\nfirst\nsecond\nthird")
        );
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let mut request = request();
        request.failures.clear();
        request.incident = None;
        let names: Vec<String> =
            fields(&request).iter().map(|field| field.split('=').next().unwrap_or_default().to_string()).collect();
        assert_eq!(
            names,
            [
                "MESSAGE",
                "MESSAGE_ID",
                "PRIORITY",
                "SYSLOG_IDENTIFIER",
                "SYSALERT_KIND",
                "SYSALERT_HOST",
                "SYSALERT_UNIT",
                "SYSALERT_ALERT"
            ]
        );
    }

    #[test]
    fn a_hostile_request_adds_no_line_to_a_field() {
        let mut request = request();
        request.message.subject = "a\nPRIORITY=7\0".into();
        request.service_name = "x\nPRIORITY=7".into();
        request.failures[0].exit_status = Some("3\nPRIORITY=7\u{1b}[2J".into());
        let fields = fields(&request);
        assert_eq!(fields.iter().filter(|field| field.contains('\n')).count(), 1, "the message alone has lines");
        assert!(fields[0].starts_with("MESSAGE=a PRIORITY=7\n"), "{}", fields[0]);
        assert!(!fields.concat().contains(['\0', '\u{1b}']));
    }
}
