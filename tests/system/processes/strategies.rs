//! How a process is restarted, and what tells that it is healthy again.

use super::{alarm, check, configure, guest, history, pid, row, service, sql};

super::on_both!(
    a_plain_process_is_known_by_its_program_and_all_of_its_arguments,
    custom_commands_health_checks_and_what_comes_before,
    a_health_check_over_https_trusts_whom_the_system_trusts,
    a_process_that_never_becomes_healthy_opens_its_breaker_for_longer_than_a_boot,
);

/// The section of the README, word for word.
fn custom_example() -> String {
    let (_, section) = crate::readme::configuration("[process.custom_example]").split_once("[process.custom_example]").unwrap();
    format!("[process.custom_example]{section}")
}

/// Answers one request over HTTP.
const ANSWER: &str = r#"#!/bin/bash
read -r _ path _
# who closes a connection with something unread in it resets it
while read -r line && [[ $line != $'\r' ]]; do :; done
[[ $path == /health ]] && status="200 OK" || status="404 Not Found"
printf 'HTTP/1.1 %s\r\nContent-Length: 6\r\nConnection: close\r\n\r\nall ok' "$status"
"#;

pub fn a_plain_process_is_known_by_its_program_and_all_of_its_arguments(systemd: u32) {
    let guest = guest(
        systemd,
        "plain",
        "[process.plain]\nrestart_strategy = \"process\"\nprocess_command = [\"/usr/local/bin/plaind\", \"--name\", \"a $HOME b\"]\nprocess_user = \"nobody\"\nstable_time = \"1s\"\n\
        [process.upgraded]\nprocess_command = [\"/usr/local/bin/upgraded\", \"1000\"]\nprocess_user = \"nobody\"\n",
    );
    // it takes no SIGTERM
    guest.sh("printf '#!/bin/bash\\ntrap \"\" TERM\\nwhile :; do sleep 1000; done\\n' >/usr/local/bin/plaind; chmod 755 /usr/local/bin/plaind").ok();
    let start = |unit: &str, user: &str, arguments: &[&str]| {
        let (unit, user) = (format!("--unit={unit}"), format!("--uid={user}"));
        let head = ["systemd-run", "--quiet", "--service-type=exec", &unit, &user, "--", "/usr/local/bin/plaind"];
        guest.run(&[&head[..], arguments].concat()).ok();
    };
    start("old", "nobody", &["--name", "a $$HOME b"]);
    start("more", "nobody", &["--name", "a $$HOME b", "--more"]);
    start("less", "nobody", &["--name"]);
    start("others", "games", &["--name", "a $$HOME b"]);
    // the same in a container, whose processes are its own
    let inside = "unshare --pid --fork setpriv --reuid=nobody --clear-groups /usr/local/bin/plaind --name 'a $HOME b'";
    guest.write_file("/srv/inside", inside);
    guest.run(&["systemd-run", "--quiet", "--unit=container", "bash", "/srv/inside"]).ok();
    guest.wait_until("it runs in the container", || {
        guest.sh("pgrep -u nobody -f -c 'plaind --name a .HOME b$'").stdout.trim() == "2"
    });
    // one with files of its own is no container; its program was replaced since it started
    let upgraded = "cp /bin/sleep /usr/local/bin/upgraded; cp /bin/sleep /usr/local/bin/next
        systemd-run --quiet --service-type=exec --unit=of-before --uid=nobody -p PrivateTmp=yes /usr/local/bin/upgraded 1000
        mv /usr/local/bin/next /usr/local/bin/upgraded";
    guest.sh(upgraded).ok();
    // with the strategy "auto" this one would be restarted
    service(&guest, "plain");
    let others = ["more.service", "less.service", "others.service", "container.service", "plain.service"];
    let before = others.map(|unit| pid(&guest, unit));
    alarm(&guest, 1, "plain", "NULL");
    alarm(&guest, 2, "upgraded", "NULL");
    check(&guest);
    assert!(row(&guest, 1).starts_with("0\t0\t - Restarted"), "{}\n{}", row(&guest, 1), history(&guest, "process:plain"));
    assert_eq!(others.map(|unit| pid(&guest, unit)), before);
    assert!(row(&guest, 2).starts_with("0\t0\t - Restarted"), "{}", history(&guest, "process:upgraded"));
    for unit in ["old.service", "of-before.service"] {
        assert_ne!(guest.property(unit, "ActiveState"), "active", "{unit}");
    }
    assert_eq!(guest.sh("pgrep -u nobody -f -c 'plaind --name a .HOME b$'").stdout.trim(), "2");
    let status = guest.sysalert(&["process", "status", "-o", "json"]).json()[0].clone();
    assert_eq!((&status["process"], &status["unit_state"]), (&"plain".into(), &"running".into()));
    assert!(status["up_since"].as_str().is_some_and(|since| since.starts_with("20")), "{status}");
    let new = "sysalert-process-plain.service";
    let line = guest.sh(&format!("tr '\\0' '|' </proc/{}/cmdline; stat -c %U /proc/{0}", pid(&guest, new))).ok();
    assert_eq!(line, "/bin/bash|/usr/local/bin/plaind|--name|a $HOME b|nobody");
    // its own unit is no obstacle the next time
    let first = pid(&guest, new);
    sql(&guest, "UPDATE v_process_monitor.STATUS_PROCESS SET alarma = 1");
    check(&guest);
    assert!(row(&guest, 1).starts_with("0\t"), "{}", history(&guest, "process:plain"));
    assert_ne!(pid(&guest, new), first);
    assert_eq!(others.map(|unit| pid(&guest, unit)), before);
}

