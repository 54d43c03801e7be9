//! Two real Alertmanagers as a cluster, set up as the documentation says; `amtool` judges. What they notify goes to one receiver.

use std::time::Duration;

use serde_json::{Value, json};

use crate::documents::{FLEET, blocks_of};
use crate::guest::{Guest, Options};
use crate::jobs::Job;

/// The shortest pause between two sends of what is open, and the timer's.
const AGAIN: Duration = Duration::from_secs(90);

/// Writes each notification into a file of lines.
const RECEIVER: &str = "\
import http.server
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        with open('/run/notifications', 'ab') as file:
            file.write(body.replace(b'\\n', b'') + b'\\n')
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(('127.0.0.1', 9099), Receiver).serve_forever()
";

/// The first block of this language about many machines.
fn block(language: &str) -> &'static str {
    blocks_of(FLEET, language)[0]
}

/// A member of the cluster: its port, and its name in the documentation's configuration.
#[derive(Clone, Copy)]
pub struct Member(u16);

pub const FIRST: Member = Member(9093);
pub const SECOND: Member = Member(9193);

impl Member {
    fn unit(self) -> String {
        format!("alerts-{}.service", self.0)
    }

    fn run(self, guest: &Guest, arguments: &[&str]) -> crate::guest::Output {
        let url = format!("--alertmanager.url=http://127.0.0.1:{}", self.0);
        guest.run(&[&["amtool", &url], arguments].concat())
    }

    /// What is open there: `amtool alert query`.
    fn alerts(self, guest: &Guest, filter: &[&str]) -> Vec<Value> {
        let output = self.run(guest, &[&["alert", "query", "-o", "json"], filter].concat());
        if output.success() { output.json().as_array().cloned().unwrap() } else { Vec::new() }
    }

    fn install(self, guest: &Guest, other: Member) {
        let (own, peer) = (self.0 + 1, other.0 + 1);
        let (_, told) = block("sh").split_once("ARGS=\"").unwrap();
        let told = told.split('"').next().unwrap().replace("alerts2.example.org:9094", &format!("127.0.0.1:{peer}"));
        assert_eq!(told, format!("--cluster.peer=127.0.0.1:{peer}"));
        let flags = format!(
            "--config.file=/etc/prometheus/alertmanager.yml --storage.path=/var/lib/alerts-{} --web.listen-address=127.0.0.1:{} \
             --cluster.listen-address=127.0.0.1:{own} --cluster.advertise-address=127.0.0.1:{own} {told} \
             --cluster.peer-timeout=2s --cluster.settle-timeout=1s --cluster.gossip-interval=100ms --cluster.pushpull-interval=2s",
            self.0, self.0
        );
        guest.write_unit(&self.unit(), &format!("[Service]\nExecStart=/usr/bin/prometheus-alertmanager {flags}\n"));
        self.start(guest);
    }

    #[track_caller]
    fn start(self, guest: &Guest) {
        guest.run(&["systemctl", "start", &self.unit()]).ok();
        guest.wait_until("it answers", || self.run(guest, &["cluster", "show"]).success());
    }

    #[track_caller]
    pub fn stop(self, guest: &Guest) {
        guest.run(&["systemctl", "stop", &self.unit()]).ok();
    }
}

/// A guest with the cluster, the receiver, and the documentation's method `fleet`.
fn fleet(name: &str) -> Guest {
    let guest = Guest::boot_on(252, name, Options::new().quick_timer());
    let method = cluster(&guest);
    guest.configure(&format!("{method}resend = \"30s\"\n"));
    guest.sysalert(&["config", "check"]).ok();
    guest
}

/// Starts both members, set up as the documentation says, and what they notify; the documentation's method for them.
#[track_caller]
pub fn cluster(guest: &Guest) -> String {
    // the documentation's waits are for people
    let alertmanager =
        block("yaml").replace("group_wait: 30s", "group_wait: 1s").replace("group_interval: 5m", "group_interval: 2s");
    guest.write_file("/etc/prometheus/alertmanager.yml", &alertmanager);
    let checked = guest.run(&["amtool", "check-config", "/etc/prometheus/alertmanager.yml"]).ok();
    assert!(checked.contains("SUCCESS") && checked.contains("1 inhibit rules"), "{checked}");
    guest.write_file("/usr/local/lib/receiver.py", RECEIVER);
    guest.write_unit("receiver.service", "[Service]\nExecStart=/usr/bin/python3 -I /usr/local/lib/receiver.py\n");
    guest.run(&["systemctl", "start", "receiver.service"]).ok();
    FIRST.install(guest, SECOND);
    SECOND.install(guest, FIRST);
    let method = block("toml")
        .replace("http://alerts1.example.org:9093", "http://127.0.0.1:9093")
        .replace("http://alerts2.example.org:9093", "http://127.0.0.1:9193");
    assert!(method.contains(":9193"), "{method}");
    method
}

