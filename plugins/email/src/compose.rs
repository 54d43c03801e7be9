//! From the request to the bytes of one mail (RFC 5322, MIME).

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, MessageBuilder, MultiPart, SinglePart};
use sysalert_abi::{Answer, Request, lines, one_line};

use crate::settings::Settings;
use crate::text::{atom, domain};

/// Longer subjects are cut: phones show 40 characters, and a word of more than 998 would break the header.
const SUBJECT: usize = 200;
/// A unit's name has at most 255 bytes; before it stand its kind and its user.
const NAME: usize = 400;

/// The mail, ready for SMTP but for its dots.
///
/// # Errors
/// [`Answer::Refused`] if it cannot be built; the settings were valid before, so this is a fault of the plugin.
pub(crate) fn compose(request: &Request, settings: &Settings) -> Result<Vec<u8>, Answer> {
    let subject = one_line(&request.message.subject, SUBJECT);
    let text = match lines(&request.message.text) {
        text if text.trim().is_empty() => subject.clone(),
        text => text,
    };
    let html = lines(&request.message.html);
    let builder = headers(request, settings, subject);
    let built = if html.trim().is_empty() {
        builder.singlepart(part(ContentType::TEXT_PLAIN, text))
    } else {
        // The better form comes last (RFC 2046, 5.1.4).
        let both = MultiPart::alternative();
        builder.multipart(both.singlepart(part(ContentType::TEXT_PLAIN, text)).singlepart(part(ContentType::TEXT_HTML, html)))
    };
    match built {
        Ok(message) => Ok(message.formatted()),
        Err(error) => Err(Answer::Refused(format!("the message cannot be built: {error}"))),
    }
}

fn part(kind: ContentType, text: String) -> SinglePart {
    let mut body = Body::new(text.clone());
    // lettre takes whatever is shorter; whoever searches a mailbox's files finds words in quoted-printable only.
    if body.encoding() == ContentTransferEncoding::Base64
        && let Ok(readable) = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
    {
        body = readable;
    }
    SinglePart::builder().header(kind).body(body)
}