pub fn custom_commands_health_checks_and_what_comes_before(systemd: u32) {
    let guest = guest(
        systemd,
        "custom",
        &format!(
            "{}{}",
            custom_example(),
            r#"
[process.web]
health_check_url = "http://127.0.0.1:8099/health"
health_check_text = "all ok"
health_check_timeout = "10s"
[process.gone]
system_name = "web"
health_check_url = "http://127.0.0.1:8099/nowhere"
health_check_timeout = "1s"
max_attempts = 1
[process.port]
system_name = "web"
health_check_tcp = "127.0.0.1:8099"
health_check_timeout = "10s"
[process.closed]
system_name = "web"
health_check_tcp = "127.0.0.1:9"
health_check_timeout = "1s"
max_attempts = 1
[process.unit]
system_name = "web"
health_check_unit = "other.service"
health_check_timeout = "1s"
max_attempts = 1
[process.once]
health_check_command = ["/usr/bin/test", "-e", "/once"]
[process.forbidden]
system_name = "other"
pre_restart_command = ["/bin/false"]
[process.slow]
restart_strategy = "custom"
restart_command = ["/bin/sleep", "1000"]
command_timeout = "1s"
max_attempts = 1
health_check_unit = "web.service"
[process.db]
system_name = "other"
pre_restart_command = ["/bin/false"]
[process.app]
system_name = "web"
depends_on = ["db"]
[process.daemon]
process_command = ["/usr/local/bin/daemon"]
health_check_timeout = "1s"
# it may be seen before it leaves
stable_time = "10s"
max_attempts = 1
[process.script]
process_command = ["/bin/sh", "/usr/local/bin/open.sh"]
max_attempts = 1
[process.open]
restart_strategy = "custom"
restart_command = ["/usr/local/bin/open.sh"]
health_check_unit = "web.service"
"#
        ),
    );
    guest.write_file("/usr/local/bin/answer", ANSWER);
    guest
        .sh("chmod 755 /usr/local/bin/answer
             printf '#!/bin/bash\\ndate +%%s%%3N >>/times\\n[[ -e /tried ]] || { touch /tried; exit 3; }\\ncp /bin/sleep /run/$1; setsid /run/$1 1000 &\\n' >/usr/local/bin/custom_restart.sh
             printf '#!/bin/sh\\nsleep 1000 &\\n' >/usr/local/bin/daemon; chmod 755 /usr/local/bin/daemon
             printf '#!/bin/sh\\n' >/usr/local/bin/open.sh; chmod 777 /usr/local/bin/open.sh; chmod 755 /usr/local/bin/custom_restart.sh")
        .ok();
    guest.write_unit(
        "web.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/usr/bin/systemd-socket-activate --accept --inetd --listen=127.0.0.1:8099 /usr/local/bin/answer\n",
    );
    guest.run(&["systemctl", "start", "web.service"]).ok();
    guest.write_unit("other.service", "[Service]\nType=oneshot\nExecStart=/bin/touch /other\n");
    guest.write_unit("once.service", "[Service]\nType=oneshot\nExecStart=/bin/touch /once\n");
    let names = [
        "custom_example",
        "web",
        "gone",
        "port",
        "closed",
        "unit",
        "once",
        "forbidden",
        "slow",
        "db",
        "app",
        "daemon",
        "script",
        "open",
    ];
    for (id, name) in (1..).zip(names) {
        alarm(&guest, id, name, "NULL");
    }
    check(&guest);
    let good: Vec<&str> = (1..).zip(names).filter(|(id, _)| row(&guest, *id).starts_with("0\t")).map(|(_, name)| name).collect();
    // the first try of the custom one fails, the second does not
    assert_eq!(good, ["custom_example", "web", "port", "once"], "{}", guest.sysalert(&["process", "status"]));
    let times: Vec<u64> = guest.read_file("/times").lines().map(|time| time.parse().unwrap()).collect();
    assert!(times.len() == 2 && times[1] - times[0] >= 3000, "`restart_delay` is 3 s: {times:?}");
    // what the command left behind is still there
    guest.run(&["pgrep", "-x", "custom_example"]).ok();
    for (name, why) in [
        ("gone", "answers with status 404, not 200"),
        ("gone", "it was not healthy within 1 s"),
        ("closed", "127.0.0.1:9 takes no connection"),
        ("unit", "other.service is inactive"),
        ("forbidden", "its `pre_restart_command` exited with status 1"),
        ("slow", "its `restart_command` took longer than 1 s and was ended"),
        ("app", "its restart waits for db, which is in alarm, too"),
        ("daemon", "a program of `process_command` must stay in the foreground"),
        ("script", "chmod go-w /usr/local/bin/open.sh"),
        ("open", "chmod go-w /usr/local/bin/open.sh"),
    ] {
        let told = history(&guest, &format!("process:{name}"));
        let status = guest.sysalert(&["process", "status"]).ok();
        assert!(told.contains(why), "{name}: {told}\n{status}");
    }
    assert!(!guest.run(&["test", "-e", "/other"]).success());
    // an argument may be a secret
    let journal = guest.journal(&["-o", "cat"]);
    assert!(
        journal.contains("Started The restart_command of slow") || journal.contains(" - The restart_command of slow"),
        "{journal}"
    );
    assert!(!journal.contains("/bin/sleep 1000"), "{journal}");
}

pub fn a_process_that_never_becomes_healthy_opens_its_breaker_for_longer_than_a_boot(systemd: u32) {
    let more = "[process.bad]\nstable_time = \"1s\"\nmax_attempts = 3\n";
    let guest = guest(systemd, "breaker", more);
    guest.write_unit(
        "bad.service",
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sh -c 'echo try >>/tries; exit 3'\n",
    );
    alarm(&guest, 1, "bad", "NULL");
    let tries = || guest.sh("cat /tries 2>/dev/null | wc -l").ok();
    let status = || guest.sysalert(&["process", "status", "-o", "json"]).json()[0].clone();
    check(&guest);
    assert_eq!((tries().as_str(), &status()["breaker"], &status()["failed_in_a_row"]), ("3", &"closed".into(), &1.into()));
    check(&guest);
    assert_eq!((tries().as_str(), &status()["breaker"], &status()["failed_in_a_row"]), ("6", &"open".into(), &2.into()));
    check(&guest);
    assert_eq!(tries(), "6");
    let told = history(&guest, "process:bad");
    assert!(told.contains("could not be restarted") && told.contains("2 restarts in a row failed"), "{told}");
    let row = guest.sysalert(&["db", "list", "-o", "json"]).json()[0].clone();
    assert_eq!((&row["subject"], &row["severity"]), (&"process:bad".into(), &"critical".into()));
    guest.reboot();
    assert_eq!(status()["breaker"], "open");
    guest.run(&["systemctl", "start", "db.service"]).ok();
    check(&guest);
    assert_eq!(tries(), "6");
    // its time is over: one trial
    configure(&guest, &format!("{}{more}", super::CONFIG.replace("\"10m\"", "\"1s\"")));
    guest.wait_until("the breaker is half-open", || status()["breaker"] == "half-open");
    check(&guest);
    assert_eq!((tries().as_str(), &status()["failed_in_a_row"]), ("9", &3.into()));
    // mended, and by hand
    assert_eq!(guest.sysalert(&["process", "restart", "bad"]).status, 1);
    service(&guest, "bad");
    guest.sysalert(&["process", "restart", "bad"]).ok();
    assert_eq!((&status()["breaker"], &status()["alarm"]), (&"closed".into(), &"ok".into()));
    assert!(super::row(&guest, 1).starts_with("0\t"), "{}", super::row(&guest, 1));
    assert!(guest.sysalert(&["db", "list", "-o", "json"]).json().as_array().unwrap().is_empty());
}

pub fn a_health_check_over_https_trusts_whom_the_system_trusts(systemd: u32) {
    let section = |name: &str, port: u16| {
        format!(
            "[process.{name}]\nsystem_name = \"web\"\nhealth_check_url = \"https://127.0.0.1:{port}/health\"\nhealth_check_text = \"all ok\"
max_attempts = 1\n"
        )
    };
    let guest = guest(systemd, "https", &(section("known", 8443) + &section("unknown", 8444)));
    service(&guest, "web");
    guest
        .sh("mkdir -p /srv/www /etc/ssl/certs; cd /srv/www; echo 'all ok' >health
             for name in known unknown; do
                 openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout /srv/$name.key -out /srv/$name.pem \
                     -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE 2>/dev/null
             done
             cat /srv/known.pem >>/etc/ssl/certs/ca-certificates.crt")
        .ok();
    for (name, port) in [("known", 8443), ("unknown", 8444)] {
        guest.write_unit(
            &format!("{name}.service"),
            &format!(
                "[Service]\nWorkingDirectory=/srv/www\nExecStart=/usr/bin/openssl s_server -accept {port} -cert /srv/{name}.pem -key /srv/{name}.key -WWW\n"
            ),
        );
        guest.run(&["systemctl", "start", &format!("{name}.service")]).ok();
    }
    alarm(&guest, 1, "known", "NULL");
    alarm(&guest, 2, "unknown", "NULL");
    check(&guest);
    let status = guest.sysalert(&["process", "status"]);
    assert!(row(&guest, 1).starts_with("0\t") && row(&guest, 2).starts_with("1\t"), "{status}");
    let why = history(&guest, "process:unknown");
    assert!(why.contains("issuer") || why.contains("certificate"), "{why}");
}
