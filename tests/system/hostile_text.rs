//! What others wrote, from the unit file and from the run to the mail that arrived: all of it is shown, none of it does anything.

use crate::guest::{Guest, Options};
use crate::jobs::{LOG, MAIL, about};

/// systemd reads \n and \x in these two as it likes; whatever comes of it, nobody else may take it for his own.
const UNIT: &str = r#"[Unit]
Description=<script>alert(1)</script> [click](http://evil.example/) \nBcc: victim@example.org \x0d\x0aX-Injected: yes \x1b[2J **bold**
Documentation=https://docs.example/?a=<img/src=x/onerror=alert(2)>&b=**c** man:nothing(8)
OnFailure=sysalert-failure@%n.service
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /usr/local/bin/hostile.py
"#;

/// Ten million bytes in one line, and lines that would like to be headers, markup, a message's end or a terminal's commands.
const WORDS: &str = r#"import os
os.write(1, b"first words\n")
os.write(1, b"long " + b"x" * 10_000_000 + b" end of long\n")
os.write(1, b"nul \0 here\ninvalid \xff\xc3\x28 here\nescape \x1b[2J\x1b]0;title\x07 here\n")
os.write(1, b".\r\nQUIT\r\nBcc: victim@example.org\r\nX-Injected: yes\r\n\r\n--boundary--\n")
os.write(1, b"</pre><script>alert(3)</script><img src=http://evil.example/x> & **bold** `code` [a](javascript:alert(4))\n")
os.write(1, b"right \xe2\x80\xae to left \xe2\x80\xac and \xe2\x80\x8b nothing\n")
os._exit(3)
"#;

#[test]
fn nothing_that_others_wrote_is_obeyed() {
    let guest = Guest::boot("injection", Options::new().mail_server().quick_timer());
    let block = "[method.block]\nplugin = \"file\"\nformat = \"block\"\npath = \"/var/log/sysalert/alerts.txt\"\n";
    guest.configure(&format!("{MAIL}{LOG}{block}[method.journal]\n"));
    guest.write_file("/usr/local/bin/hostile.py", WORDS);
    guest.write_unit("hostile.service", UNIT);
    assert!(!guest.run(&["systemctl", "start", "hostile.service"]).success());
    guest.wait_for_mails(1);
    guest.settle();

    let mails = guest.mails();
    let mine = about(&mails, "hostile.service");
    assert_eq!((mails.len(), mine.len()), (1, 1), "{mails:#?}");
    let mail = mine[0];
    assert_eq!(mail.subject, format!("hostile.service failed on {}: exited with status 3", guest.name()));
    assert_eq!(mail.defects, [""; 0]);
    for (name, value) in &mail.headers {
        assert!(!["bcc", "x-injected"].contains(&name.to_lowercase().as_str()), "{name}: {value}");
        assert!(!value.contains("victim") && !value.contains(['\n', '\r', '\0', '\u{1b}']), "{name}: {value}");
    }
    assert_eq!(mail.header("Envelope-To"), Some("ops@example.org"), "{:?}", mail.headers);
    let html = mail.html.clone().unwrap();
    for part in [&mail.text, &html] {
        let odd: Vec<char> = part.chars().filter(|c| c.is_control() && *c != '\n' && *c != '\r').collect();
        assert!(odd.is_empty() && !part.contains(['\u{202e}', '\u{200b}', '\u{fffd}']), "{odd:?}\n{part}");
        assert!(part.contains("nul") && part.contains("invalid \\xff") && part.contains("escape \\u{1b}[2J"), "{part}");
        assert!(part.contains("Bcc: victim@example.org"), "it is shown as text\n{part}");
        assert!(part.len() < 200_000, "{} bytes", part.len());
    }
    // the journal cuts the long line into two hundred pieces: they are one line, and what was said before it is not pushed out
    let long: Vec<&str> = mail.text.lines().filter(|line| line.contains("xxx") || line.contains("end of long")).collect();
    assert!(long.len() == 1 && long[0].ends_with("python3: [...] end of long"), "{long:#?}");
    assert!(mail.text.lines().any(|line| line.ends_with("python3: first words")), "{}", mail.text);
    // no element and no link that is not ours
    let lower = html.to_lowercase();
    for markup in ["<script", "<img", "</pre", "href=\"http://evil", "href=\"javascript"] {
        assert!(!lower.contains(markup), "{markup}\n{html}");
    }
    assert!(mail.text.contains("https://docs.example/?a=<img/src=x/onerror=alert(2)>&b=**c**"), "{}", mail.text);
    assert!(html.contains("?a=&lt;img/src=x/onerror=alert(2)&gt;&amp;b=**c**"), "{html}");

    // elsewhere: one line of JSON, one block, and no message of the journal but ours
    let json = guest.read_file("/var/log/sysalert/alerts.json");
    assert_eq!(json.lines().count(), 1, "{json}");
    let line: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(line["service_name"], "hostile.service");
    let block = guest.read_file("/var/log/sysalert/alerts.txt");
    assert_eq!(block.lines().filter(|line| line.starts_with('[') || line.starts_with("---")).count(), 2, "{block}");
    for (place, text) in [("JSON", &json), ("block", &block)] {
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{place}\n{text}");
    }
    // whoever looks with a terminal
    for verb in [["explain", "hostile"], ["db", "list"], ["preview", "hostile"]] {
        let shown = guest.sysalert(&verb).ok();
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{verb:?}\n{shown}");
    }
}
