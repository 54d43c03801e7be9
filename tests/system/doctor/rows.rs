//! The table: each thing that would keep an alert from arriving.

mod files;

/// How something is brought about, or taken back.
pub(super) enum Do {
    Sh(&'static str),
    /// In sysalert's database.
    Sql(&'static str),
    /// The configuration, behind what works.
    Config(&'static str),
}
use Do::{Config, Sh, Sql};

/// One thing: how it is brought about and taken back, which look finds it, and words of what it says.
pub(super) struct Row {
    pub make: Do,
    pub undo: Do,
    pub look: &'static str,
    pub outcome: &'static str,
    pub words: &'static str,
}

const fn row(look: &'static str, words: &'static str, make: Do, undo: Do) -> Row {
    Row { make, undo, look, outcome: "finding", words }
}

const fn note(look: &'static str, words: &'static str, make: Do, undo: Do) -> Row {
    Row { make, undo, look, outcome: "note", words }
}

pub(super) const LONG: &str =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// All of them.
pub(super) fn rows() -> Vec<&'static Row> {
    HERE.iter().chain(files::ROWS).collect()
}

const HERE: &[Row] = &[
    row(
        "handlers",
        "sysalert-failure@.service is masked",
        Sh("systemctl mask --quiet --runtime sysalert-failure@.service"),
        Sh("systemctl unmask --quiet --runtime sysalert-failure@.service"),
    ),
    row(
        "handlers",
        "sysalert-success@.service is not installed",
        Sh("mv /usr/lib/systemd/system/sysalert-success@.service /root; systemctl daemon-reload"),
        Sh("mv /root/sysalert-success@.service /usr/lib/systemd/system; systemctl daemon-reload"),
    ),
    row(
        "handlers",
        "starts /opt/none/sysalert, which is not there",
        Sh("sed -i s,=/usr/bin/sysalert,=/opt/none/sysalert, /usr/lib/systemd/system/sysalert-failure@.service; systemctl daemon-reload"),
        Sh("sed -i s,=/opt/none/sysalert,=/usr/bin/sysalert, /usr/lib/systemd/system/sysalert-failure@.service; systemctl daemon-reload"),
    ),
    row(
        "handlers",
        "have a handler, mine.service: the two start each other",
        Sh("mkdir /etc/systemd/system/sysalert-failure@.service.d; printf '[Unit]\\nOnFailure=mine.service\\n' >/etc/systemd/system/sysalert-failure@.service.d/mine.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system/sysalert-failure@.service.d; systemctl daemon-reload"),
    ),
    row(
        "delivery",
        "sysalert-dispatch.path is inactive",
        Sh("systemctl stop sysalert-dispatch.path"),
        Sh("systemctl start sysalert-dispatch.path"),
    ),
    row(
        "delivery",
        "sysalert-dispatch.timer runs and is disabled",
        Sh("systemctl disable --quiet sysalert-dispatch.timer"),
        Sh("systemctl enable --quiet sysalert-dispatch.timer"),
    ),
    row(
        "delivery",
        "sysalert-dispatch.service is masked: no alert is sent",
        Sh("systemctl mask --quiet --runtime sysalert-dispatch.service"),
        Sh("systemctl unmask --quiet --runtime sysalert-dispatch.service"),
    ),
    row(
        "timers",
        "sysalert-check@services.timer is inactive",
        Sh("printf '[services]\\nunits = [\"backup.service\"]\\n' >/etc/sysalert/conf.d/polled.toml; systemctl stop sysalert-check@services.timer"),
        Sh("rm /etc/sysalert/conf.d/polled.toml; systemctl start sysalert-check@services.timer"),
    ),
    note(
        "timers",
        "sysalert-check@services.timer is inactive: what [services] and expect_success ask for, and timers that no longer run",
        Sh("systemctl stop sysalert-check@services.timer"),
        Sh("systemctl start sysalert-check@services.timer"),
    ),
    row(
        "timers",
        "sysalert-check@sensors.timer is inactive: no sensor measures anything",
        Config("[sensor.storage]\nevery = \"10m\"\n"),
        Config(""),
    ),
    row(
        "timers",
        "what should be looked at every 5m is not",
        Sh("printf '[sensor.storage]\\nevery = \"10m\"\\n' >/etc/sysalert/conf.d/sensors.toml
            mkdir /etc/systemd/system/sysalert-check@sensors.timer.d
            printf '[Timer]\\nOnCalendar=\\nOnActiveSec=1s\\nOnCalendar=2099-01-01\\n' >/etc/systemd/system/sysalert-check@sensors.timer.d/slow.conf
            systemctl daemon-reload; systemctl enable --quiet --now sysalert-check@sensors.timer
            until [[ $(systemctl show --value -p LastTriggerUSec sysalert-check@sensors.timer) == *:* ]]; do sleep 0.1; done
            # while what it starts runs, systemd has no next time
            until [[ $(systemctl show --value -p SubState sysalert-check@sensors.timer) == waiting ]]; do sleep 0.1; done"),
        Sh("systemctl disable --quiet --now sysalert-check@sensors.timer; rm -r /etc/systemd/system/sysalert-check@sensors.timer.d /etc/sysalert/conf.d/sensors.toml; systemctl daemon-reload"),
    ),
    row(
        "drop-ins",
        "takes the place of /etc/systemd/system/backup.service.d/10-sysalert.conf, which has the same name",
        Sh("mkdir -p /etc/systemd/system.control/backup.service.d; printf '[Unit]\\nDescription=x\\n' >/etc/systemd/system.control/backup.service.d/10-sysalert.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system.control/backup.service.d; systemctl daemon-reload"),
    ),
    row(
        "drop-ins",
        "backup.service has no handler, although /etc/systemd/system/backup.service.d/10-sysalert.conf names one",
        Sh("sed -i 's/^.Unit.$/[Service]/' /etc/systemd/system/backup.service.d/10-sysalert.conf; systemctl daemon-reload"),
        Sh("sed -i 's/^.Service.$/[Unit]/' /etc/systemd/system/backup.service.d/10-sysalert.conf; systemctl daemon-reload"),
    ),
    row(
        "drop-ins",
        "systemd has not read /etc/systemd/system/daemon.service.d/10-sysalert.conf yet",
        Sh("cp -r /etc/systemd/system/backup.service.d /etc/systemd/system/daemon.service.d"),
        Sh("rm -r /etc/systemd/system/daemon.service.d; systemctl daemon-reload"),
    ),
    row(
        "drop-ins",
        "web-.service.d/10-sysalert.conf takes the place of /etc/systemd/system/service.d/10-sysalert.conf",
        Sh("sysalert enable --system-wide >/dev/null; mkdir /etc/systemd/system/web-.service.d; printf '[Unit]\\nDescription=x\\n' >/etc/systemd/system/web-.service.d/10-sysalert.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system/web-.service.d; sysalert disable --system-wide >/dev/null"),
    ),
    note(
        "drop-ins",
        "is for a unit that is not-found",
        Sh("cp -r /etc/systemd/system/backup.service.d /etc/systemd/system/gone.service.d; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system/gone.service.d; systemctl daemon-reload"),
    ),
    row(
        "names",
        "with more than 230 systemd cannot name its handler, so that its failures are not told",
        Sh("printf '[Unit]\\nOnFailure=sysalert-failure@%%n.service\\n[Service]\\nExecStart=/bin/true\\n' >/etc/systemd/system/$LONG$LONG.service; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/$LONG$LONG.service; systemctl daemon-reload"),
    ),
    row(
        "units",
        "backup.service has OnFailureJobMode=flush",
        Sh("printf '[Unit]\\nOnFailureJobMode=flush\\n' >/etc/systemd/system/backup.service.d/50-flush.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/backup.service.d/50-flush.conf; systemctl daemon-reload"),
    ),
    note(
        "units",
        "when backup.service fails, mine.service is started as well",
        Sh("printf '[Unit]\\nOnFailure=mine.service\\n' >/etc/systemd/system/backup.service.d/50-mine.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/backup.service.d/50-mine.conf; systemctl daemon-reload"),
    ),
    row(
        "units",
        "no unit tells of its failures",
        Sh("sysalert disable --all >/dev/null"),
        Sh("sysalert enable backup >/dev/null"),
    ),
    row("configuration", "unknown key in [policy]: `ignroe`", Config("[policy]\nignroe = 2\n"), Config("")),
    row("configuration", "there is no plugin fiel.so", Config("[method.mine]\nplugin = \"fiel\"\n"), Config("")),
    row(
        "configuration",
        "60-own.conf:2",
        Sh("printf '[X-Sysalert]\\nIgnore=often\\n' >/etc/systemd/system/backup.service.d/60-own.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/backup.service.d/60-own.conf; systemctl daemon-reload"),
    ),
    row(
        "configuration",
        "file.so can be changed by others",
        Sh("cd /usr/lib/sysalert/plugins; cp --remove-destination ../bundle.so file.so; chmod o+w file.so"),
        Sh("ln -sf ../bundle.so /usr/lib/sysalert/plugins/file.so"),
    ),
    note(
        "configuration",
        "no method is configured but the journal",
        Sh("mv /etc/sysalert/sysalert.toml /root"),
        Sh("mv /root/sysalert.toml /etc/sysalert"),
    ),
    row(
        "plugins",
        "/usr/lib/sysalert/plugins/file.so is of version 1, and this is sysalert",
        Sh("mv /usr/lib/sysalert/plugins/file.so /root; cp /usr/share/noise.so /usr/lib/sysalert/plugins/file.so"),
        Sh("mv /root/file.so /usr/lib/sysalert/plugins/file.so"),
    ),
    row(
        "channels",
        "mine cannot be reached: 127.0.0.1:1",
        Config("[method.mine]\nplugin = \"email\"\nhost = \"127.0.0.1\"\nport = 1\nto = [\"a@example.org\"]\n"),
        Config(""),
    ),
    row(
        "channels",
        "mine cannot be reached: https://127.0.0.1:1 cannot be reached",
        Config("[method.mine]\nplugin = \"webhook\"\npreset = \"ntfy\"\nurl = \"https://127.0.0.1:1/topic\"\n"),
        Config(""),
    ),
    note(
        "channels",
        "whether mine can be reached is not known without its `url`",
        Config("[method.mine]\nplugin = \"webhook\"\npreset = \"slack\"\nurl.credential = \"slack\"\n"),
        Config(""),
    ),
    row(
        "clock",
        "one of them is wrong",
        Sql("INSERT INTO events (subject, outcome, run, at, reason, confirmed) VALUES ('unit:ahead.service', 'failed', 'x', (unixepoch() + 86400) * 1000000, '{\"reason\":\"cleared\"}', 1)"),
        Sql("DELETE FROM events WHERE subject = 'unit:ahead.service'"),
    ),
    row(
        "journal",
        "there is no journal here that this user may see",
        Sh("chmod 0700 /var/log/journal"),
        Sh("chmod 2755 /var/log/journal"),
    ),
    row(
        "outbox",
        "1 alert is not sent, the oldest since",
        Sql("INSERT INTO alerts (id, kind, key, at) VALUES (999, 'test', 'old', (unixepoch() - 7200) * 1000000); INSERT INTO outbox (alert, method, due, tried, attempts, detail) VALUES (999, 'log', 0, 1, 3, 'the disk is full')"),
        Sql("DELETE FROM outbox WHERE alert = 999; DELETE FROM alerts WHERE id = 999"),
    ),
    row(
        "methods",
        "log has sent nothing since",
        Sql("INSERT INTO outages (method, since, last, detail) VALUES ('log', (unixepoch() - 7200) * 1000000, unixepoch() * 1000000, 'the disk is full')"),
        Sql("DELETE FROM outages"),
    ),
    row(
        "record",
        "failures without a handler were last looked for",
        Sql("INSERT OR REPLACE INTO meta (key, value) VALUES ('swept', (unixepoch() - 10800) * 1000000)"),
        Sql("INSERT OR REPLACE INTO meta (key, value) VALUES ('swept', unixepoch() * 1000000)"),
    ),
    row(
        "record",
        "1 recorded event is not in the database",
        Sh("install -d -o sysalert -g sysalert -m 0750 /var/lib/sysalert/spool; install -o sysalert -g sysalert -m 0640 /dev/null /var/lib/sysalert/spool/1.json"),
        Sh("rm /var/lib/sysalert/spool/1.json"),
    ),
    row(
        "record",
        "1 recorded event is not decided, as the configuration is not valid",
        Sh("printf 'nonsense\\n' >/etc/sysalert/conf.d/broken.toml; sysalert failure -- undecided.service 2>/dev/null"),
        Sh("rm /etc/sysalert/conf.d/broken.toml; sysalert db clear undecided --yes >/dev/null; systemctl start sysalert-dispatch.service"),
    ),
    row(
        "changes",
        "sets User=nobody of sysalert-dispatch.service: no alert is sent",
        Sh("mkdir -p /etc/systemd/system/sysalert-dispatch.service.d; printf '[Service]\\nUser=nobody\\n' >/etc/systemd/system/sysalert-dispatch.service.d/x.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/sysalert-dispatch.service.d/x.conf; rmdir /etc/systemd/system/sysalert-dispatch.service.d 2>/dev/null || true; systemctl daemon-reload"),
    ),
    row(
        "changes",
        "sets PrivateNetwork=yes of sysalert-dispatch.service: no alert is sent",
        Sh("mkdir -p /etc/systemd/system/sysalert-dispatch.service.d; printf '[Service]\\nPrivateNetwork=yes\\n' >/etc/systemd/system/sysalert-dispatch.service.d/x.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/sysalert-dispatch.service.d/x.conf; rmdir /etc/systemd/system/sysalert-dispatch.service.d 2>/dev/null || true; systemctl daemon-reload"),
    ),
    row(
        "changes",
        "sets ExecStart=/bin/true of sysalert-failure@.service, another program: no failure is recorded at once",
        Sh("mkdir -p /etc/systemd/system/sysalert-failure@.service.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/true\\n' >/etc/systemd/system/sysalert-failure@.service.d/x.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/sysalert-failure@.service.d/x.conf; rmdir /etc/systemd/system/sysalert-failure@.service.d 2>/dev/null || true; systemctl daemon-reload"),
    ),
    row(
        "changes",
        "sets ConditionPathExists=/none of sysalert-success@.service, and while that is not so",
        Sh("mkdir -p /etc/systemd/system/sysalert-success@.service.d; printf '[Unit]\\nConditionPathExists=/none\\n' >/etc/systemd/system/sysalert-success@.service.d/x.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/sysalert-success@.service.d/x.conf; rmdir /etc/systemd/system/sysalert-success@.service.d 2>/dev/null || true; systemctl daemon-reload"),
    ),
    row(
        "changes",
        "sets User=nobody of sysalert-check@services.service: nothing of [services] is looked at",
        Sh("printf '[services]\\nunits = [\"backup.service\"]\\n' >/etc/sysalert/conf.d/polled.toml; mkdir -p /etc/systemd/system/sysalert-check@services.service.d; printf '[Service]\\nUser=nobody\\n' >/etc/systemd/system/sysalert-check@services.service.d/x.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/sysalert/conf.d/polled.toml /etc/systemd/system/sysalert-check@services.service.d; systemctl daemon-reload"),
    ),
    row(
        "changes",
        "sets ExecStart=/bin/true of sysalert-check@sensors.service, another program: no sensor measures anything",
        Sh("printf '[sensor.storage]\\nevery = \"10m\"\\n' >/etc/sysalert/conf.d/sensors.toml; mkdir -p /etc/systemd/system/sysalert-check@sensors.service.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/true\\n' >/etc/systemd/system/sysalert-check@sensors.service.d/x.conf; systemctl daemon-reload; systemctl enable --quiet --now sysalert-check@sensors.timer"),
        Sh("systemctl disable --quiet --now sysalert-check@sensors.timer; rm -r /etc/sysalert/conf.d/sensors.toml /etc/systemd/system/sysalert-check@sensors.service.d; systemctl daemon-reload"),
    ),
    row(
        "delivery",
        "sysalert-dispatch.service failed when it ran last",
        Sh("mkdir -p /etc/systemd/system/sysalert-dispatch.service.d; printf '[Service]\\nExecStart=\\nExecStart=/bin/false\\n' >/etc/systemd/system/sysalert-dispatch.service.d/x.conf; systemctl daemon-reload; systemctl start sysalert-dispatch.service || true"),
        Sh("rm -r /etc/systemd/system/sysalert-dispatch.service.d; systemctl daemon-reload; systemctl start sysalert-dispatch.service"),
    ),
    row(
        "timers",
        "sysalert-check@services.service is masked",
        Sh("printf '[services]\\nunits = [\"backup.service\"]\\n' >/etc/sysalert/conf.d/polled.toml; systemctl mask --quiet --runtime sysalert-check@.service"),
        Sh("rm /etc/sysalert/conf.d/polled.toml; systemctl unmask --quiet --runtime sysalert-check@.service"),
    ),
    row(
        "drop-ins",
        "20-sysalert-strict.conf, which has the same name: daemon.service does not record its runs itself",
        Sh("sysalert enable --strict daemon >/dev/null; mkdir -p /etc/systemd/system.control/daemon.service.d; printf '[Unit]\\nDescription=x\\n' >/etc/systemd/system.control/daemon.service.d/20-sysalert-strict.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system.control/daemon.service.d; sysalert disable daemon >/dev/null"),
    ),
    row(
        "drop-ins",
        "/etc/systemd/system/service.d/10-sysalert.conf gives sysalert-failure@.service a handler",
        Sh("mv /usr/lib/systemd/system/sysalert-.service.d /root; sysalert enable --system-wide >/dev/null || { mkdir -p /etc/systemd/system/service.d; printf '[Unit]\\nOnFailure=sysalert-failure@%%n.service\\n' >/etc/systemd/system/service.d/10-sysalert.conf; systemctl daemon-reload; }"),
        Sh("mv /root/sysalert-.service.d /usr/lib/systemd/system; sysalert disable --system-wide >/dev/null || true; rm -rf /etc/systemd/system/service.d; systemctl daemon-reload"),
    ),
    row(
        "spelling",
        "names sysalert-failur@%n.service, and there is no such unit: nothing is told",
        Sh("mkdir -p /etc/systemd/system/daemon.service.d; printf '[Unit]\\nOnFailure=sysalert-failur@%%n.service\\n' >/etc/systemd/system/daemon.service.d/x.conf; systemctl daemon-reload"),
        Sh("rm /etc/systemd/system/daemon.service.d/x.conf; rmdir /etc/systemd/system/daemon.service.d 2>/dev/null || true; systemctl daemon-reload"),
    ),
    note(
        "configuration",
        "no unit is told of by [method.own]: `methods` of [policy]",
        Config("[policy]\nmethods = [\"log\"]\n"),
        Config(""),
    ),
    row(
        "channels",
        "the address of [heartbeat] cannot be reached: https://127.0.0.1:1",
        Config("[heartbeat]\nurl = \"https://127.0.0.1:1/beat\"\n"),
        Config(""),
    ),
    row(
        "methods",
        "It is configured no more",
        Sql("INSERT INTO outages (method, since, last, detail) VALUES ('gone', (unixepoch() - 7200) * 1000000, unixepoch() * 1000000, 'x'); INSERT INTO alerts (id, kind, key, at) VALUES (998, 'test', 'gone', unixepoch() * 1000000); INSERT INTO outbox (alert, method, due, tried, attempts, detail) VALUES (998, 'gone', 0, 1, 3, 'x')"),
        Sql("DELETE FROM outages; DELETE FROM outbox WHERE alert = 998; DELETE FROM alerts WHERE id = 998"),
    ),
    row(
        "journal",
        "journald keeps nothing (Storage=none)",
        Sh("mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nStorage=none\\n' >/etc/systemd/journald.conf.d/x.conf"),
        Sh("rm /etc/systemd/journald.conf.d/x.conf"),
    ),
    // the last one, since the journal begins anew
    note(
        "journal",
        "the journal is kept in memory",
        Sh("mkdir -p /etc/systemd/journald.conf.d; printf '[Journal]\\nStorage=volatile\\n' >/etc/systemd/journald.conf.d/x.conf; mv /var/log/journal /var/log/aside; systemctl restart systemd-journald"),
        Sh("rm /etc/systemd/journald.conf.d/x.conf; mv /var/log/aside /var/log/journal; systemctl restart systemd-journald; journalctl --flush"),
    ),
];

/// Looked at behind all others: a timer that has elapsed once has done so for good.
pub(super) const SLOW: Row = row(
    "delivery",
    "what should be looked at every 1m is not",
    Sh("printf '[Timer]\\nOnCalendar=\\nOnActiveSec=1s\\nOnCalendar=2099-01-01\\n' >/etc/systemd/system/sysalert-dispatch.timer.d/x.conf
            systemctl daemon-reload; systemctl restart sysalert-dispatch.timer
            until [[ $(systemctl show --value -p LastTriggerUSec sysalert-dispatch.timer) == *:* ]]; do sleep 0.1; done
            # while what it starts runs, systemd has no next time
            until [[ $(systemctl show --value -p SubState sysalert-dispatch.timer) == waiting ]]; do sleep 0.1; done"),
    Sh("true"),
);
