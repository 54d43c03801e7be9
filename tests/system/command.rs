//! The method `command` in the installed unit's sandbox: shells, Python and curl work as programs, and what the sandbox keeps
//! from them is kept from them.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::Job;
use crate::readme::configuration;

/// Says what it was given and what it can do here.
const BASH: &str = r#"#!/bin/bash
set -u
exec >>/var/log/sysalert/notified
input=$(cat)
echo "kind=$SYSALERT_KIND unit=$SYSALERT_UNIT status=${SYSALERT_EXIT_STATUS-} severity=$SYSALERT_SEVERITY"
echo "subject=$SYSALERT_MESSAGE"
echo "input=${input:0:12}"
echo "arguments=$*"
echo "secret=$SYSALERT_SECRET"
can() { if "${@:2}" 2>/dev/null; then echo "can $1"; else echo "cannot $1"; fi; }
can "write below /var/log/sysalert" touch /var/log/sysalert/here
can "write below /usr/local" touch /usr/local/there
can "see /home" ls /home/alice
can "write to /tmp" cp /bin/true /tmp/copy
can "run what is in /tmp" /tmp/copy
can "see the machine's /tmp" test -e /tmp/of-the-machine
can "see other programs" test -e /proc/1/exe
can "gain rights by setuid" bash -c '[[ $(/usr/local/bin/id-of-root -u) == 0 ]]'
echo "memory=$(ulimit -v) core=$(ulimit -c)"
for number in {3..20}; do [[ ! -e /proc/$$/fd/$number ]] || echo "inherited descriptor $number"; done
( trap '' TERM; exec -a left-behind sleep 600 ) &
"#;

/// Sends the request on, as most scripts will.
const PYTHON: &str = r#"#!/usr/bin/python3
import json, sys, urllib.request
request = json.load(sys.stdin)
body = json.dumps({"title": request["message"]["subject"], "key": request["idempotency_key"]}).encode()
with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8099/python", body), timeout=10) as answer:
    print(json.dumps({"nonce": request["nonce"], "status": "sent", "detail": "HTTP %d by python" % answer.status}))
"#;

/// As in the example.
const CURL: &str = r#"#!/bin/bash
exec curl --config <(printf 'header = "Authorization: Bearer %s"' "$SYSALERT_SECRET") \
  --silent --show-error --fail --max-time 20 --data-binary @- http://127.0.0.1:8099/curl
"#;

const SERVER: &str = r#"
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/posted", "a") as log:
            print(self.path, self.headers.get("Authorization"), body.splitlines()[0], file=log)
        self.send_response(202)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
"#;

const METHODS: &str = r#"
[method.curl]
plugin = "command"
command = ["/usr/local/bin/to-curl"]
input = "text"
secret.credential = "token"

[method.hangs]
plugin = "command"
command = ["/usr/local/bin/hangs"]
timeout = "3s"

[method.loose]
plugin = "command"
command = ["/usr/local/bin/loose"]

[method.python]
plugin = "command"
command = ["/usr/local/bin/to-python"]
"#;

fn executable(guest: &Guest, path: &str, content: &str, mode: &str) {
    guest.run_input(&["install", "-D", "-m", mode, "/dev/stdin", path], content).ok();
}

