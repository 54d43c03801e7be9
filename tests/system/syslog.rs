//! The method `syslog` with a real rsyslog: its own socket's way through journald, UDP, TCP and TLS.

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::Job;
use crate::readme::configuration;

/// What was received, each line with the input, the parsed header and the text.
const RSYSLOG: &str = r#"
module(load="imudp")
module(load="imtcp")
global(
  DefaultNetstreamDriverCAFile="/etc/sysalert/log-ca.pem"
  DefaultNetstreamDriverCertFile="/etc/log-cert.pem"
  DefaultNetstreamDriverKeyFile="/etc/log-key.pem"
)
template(name="parsed" type="string"
  string="%inputname%|%protocol-version%|%syslogfacility-text%|%syslogseverity-text%|%hostname%|%app-name%|%msgid%|%structured-data%|%msg%\n")
input(type="imudp" port="514" name="udp")
input(type="imtcp" port="514" name="tcp")
input(type="imtcp" port="6514" name="tls" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="6515" name="own" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
action(type="omfile" file="/var/log/received" template="parsed")
"#;

const CERTIFICATES: &str = "cd /etc
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca-key.pem -out sysalert/log-ca.pem -days 30 \
        -subj '/CN=log test authority' -addext basicConstraints=critical,CA:TRUE 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout log-key.pem -out log.csr \
        -subj /CN=log.example.test 2>/dev/null
    openssl x509 -req -in log.csr -CA sysalert/log-ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out log-cert.pem \
        -extfile <(echo subjectAltName=DNS:log.example.test) 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout sysalert/own-key.pem -out own.csr -subj /CN=web1 2>/dev/null
    openssl x509 -req -in own.csr -CA sysalert/log-ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 -out sysalert/own-cert.pem \
        -extfile <(echo extendedKeyUsage=clientAuth) 2>/dev/null
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout sysalert/else-key.pem -out sysalert/else-cert.pem \
        -days 30 -subj /CN=web1 2>/dev/null
    chgrp sysalert sysalert/*-key.pem; chmod 0640 sysalert/*-key.pem
    chmod 0644 sysalert/log-ca.pem sysalert/*-cert.pem
    echo 127.0.0.1 log.example.test other.example.test >>hosts";

const CUT: &str = "log.example.test:6515 cut the connection: if it wants a certificate of this host, set `certificate` and `key` \
    to a valid one";

const METHODS: &str = r#"
[policy]
host = "wéb1"

[method.local]
plugin = "syslog"
facility = "local0"

[method.tcp]
plugin = "syslog"
transport = "tcp"
host = "log.example.test"
lines = true

[method.tls-other-name]
plugin = "syslog"
transport = "tls"
host = "other.example.test"
ca = "/etc/sysalert/log-ca.pem"

[method.tls-own]
plugin = "syslog"
transport = "tls"
host = "log.example.test"
port = 6515
ca = "/etc/sysalert/log-ca.pem"
certificate = "/etc/sysalert/own-cert.pem"
key = "/etc/sysalert/own-key.pem"

[method.tls-own-missing]
plugin = "syslog"
transport = "tls"
host = "log.example.test"
port = 6515
ca = "/etc/sysalert/log-ca.pem"

[method.tls-own-of-nobody]
plugin = "syslog"
transport = "tls"
host = "log.example.test"
port = 6515
ca = "/etc/sysalert/log-ca.pem"
certificate = "/etc/sysalert/else-cert.pem"
key = "/etc/sysalert/else-key.pem"

[method.tls-unknown]
plugin = "syslog"
transport = "tls"
host = "log.example.test"

[method.udp]
plugin = "syslog"
transport = "udp"
host = "log.example.test"
"#;

/// Starts the server; the documentation's method for it.
#[track_caller]
pub fn server(guest: &Guest) -> String {
    guest.sh(CERTIFICATES).ok();
    guest.write_file("/etc/rsyslog-test.conf", RSYSLOG);
    guest.write_unit("log.service", "[Service]\nExecStart=/usr/sbin/rsyslogd -n -i NONE -f /etc/rsyslog-test.conf\n");
    guest.run(&["systemctl", "start", "log.service"]).ok();
    for port in ["514", "6514", "6515"] {
        guest.wait_until("rsyslog listens", || guest.run(&["bash", "-c", &format!("</dev/tcp/127.0.0.1/{port}")]).success());
    }
    configuration("plugin = \"syslog\"").replace("log.example.org", "log.example.test")
}

/// The last try of each method: (method, status, detail).
fn tries(guest: &Guest) -> Vec<(String, String, String)> {
    let rows = guest.rows("SELECT method, status, detail FROM deliveries WHERE id IN (SELECT max(id) FROM deliveries GROUP BY method) ORDER BY method");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "method"), text(row, "status"), text(row, "detail"))).collect()
}

#[test]
fn a_real_rsyslog_has_it_by_every_transport() {
    let guest = Guest::boot("syslog", Options::new());
    let methods = format!("{METHODS}{}", server(&guest));
    guest.configure(&methods);
    guest.sysalert(&["config", "check"]).ok();

    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_until("every method was tried", || tries(&guest).len() == 9);
    let expected = [
        ("local", "sent", "given to /dev/log"),
        ("loghost", "sent", "log.example.test:6514 read it to its end"),
        ("tcp", "sent", "log.example.test:514 read it to its end"),
        (
            "tls-other-name",
            "refused",
            "the certificate of other.example.test:6514 is for another name (invalid peer certificate: certificate not valid for \
             name \"other.example.test\"; certificate is only valid for DnsName(\"log.example.test\")): set `host` to the name in it",
        ),
        ("tls-own", "sent", "log.example.test:6515 read it to its end"),
        ("tls-own-missing", "retry", CUT),
        ("tls-own-of-nobody", "retry", CUT),
        (
            "tls-unknown",
            "refused",
            "the certificate of log.example.test:6514 comes from an issuer that this machine does not trust (invalid peer \
             certificate: UnknownIssuer): set `ca`, or install that authority on this system",
        ),
        ("udp", "sent", "sent to log.example.test:514 by UDP: nobody confirms that it arrived"),
    ];
    assert_eq!(tries(&guest), expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));

    // locally: as any program's message, with its facility, level and name
    let fields = ["-o", "json", "SYSLOG_FACILITY=16", "SYSLOG_IDENTIFIER=sysalert"];
    let entry: Value = serde_json::from_str(guest.journal(&fields).trim()).unwrap();
    assert_eq!(entry["MESSAGE"], "backup.service failed on wéb1: exited with status 3");
    assert_eq!((&entry["PRIORITY"], &entry["_TRANSPORT"]), (&"3".into(), &"syslog".into()));

    // by the network: rsyslog parsed every field of it
    let received = || guest.read_file("/var/log/received");
    guest.wait_until("rsyslog has written it all", || {
        ["udp|", "tls|", "tcp|"].iter().all(|input| received().lines().any(|line| line.starts_with(input)))
            && received().contains("journalctl _SYSTEMD_INVOCATION_ID")
    });
    let text = received();
    for input in ["udp", "tcp", "tls"] {
        let line = text.lines().find(|line| line.starts_with(&format!("{input}|"))).unwrap();
        let fields: Vec<&str> = line.split('|').collect();
        assert_eq!(fields[1..7], ["1", "daemon", "err", "w?b1", "sysalert", "failure"], "{line}");
        let run = job.events()[0]["invocation_id"].as_str().unwrap().to_owned();
        for fact in ["[sysalert@32473 unit=\"backup.service\" ", " severity=\"critical\" ", " exit_status=\"3\" ", &run] {
            assert!(fields[7].contains(fact), "{fact}: {line}");
        }
        assert_eq!(fields[8].trim_start_matches('\u{feff}'), "backup.service failed on wéb1: exited with status 3", "{line}");
    }
    // and with `lines` the text, each of its lines a message
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("tcp|") && line.contains(" line=\"")).collect();
    assert!(lines.len() > 5 && lines.iter().any(|line| line.contains(&job.words())), "{lines:#?}");

    // one that hangs has taken nothing, as far as anybody knows; one that is gone neither
    guest.configure(&methods.replace("lines = true", "timeout = \"2s\""));
    guest.run(&["systemctl", "kill", "--signal=STOP", "log.service"]).ok();
    job.succeeds();
    let said = |method: &str, words: &str| tries(&guest).iter().any(|(name, _, detail)| name == method && detail.contains(words));
    guest.wait_until("the one that hangs was given up", || said("tcp", "log.example.test:514 did not read it in time"));
    guest.run(&["systemctl", "kill", "--signal=KILL", "log.service"]).ok();
    guest.wait_until("it is gone", || guest.property("log.service", "ActiveState") == "failed");
    guest.hurry();
    guest.wait_until("nobody is there", || said("tcp", "cannot be reached: Connection refused"));

    // back again it has the recovery, as a notice
    guest.run(&["systemctl", "restart", "log.service"]).ok();
    guest.wait_until("rsyslog listens", || guest.run(&["bash", "-c", "</dev/tcp/127.0.0.1/6514"]).success());
    guest.hurry();
    guest.wait_until("the recovery is there", || {
        let recovered = |line: &str| line.contains("|notice|") && line.contains("|recovery|");
        ["tcp|", "tls|"].iter().all(|input| received().lines().any(|line| line.starts_with(input) && recovered(line)))
    });
}
