//! What hangs or has no end costs only its own: a template, the place of a secret, a heartbeat that nobody answers.

use crate::guest::{Guest, Options};
use crate::jobs::Job;

const LOG: &str = "[method.log]\nplugin = \"file\"\npath = \"/var/log/sysalert/log.json\"\n";

/// A file method of this name with this template of the plain text.
fn method(name: &str, template: &str) -> String {
    format!("[method.{name}]\nplugin = \"file\"\npath = \"/var/log/sysalert/{name}.json\"\ntext_template = \"{template}\"\n")
}

/// A text that is four times as long after each of these rounds.
fn grows(rounds: &str) -> String {
    let set = "{% set ns.x = ns.x ~ ns.x ~ ns.x ~ ns.x %}";
    format!("{{% set ns = namespace(x='aaaaaaaaaa') %}}{{% for i in {rounds} %}}{set}{{% endfor %}}{{{{ ns.x|length }}}}")
}

/// How many alerts of this unit this method has sent.
fn sent(guest: &Guest, method: &str, unit: &str) -> i64 {
    guest.number(&format!(
        "SELECT count(*) FROM deliveries d JOIN alerts a ON a.id = d.alert JOIN incidents i ON i.id = a.incident
         WHERE d.method = '{method}' AND d.status = 'sent' AND i.subject = 'unit:{unit}'"
    ))
}

#[test]
fn a_template_without_an_end_costs_no_alert() {
    let guest = Guest::boot_on(252, "bomb", Options::new());
    // steps and length are within their limits
    let slow = "{% set x = 'a' * 20000000 %}{% for i in range(50000) %}{% set y = x ~ i %}{% endfor %}";
    for (template, why) in [
        (grows("range(40)"), "`text_template` cannot be used: it takes more than 128 MiB of memory (killed by SIGABRT)"),
        (slow.to_owned(), "`text_template` cannot be used: it takes longer than 5 s"),
    ] {
        guest.configure(&method("own", &template));
        let check = guest.sysalert(&["config", "check"]);
        assert_eq!(check.status, 78, "{check}");
        assert!(check.stderr.contains(&format!("/etc/sysalert/sysalert.toml:1: [method.own]: {why}")), "{check}");
        assert!(!check.stderr.contains("memory allocation"), "{check}");
    }

    // what depends on the failure is met with it
    guest.configure(&(method("own", &grows("excerpt")) + LOG));
    guest.sysalert(&["config", "check"]).ok();
    let unit = "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'seq 40; exit 3'\n";
    guest.write_unit("talks.service", unit);
    guest.run(&["systemctl", "start", "talks.service"]);
    for method in ["own", "log"] {
        guest.wait_until(method, || sent(&guest, method, "talks.service") == 1);
    }
    assert_eq!(guest.number("SELECT count(*) FROM deliveries"), 2, "at the first try");
    let preview = guest.sysalert(&["preview", "talks.service", "--method", "own"]).ok();
    let why = "`text_template` cannot be used: it takes more than 128 MiB of memory (killed by SIGABRT); mend it in \
               [method.own], and look with `sysalert preview UNIT --method own`";
    assert!(preview.contains(why) && preview.contains("exited with status 3"), "{preview}");
}

#[test]
fn a_place_that_gives_no_secret_stops_nobody_else() {
    let guest = Guest::boot_on(252, "fifo", Options::new());
    let job = Job::new(&guest, "backup.service");
    let name = "/etc/sysalert/fifo";
    guest.run(&["mkfifo", "-m", "0644", name]).ok();
    let chat = format!("[method.chat]\nplugin = \"webhook\"\npreset = \"slack\"\nurl.file = \"{name}\"\n");
    let own = method("own", "x").replace("text_template =", "text_template.file =").replace("\"x\"", &format!("\"{name}\""));
    let beat = format!("[heartbeat]\nurl.file = \"{name}\"\n");
    guest.configure(&(chat + &own + &beat + LOG));
    let check = guest.sysalert(&["config", "check"]);
    for (section, key) in [("method.chat", "url"), ("method.own", "text_template"), ("heartbeat", "url")] {
        let why = format!("[{section}]: `{key}` cannot be read from {name}: it is not a regular file");
        assert!(check.status == 78 && check.stderr.contains(&why), "{why}\n{check}");
    }
    job.fails(3);
    for method in ["log", "own"] {
        guest.wait_until(method, || sent(&guest, method, "backup.service") == 1);
    }
    guest.wait_until("the chat was tried", || guest.number("SELECT count(*) FROM deliveries WHERE method = 'chat'") == 1);
    let status = guest.sysalert(&["status"]).ok();
    assert!(status.contains(&format!("`url` cannot be read from {name}: it is not a regular file")), "{status}");
}

/// Takes every call, says how many there were, and answers none.
const SILENT: &str = "\
import socket
server = socket.create_server(('127.0.0.1', 8099))
calls = []
while True:
    calls.append(server.accept())
    with open('/run/calls', 'w') as file:
        file.write('x' * len(calls))
";

#[test]
fn a_heartbeat_that_nobody_answers_delays_no_alert() {
    let guest = Guest::boot_on(252, "silent", Options::new());
    let job = Job::new(&guest, "backup.service");
    guest.configure(&format!("[heartbeat]\nurl = \"http://127.0.0.1:8099/x\"\n{LOG}"));
    guest.write_file("/usr/local/lib/silent.py", SILENT);
    guest.write_unit("silent.service", "[Service]\nExecStart=/usr/bin/python3 -I /usr/local/lib/silent.py\n");
    guest.run(&["systemctl", "start", "silent.service"]).ok();
    guest.wait_until("it listens", || guest.sh("ss -ltn | grep -q :8099").success());
    guest.run(&["systemctl", "start", "--no-block", "sysalert-dispatch.service"]).ok();
    guest.wait_until("the run calls", || guest.exists("/run/calls"));
    job.fails(3);
    guest.wait_until("it is told", || sent(&guest, "log", "backup.service") == 1);
    let after = guest.number("SELECT max(d.at) - max(e.at) FROM deliveries d, events e");
    // both calls of the run last ten seconds each
    assert!(after < 8_000_000, "after {after} \u{b5}s");
    let noted = guest.sysalert(&["preview", "backup.service"]).ok();
    assert!(noted.contains(&job.words()) && !noted.contains("may be missing"), "{noted}");
}