#[test]
fn programs_in_any_language_send_from_within_the_sandbox() {
    let guest = Guest::boot("command", Options::new());
    for (path, content, mode) in [
        ("/usr/local/bin/notify", BASH, "0755"),
        ("/usr/local/bin/to-python", PYTHON, "0755"),
        ("/usr/local/bin/to-curl", CURL, "0755"),
        ("/usr/local/bin/hangs", "#!/bin/bash\nsleep 600 & sleep 601\n", "0755"),
        ("/usr/local/bin/loose", "#!/bin/sh\nexit 0\n", "0775"),
    ] {
        executable(&guest, path, content, mode);
    }
    guest.sh("install -m 4755 /usr/bin/id /usr/local/bin/id-of-root; mkdir -p /home/alice; touch /tmp/of-the-machine").ok();
    guest.write_file("/etc/credstore/token", "hunter2-token\n");
    let drop_in = "[Service]\nLoadCredential=token:/etc/credstore/token\n";
    guest.write_file("/etc/systemd/system/sysalert-dispatch.service.d/token.conf", drop_in);
    guest.write_file("/usr/local/lib/server.py", SERVER);
    guest.write_unit("server.service", "[Service]\nExecStart=/usr/bin/python3 /usr/local/lib/server.py\n");
    guest.run(&["systemctl", "start", "server.service"]).ok();
    guest.wait_until("the server listens", || guest.run(&["bash", "-c", "</dev/tcp/127.0.0.1/8099"]).success());
    guest.sh("install -m 0640 -g sysalert /dev/stdin /etc/sysalert/phone-token <<<hunter2-phone").ok();
    guest.configure(&format!("{METHODS}{}", configuration("plugin = \"command\"")));
    guest.sysalert(&["config", "check"]).ok();

    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let tries = || guest.rows("SELECT method, status, detail FROM deliveries ORDER BY method, id");
    guest.wait_until("every method was tried", || tries().len() >= 5);
    guest.wait_for_dispatch();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let found: Vec<_> = tries().iter().map(|row| (text(row, "method"), text(row, "status"), text(row, "detail"))).collect();
    let expected = [
        ("curl", "sent", "/usr/local/bin/to-curl took it"),
        ("hangs", "retry", "/usr/local/bin/hangs took longer than 2.7 s and was killed"),
        ("loose", "retry", "/usr/local/bin/loose can be changed by others (mode 0775): chmod go-w /usr/local/bin/loose"),
        ("phone", "sent", "/usr/local/bin/notify took it"),
        ("python", "sent", "HTTP 202 by python"),
    ];
    let expected = expected.map(|(method, status, detail)| (method.to_owned(), status.to_owned(), detail.to_owned()));
    assert_eq!(found, expected);

    let said = guest.read_file("/var/log/sysalert/notified");
    let subject = format!("backup.service failed on {}: exited with status 3", guest.name());
    let expected = format!(
        "kind=failure unit=backup.service status=3 severity=critical\n\
         subject={subject}\n\
         input={{\"schema\":1,\n\
         arguments=--to ops\n\
         secret=hunter2-phone\n\
         can write below /var/log/sysalert\n\
         cannot write below /usr/local\n\
         cannot see /home\n\
         can write to /tmp\n\
         cannot run what is in /tmp\n\
         cannot see the machine's /tmp\n\
         cannot see other programs\n\
         cannot gain rights by setuid\n\
         memory=1048576 core=0\n"
    );
    assert_eq!(said, expected);
    let posted = guest.read_file("/run/posted");
    let curl = format!("/curl Bearer hunter2-token backup.service on {} failed: exited with status 3.", guest.name());
    assert!(posted.lines().any(|line| line == curl), "{posted}");
    assert!(posted.lines().any(|line| line.starts_with("/python None") && line.contains(&subject)), "{posted}");

    // nobody is left behind: neither what bash started, nor what the one that hung started
    assert_eq!(guest.run(&["pgrep", "--list-full", "-u", "sysalert"]).stdout, "");
    // the secret went to the programs alone
    for command in [&["status"][..], &["methods"], &["config", "show"], &["explain", "backup.service"]] {
        let shown = guest.sysalert(command).ok();
        assert!(!shown.contains("hunter2"), "{command:?}\n{shown}");
    }
    assert!(!guest.journal(&[]).contains("hunter2"));

    // mended as the sentence says, the waiting alert goes out; the recovery comes as one
    guest.run(&["chmod", "go-w", "/usr/local/bin/loose"]).ok();
    executable(&guest, "/usr/local/bin/hangs", "#!/bin/sh\nexit 0\n", "0755");
    guest.hurry();
    guest.settle();
    job.succeeds();
    guest.settle();
    let said = guest.read_file("/var/log/sysalert/notified");
    assert!(said.contains("kind=recovery unit=backup.service status=3 severity=critical\n"), "{said}");
}