fn headers(request: &Request, settings: &Settings, subject: String) -> MessageBuilder {
    let domain = domain(&request.host);
    let key = atom(&request.idempotency_key);
    let mut builder = Message::builder().from(settings.from.clone()).subject(subject).date_now();
    for to in &settings.to {
        builder = builder.to(to.clone());
    }
    // The same at each try, so that a mailbox can drop the second copy of a mail whose acknowledgement was lost.
    builder = builder.message_id(Some(format!("<{key}@{domain}>")));
    if let Some(incident) = &request.incident {
        // No mail has this ID; that all mails of one incident name it makes mail readers show them as one thread: Thunderbird
        // and notmuch by this alone. Gmail wants the same subject, too; but what a phone shows of a mail is its
        // subject, and it must say "recovered".
        let began: String = incident.first_failure.chars().filter(char::is_ascii_digit).take(14).collect();
        builder = builder.references(format!("<incident-{}-{began}@{domain}>", incident.id));
    }
    // No automatic answer, please (RFC 3834).
    builder = builder.raw_header(header("Auto-Submitted", "auto-generated".into()));
    // For rules of mail readers and Sieve, which would otherwise have to read the subject.
    builder = builder.raw_header(header("X-Sysalert-Kind", request.kind.as_str().into()));
    match request.incident.as_ref().map(|incident| one_line(&incident.subject, NAME)) {
        Some(subject) => builder.raw_header(header("X-Sysalert-Subject", subject)),
        None => builder,
    }
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use sysalert_abi::{Kind, Message};

    use super::*;
    use crate::tests::request;

    fn mail(change: impl FnOnce(&mut Request)) -> String {
        let mut request = request(json!({"to": ["ops@example.org", "Jo Doe <jo@example.org>"]}));
        change(&mut request);
        let settings = Settings::read(&request).expect("valid");
        String::from_utf8(compose(&request, &settings).expect("composed")).expect("ASCII")
    }

    /// The header's value with its folding undone.
    fn value(mail: &str, name: &str) -> Option<String> {
        let (head, _) = mail.split_once("\r\n\r\n").expect("a head");
        let unfolded = head.replace("\r\n ", " ");
        unfolded.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).map(str::to_string)
    }

    #[test]
    fn the_headers_say_what_mail_servers_and_rules_need() {
        let mail = mail(|_| ());
        let expected = [
            ("From", "sysalert@web1.example.org"),
            ("To", "ops@example.org, \"Jo Doe\" <jo@example.org>"),
            ("Subject", "backup.service failed on web1"),
            ("Message-ID", "<42.mail@web1.example.org>"),
            ("References", "<incident-7-20261121064000@web1.example.org>"),
            ("Auto-Submitted", "auto-generated"),
            ("X-Sysalert-Kind", "failure"),
            ("X-Sysalert-Subject", "unit:backup.service"),
            ("MIME-Version", "1.0"),
        ];
        for (name, expected) in expected {
            assert_eq!(value(&mail, name).as_deref(), Some(expected), "{name}");
        }
        assert!(value(&mail, "Date").is_some());
        assert!(value(&mail, "Content-Type").is_some_and(|kind| kind.starts_with("multipart/alternative; boundary=")));
    }

    #[test]
    fn mails_of_one_incident_are_one_thread() {
        let of = |kind, key: &str| {
            mail(|request| {
                request.kind = kind;
                request.idempotency_key = key.to_string();
                // the incident goes on; when it began stays
                let incident = request.incident.as_mut().expect("an incident");
                incident.failures += 1;
                incident.state = if kind == Kind::Recovery { "resolved".into() } else { "open".into() };
            })
        };
        let mails = [of(Kind::Failure, "42.mail"), of(Kind::Reminder, "43.mail"), of(Kind::Recovery, "44.mail")];
        for mail in &mails {
            assert_eq!(value(mail, "References").as_deref(), Some("<incident-7-20261121064000@web1.example.org>"), "{mail}");
            assert_eq!(value(mail, "In-Reply-To"), None, "{mail}");
        }
        let ids = mails.iter().filter_map(|mail| value(mail, "Message-ID")).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(ids.len(), 3, "each is a mail of its own: {ids:?}");
    }

    #[test]
    fn both_texts_are_parts_of_it_and_declare_utf_8() {
        let mail = mail(|_| ());
        let plain = mail.find("Content-Type: text/plain; charset=utf-8").expect("plain");
        let html = mail.find("Content-Type: text/html; charset=utf-8").expect("html");
        assert!(plain < html, "the better form comes last");
    }

    #[test]
    fn without_html_it_is_plain_text() {
        let mail = mail(|request| {
            request.message = Message { subject: "s".into(), text: "grün\n".into(), ..Message::default() };
        });
        assert_eq!(value(&mail, "Content-Type").as_deref(), Some("text/plain; charset=utf-8"));
        assert_eq!(value(&mail, "MIME-Version").as_deref(), Some("1.0"));
        assert!(mail.ends_with("\r\n\r\ngr=C3=BCn\r\n\r\n"), "{mail}");
    }

    #[test]
    fn without_text_the_subject_is_the_text() {
        let mail = mail(|request| request.message = Message { subject: "s".into(), ..Message::default() });
        assert!(mail.ends_with("\r\n\r\ns\r\n"), "{mail}");
    }

    #[test]
    fn a_hostile_request_adds_no_header_and_no_long_line() {
        let mail = mail(|request| {
            request.message.subject = format!("x\r\nBcc: eve@example.org\0\n\n{}", "y".repeat(3000));
            request.message.text = format!("a\r\n.\r\n{}\0", "z".repeat(5000));
            request.host = "h\r\nBcc: eve@example.org".into();
            request.idempotency_key = "k>\r\nBcc: eve@example.org".into();
            let incident = request.incident.as_mut().expect("an incident");
            incident.subject = "unit:a\r\nBcc: eve@example.org".into();
            incident.first_failure = "\r\nBcc: eve@example.org".into();
        });
        assert!(!mail.to_lowercase().contains("\nbcc:"), "{mail}");
        assert!(mail.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n', '\0'])), "{mail}");
        assert!(mail.is_ascii());
    }

    #[test]
    fn a_subject_is_one_short_line() {
        let injected = mail(|request| request.message.subject = "x\r\nBcc: eve@example.org\0".into());
        assert_eq!(value(&injected, "Subject").as_deref(), Some("x Bcc: eve@example.org"));
        let long = mail(|request| request.message.subject = "word ".repeat(1000));
        assert!(value(&long, "Subject").is_some_and(|subject| subject.len() < 250), "{long}");
    }

    #[test]
    fn a_subject_beyond_ascii_is_encoded() {
        let mail = mail(|request| request.message.subject = "Müll 🗑 geleert".into());
        assert!(value(&mail, "Subject").is_some_and(|subject| subject.starts_with("=?utf-8?b?")), "{mail}");
    }
}