/// The alerts that were notified about this unit, oldest first.
pub fn notifications(guest: &Guest, unit: &str) -> Vec<Value> {
    let lines = guest.run(&["cat", "/run/notifications"]).stdout;
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let alerts = all.flat_map(|notification| notification["alerts"].as_array().cloned().unwrap());
    alerts.filter(|alert| alert["labels"]["unit"] == unit).collect()
}

/// The same, only "firing" or "resolved".
fn notified(guest: &Guest, unit: &str) -> Vec<String> {
    notifications(guest, unit).iter().map(|alert| alert["status"].as_str().unwrap().to_owned()).collect()
}

pub fn is_open(guest: &Guest, member: Member, unit: &str) -> bool {
    !member.alerts(guest, &[&format!("unit={unit}")]).is_empty()
}

#[test]
fn one_failure_is_one_notification_whichever_member_is_down() {
    let guest = fleet("fleet");
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    for member in [FIRST, SECOND] {
        guest.wait_until("each member has it", || is_open(&guest, member, "backup.service"));
    }
    let alert = FIRST.alerts(&guest, &[]).remove(0);
    let expected = json!({
        "alertname": "SystemdUnitFailed", "instance": guest.name(), "unit": "backup.service", "manager": "system",
        "severity": "critical", "team": "ops"
    });
    assert_eq!(alert["labels"], expected);
    let annotation = |name: &str| alert["annotations"][name].as_str().unwrap_or_default();
    assert_eq!(annotation("summary"), format!("backup.service on {} failed: exited with status 3.", guest.name()));
    assert!(annotation("description").contains(&job.words()), "{alert:#}");
    assert_eq!(annotation("result"), "exit-code, exited, 3");
    guest.wait_until("it is notified", || !notified(&guest, "backup.service").is_empty());

    // a member that was restarted knows nothing, and has it again
    SECOND.stop(&guest);
    SECOND.start(&guest);
    assert!(!is_open(&guest, SECOND, "backup.service"), "alerts are not passed on, nor kept");
    guest.wait_at_most(AGAIN, "the restarted member has it again", || is_open(&guest, SECOND, "backup.service"));

    // the other one is gone when it recovers
    FIRST.stop(&guest);
    job.succeeds();
    guest.wait_until("it is resolved in the member that is left", || !is_open(&guest, SECOND, "backup.service"));
    guest.wait_until("that is notified", || notified(&guest, "backup.service").len() == 2);
    FIRST.start(&guest);

    // all that was to come has come when another one's is there
    let other = Job::new(&guest, "other.service");
    other.fails(4);
    for member in [FIRST, SECOND] {
        guest.wait_until("each member has the other one", || is_open(&guest, member, "other.service"));
    }
    guest.wait_until("that is notified, too", || !notified(&guest, "other.service").is_empty());
    assert_eq!(notified(&guest, "backup.service"), ["firing", "resolved"]);
    assert_eq!(notified(&guest, "other.service"), ["firing"]);
    // what is sent again is no delivery
    let rows = guest.rows("SELECT a.kind, d.status FROM deliveries d JOIN alerts a ON a.id = d.alert ORDER BY d.id");
    let rows: Vec<_> = rows.iter().map(|row| (row["kind"].as_str().unwrap(), row["status"].as_str().unwrap())).collect();
    assert_eq!(rows, [("failure", "sent"), ("recovery", "sent"), ("failure", "sent")]);
}

