//! Each line of `secrets.txt` and of `lookalikes.txt` is a requirement; what spans lines or counts work is here.

use super::{redact, scan, tokens};

/// `what | text with «the secret»`. A `¦` is left out: it keeps scanners of repositories from taking a sample for a leak.
fn secrets() -> Vec<(&'static str, String)> {
    let samples = include_str!("secrets.txt").lines();
    samples.map(|line| line.split_once(" | ").unwrap()).map(|(what, text)| (what, text.replace('¦', ""))).collect()
}

fn redacted(text: &str) -> (String, usize) {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let count = redact(&mut lines);
    (lines.join("\n"), count)
}

/// The whole line is compared: nothing of the secret stays, and all else does.
#[test]
fn secrets_do_not_leave() {
    let mut wrong = Vec::new();
    for (what, text) in secrets() {
        let (before, rest) = text.split_once('«').unwrap();
        let (secret, after) = rest.split_once('»').unwrap();
        let got = redacted(&format!("{before}{secret}{after}"));
        let wanted = (format!("{before}[{what} removed]{after}"), 1);
        if got != wanted {
            wrong.push(format!("wanted {wanted:?}\n   got {got:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(secrets().len() >= 60);
}

#[test]
fn lookalikes_stay() {
    let lines: Vec<String> = include_str!("lookalikes.txt").lines().map(str::to_owned).collect();
    let wrong: Vec<_> =
        lines.iter().map(|line| (line, redacted(line))).filter(|(line, got)| **line != got.0 || got.1 != 0).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut together = lines.clone();
    assert_eq!((redact(&mut together), together), (0, lines.clone()), "nor do they together");
    assert!(lines.len() >= 60);
}

#[test]
fn every_format_has_a_sample() {
    let samples = secrets();
    let missing: Vec<_> = tokens::FORMATS
        .iter()
        .map(tokens::Format::prefix)
        .filter(|prefix| !samples.iter().any(|(_, text)| text.replace(['«', '»'], "").contains(prefix)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Of each format of the table, the shortest that counts is a secret, and one character less is none.
#[test]
fn every_format_has_its_limit() {
    for format in tokens::FORMATS {
        let (text, shorter) = format.shortest();
        assert_eq!(redacted(&format!("see {text} there")).1, 1, "{text}");
        assert_eq!(redacted(&format!("see {shorter} there")).1, 0, "{shorter}");
    }
}

#[test]
fn a_second_pass_finds_nothing() {
    let mut lines: Vec<String> = secrets().into_iter().map(|(_, text)| text.replace(['«', '»'], "")).collect();
    let count = redact(&mut lines);
    assert_eq!(count, lines.len());
    let once = lines.clone();
    assert_eq!((redact(&mut lines), lines), (0, once));
}

#[test]
fn several_in_one_line_are_counted() {
    let line = "postgres://a:one1@h/x password=two2 user=b token=three33333333333";
    let wanted = "postgres://a:[password removed]@h/x password=[password removed] user=b token=[secret removed]";
    assert_eq!(redacted(line), (wanted.to_owned(), 3));
}

/// Lines of a key, of one letter each so that they can be told apart.
fn key(widths: &[usize]) -> Vec<String> {
    widths.iter().zip('A'..).map(|(width, letter)| letter.to_string().repeat(*width)).collect()
}

#[test]
fn private_keys_go_with_or_without_their_first_or_last_line() {
    let body = key(&[64, 64, 64, 28]).join("\n");
    let gone = ["[private key removed]"; 4].join("\n");
    for kind in [
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        let (begin, end) = (format!("-----BEGIN {kind}-----"), format!("-----END {kind}-----"));
        for (head, tail) in [(&*begin, &*end), (&*begin, "a last line"), ("a first line", &*end)] {
            let text = |body: &str| format!("reading\n{head}\n{body}\n{tail}\nbackup.service: Failed with result 'exit-code'.");
            assert_eq!(redacted(&text(&body)), (text(&gone), 1), "{kind}: {head} ... {tail}");
        }
        let one = |body: &str| format!("key \"{begin}{body}{end}\" is bad");
        assert_eq!(redacted(&one(&format!("\\n{}\\n", body.replace('\n', "\\n")))), (one("[private key removed]"), 1), "{kind}");
    }
    // SSH2's marks (RFC 4716's style), 70 wide as OpenSSH has it
    let text =
        |body: &str| format!("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{body}\n---- END SSH2 ENCRYPTED PRIVATE KEY ----");
    assert_eq!(redacted(&text(&key(&[70, 70]).join("\n"))), (text(&["[private key removed]"; 2].join("\n")), 1));
}

#[test]
fn other_lines_between_those_of_a_key_stay() {
    let text = |a: &str, b: &str, c: &str| {
        format!(
            "-----BEGIN PRIVATE KEY-----\napp: {a}\nsystemd[1]: a.service: Failed.\napp: {b}\ndigest: d41d8cd98f00b204e9800998ecf8427e\napp: {c}\n-----END PRIVATE KEY-----"
        )
    };
    let body = key(&[64, 64, 20]);
    assert_eq!(
        redacted(&text(&body[0], &body[1], &body[2])),
        (text("[private key removed]", "[private key removed]", "[private key removed]"), 1)
    );
}

#[test]
fn two_keys_are_two_secrets_and_a_certificate_between_stays() {
    let (body, mark) = (key(&[64])[0].clone(), "[private key removed]");
    let text = |body: &str| {
        let key = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----");
        format!("{key}\n-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n{key}", "C".repeat(64))
    };
    assert_eq!(redacted(&text(&body)), (text(mark), 2));
}

/// What a hostile unit could print to make this slow or wrong.
fn hostile() -> Vec<String> {
    let pieces = [
        "password=",
        "password:",
        "password=\"",
        "password=[",
        "password=/etc/",
        "password=,",
        "password= ",
        "token: ",
        "://",
        "a://b:",
        "x://u:p/",
        "@",
        "eyJ",
        "eyJ-",
        "eyJa.",
        "eyJ/",
        "A",
        "AA/",
        "A+",
        "Mabc.",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "----",
        "---- BEGIN ",
        "Authorization: Digest ",
        "Authorization:[",
        "Cookie: a=b",
        "Bearer ",
        "Basic QQ",
        "\\",
        "\\\"",
        "\"",
        "'",
        "\\n",
        "key ",
        "ghp_",
        "ghp_a",
        "$6$",
        "bot1234567:A",
        "12345678:",
        " BY '",
        "IDENTIFIED BY ",
        "@tcp(",
        ":@tcp(",
        "webhooks/",
        "s.",
        "%3D",
        "[31m",
        "mysql -p",
        "curl -u :",
        "a",
        "é",
        "密",
        "\u{1f511}",
        "=",
        ":",
        " ",
        "password is ",
        "temporary password is generated for ",
        "x.-_",
    ];
    let mut texts: Vec<String> = pieces.iter().map(|piece| piece.repeat(16_000 / piece.len())).collect();
    for (first, second) in pieces.iter().zip(pieces.iter().cycle().skip(7)) {
        texts.push(format!("{first}{second}").repeat(8_000 / (first.len() + second.len()) + 1));
        texts.push(format!("{}{}", first.repeat(200), second.repeat(200)));
    }
    texts
}

/// Work is counted, not timed: bytes looked at for each byte of text, in one line and in many.
#[test]
fn the_work_grows_with_the_text_and_not_faster() {
    for text in hostile() {
        for mut lines in
            [vec![text.clone()], text.chars().collect::<Vec<_>>().chunks(40).map(|line| line.iter().collect()).collect()]
        {
            scan::WORK.set(0);
            redact(&mut lines);
            let work = scan::WORK.get() / text.len();
            assert!(work <= 200, "{work} bytes looked at for each of {:?}...", text.chars().take(30).collect::<String>());
        }
    }
}

/// Every way to cut and to mix: nothing panics, and what is told stays whole characters.
#[test]
fn no_text_panics() {
    let mut samples: Vec<String> = secrets().into_iter().map(|(_, text)| text).collect();
    samples.extend(include_str!("lookalikes.txt").lines().map(str::to_owned));
    for text in samples {
        let chars: Vec<char> = text.chars().collect();
        for cut in (0..chars.len()).step_by(2) {
            let (head, tail) = (chars[..cut].iter().collect::<String>(), chars[cut..].iter().collect::<String>());
            redact(&mut [head.clone(), tail.clone()]);
            redact(&mut [format!("{head}é密\u{1f511}\u{a0}{tail}")]);
        }
    }
    assert_eq!(redact(&mut []), 0);
    assert_eq!(redact(&mut [String::new()]), 0);
}