/// Stands between sysalert and the first member.
const PROXY: &str = "\
import socket, threading
def pass_on(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
server = socket.create_server(('127.0.0.1', 9095))
while True:
    call, _ = server.accept()
    member = socket.create_connection(('127.0.0.1', 9093))
    for pair in (call, member), (member, call):
        threading.Thread(target=pass_on, args=pair, daemon=True).start()
";

#[test]
fn a_member_that_missed_the_recovery_has_it_when_it_can_be_reached_again() {
    let guest = Guest::boot_on(252, "missed", Options::new().quick_timer());
    let method = cluster(&guest).replace("127.0.0.1:9093", "127.0.0.1:9095");
    guest.configure(&format!("{method}resend = \"30s\"\n"));
    guest.write_file("/usr/local/lib/proxy.py", PROXY);
    guest.write_unit("proxy.service", "[Service]\nExecStart=/usr/bin/python3 -I /usr/local/lib/proxy.py\n");
    guest.run(&["systemctl", "start", "proxy.service"]).ok();
    guest.wait_until("it listens", || guest.sh("ss -ltn | grep -q :9095").success());
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    for member in [FIRST, SECOND] {
        guest.wait_until("each member has it", || is_open(&guest, member, "backup.service"));
    }

    // that member lives, and would tell the cluster of a failure until the alert ends by itself, in five minutes
    guest.run(&["systemctl", "kill", "-s", "KILL", "proxy.service"]).ok();
    job.succeeds();
    guest.wait_until("it is resolved in the member that can be reached", || !is_open(&guest, SECOND, "backup.service"));
    assert!(is_open(&guest, FIRST, "backup.service"), "the other one missed that");
    guest.run(&["systemctl", "start", "proxy.service"]).ok();
    guest.wait_at_most(AGAIN, "it is resolved there, too", || !is_open(&guest, FIRST, "backup.service"));
    guest
        .wait_until("that is the last word", || notified(&guest, "backup.service").last().is_some_and(|last| last == "resolved"));
    guest.wait_until("and comes no more", || guest.number("SELECT count(*) FROM resends") == 0);
    assert_eq!(guest.number("SELECT count(*) FROM deliveries"), 2, "what is sent again is no delivery");
}

#[test]
fn with_no_member_up_it_waits_and_what_is_open_is_not_lost() {
    let guest = fleet("nobody");
    let job = Job::new(&guest, "backup.service");
    [FIRST, SECOND].into_iter().for_each(|member| member.stop(&guest));
    job.fails(3);
    guest.wait_until("it was tried", || guest.number("SELECT count(*) FROM deliveries WHERE status = 'retry'") == 1);
    let status = guest.sysalert(&["status"]).ok();
    assert!(status.contains("http://127.0.0.1:9093 cannot be reached") && status.contains("http://127.0.0.1:9193"), "{status}");
    FIRST.start(&guest);
    guest.hurry();
    guest.wait_until("it has it", || is_open(&guest, FIRST, "backup.service"));

    // both forget at once; nobody notifies sysalert's own trouble, and the log is not flooded
    FIRST.stop(&guest);
    let said = || guest.journal(&["SYSLOG_IDENTIFIER=sysalert"]).matches("did not take again what is not over").count();
    guest.wait_at_most(AGAIN, "it was to have it again", || said() == 1);
    let new = Job::new(&guest, "new.service");
    new.fails(5);
    FIRST.start(&guest);
    guest.hurry();
    guest.wait_until("what is new is there", || is_open(&guest, FIRST, "new.service"));
    guest.wait_at_most(AGAIN, "and what was open", || is_open(&guest, FIRST, "backup.service"));
    assert_eq!(said(), 1, "said once");

    // a host that is down explains its units
    FIRST.run(&guest, &["alert", "add", "alertname=HostDown", &format!("instance={}", guest.name())]).ok();
    guest.wait_until("both are inhibited", || FIRST.alerts(&guest, &["--inhibited", "alertname=SystemdUnitFailed"]).len() == 2);
}

#[test]
fn a_storm_is_an_alert_for_each_unit() {
    let guest = fleet("manyalerts");
    let unit = "[Unit]\nOnFailure=sysalert-failure@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n";
    guest.write_unit("worker@.service", unit);
    guest.sh("systemctl start --no-block worker@{1..40}.service").ok();
    guest.wait_until("all are recorded", || guest.number("SELECT count(*) FROM incidents") == 40);
    guest.settle();
    assert!(guest.number("SELECT count(*) FROM alerts WHERE kind = 'digest'") > 0, "a storm");
    for member in [FIRST, SECOND] {
        let alerts = member.alerts(&guest, &["alertname=SystemdUnitFailed"]);
        let mut units: Vec<_> = alerts.iter().map(|alert| alert["labels"]["unit"].to_string()).collect();
        units.sort();
        units.dedup();
        assert_eq!((alerts.len(), units.len()), (40, 40));
        assert!(alerts.iter().all(|alert| alert["annotations"]["result"] == "exit-code, exited, 1"), "{alerts:#?}");
    }
    assert_eq!(guest.number("SELECT count(*) FROM resends"), 40, "each comes again until it is over");
}
