//! What is wrong with files: whose they are, who may do what with them, who sees them.

use super::Do::{Config, Sh};
use super::{Row, row};

pub(super) const ROWS: &[Row] = &[
    row(
        "state",
        "/var/lib/sysalert belongs to root: no handler can record anything",
        Sh("chown root /var/lib/sysalert"),
        Sh("chown sysalert /var/lib/sysalert"),
    ),
    row(
        "state",
        "others can change or read /var/lib/sysalert (mode 2777)",
        Sh("chmod 2777 /var/lib/sysalert"),
        Sh("chmod 2750 /var/lib/sysalert"),
    ),
    row(
        "state",
        "/var/lib/sysalert/sysalert.db belongs to root, and not to sysalert, who must write it",
        Sh("chown root /var/lib/sysalert/sysalert.db"),
        Sh("chown sysalert /var/lib/sysalert/sysalert.db"),
    ),
    row(
        "owners",
        "/etc/sysalert/sysalert.toml belongs to nobody, who can thus have programs started",
        Sh("chown nobody /etc/sysalert/sysalert.toml"),
        Sh("chown root /etc/sysalert/sysalert.toml"),
    ),
    row(
        "owners",
        "others can change /etc/sysalert/sysalert.toml (mode 0660)",
        Sh("chmod 0660 /etc/sysalert/sysalert.toml"),
        Sh("chmod 0640 /etc/sysalert/sysalert.toml"),
    ),
    row(
        "owners",
        "/etc/sysalert/sysalert.toml cannot be read by the user sysalert",
        Sh("chgrp root /etc/sysalert/sysalert.toml"),
        Sh("chgrp sysalert /etc/sysalert/sysalert.toml"),
    ),
    row(
        "owners",
        "everybody may read /etc/sysalert/sysalert.toml",
        Sh("chmod 0755 /etc/sysalert; chmod 0644 /etc/sysalert/sysalert.toml"),
        Sh("chmod 0750 /etc/sysalert; chmod 0640 /etc/sysalert/sysalert.toml"),
    ),
    row(
        "secrets",
        "the credential smtp is to come from /etc/credstore/none, which is not there: what needs it is not sent",
        Sh("mkdir /etc/systemd/system/sysalert-dispatch.service.d; printf '[Service]\\nLoadCredential=smtp:/etc/credstore/none\\n' >/etc/systemd/system/sysalert-dispatch.service.d/smtp.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system/sysalert-dispatch.service.d; systemctl daemon-reload"),
    ),
    row(
        "secrets",
        "others can read /etc/credstore/sysalert-smtp, which holds a secret (mode 0644)",
        Sh("mkdir -p /etc/systemd/system/sysalert-dispatch.service.d /etc/credstore; printf x >/etc/credstore/sysalert-smtp; chmod 0644 /etc/credstore/sysalert-smtp; printf '[Service]\\nLoadCredential=smtp:/etc/credstore/sysalert-smtp\\n' >/etc/systemd/system/sysalert-dispatch.service.d/smtp.conf; systemctl daemon-reload"),
        Sh("rm -r /etc/systemd/system/sysalert-dispatch.service.d /etc/credstore/sysalert-smtp; systemctl daemon-reload"),
    ),
    row("secrets", "others can read /etc/sysalert/token", Sh("chmod 0644 /etc/sysalert/token"), Sh("chmod 0640 /etc/sysalert/token")),
    row(
        "secrets",
        "others can read /etc/sysalert/environment",
        Sh("printf 'A=b\\n' >/etc/sysalert/environment; chmod 0644 /etc/sysalert/environment"),
        Sh("rm /etc/sysalert/environment"),
    ),
    row(
        "sandbox",
        "`command` of [method.mine] names /home/notify, and sysalert-dispatch.service does not see /home",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/home/notify\"]\n"),
        Config(""),
    ),
    row(
        "sandbox",
        "`path` of [method.mine] names /tmp/alerts.json, and sysalert-dispatch.service does not see /tmp",
        Config("[method.mine]\nplugin = \"file\"\npath = \"/tmp/alerts.json\"\n"),
        Config(""),
    ),
    row(
        "state",
        "the file system of /var/lib/sysalert is read-only: nothing can be recorded",
        Sh("mount --bind /var/lib/sysalert /var/lib/sysalert; mount -o remount,bind,ro /var/lib/sysalert"),
        Sh("umount /var/lib/sysalert"),
    ),
    row(
        "state",
        " KiB left: soon nothing can be recorded",
        Sh("mount -t tmpfs -o size=4m small /mnt; cp -a /var/lib/sysalert/. /mnt; mount --bind /mnt /var/lib/sysalert; umount /mnt"),
        Sh("umount /var/lib/sysalert"),
    ),
    row(
        "state",
        "the file system of /var/lib/sysalert can hold no further file: soon nothing can be recorded",
        Sh("mount -t tmpfs -o size=64m,nr_inodes=99 small /mnt; cp -a /var/lib/sysalert/. /mnt; mount --bind /mnt /var/lib/sysalert; umount /mnt
            # what reads the database has its files there
            cd /var/lib/sysalert; touch sysalert.db-wal sysalert.db-shm; for i in {1..99}; do touch full$i 2>/dev/null || true; done; chown sysalert: full* sysalert.db-*"),
        Sh("umount /var/lib/sysalert"),
    ),
    row(
        "state",
        "/run/sysalert belongs to nobody: dispatch is not woken, but by its timer",
        Sh("chown nobody /run/sysalert"),
        Sh("chown sysalert /run/sysalert"),
    ),
    row(
        "secrets",
        "names the credential nowhere, which sysalert-dispatch.service is not given",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/usr/bin/true\"]\nsecret.credential = \"nowhere\"\n"),
        Config(""),
    ),
    row(
        "secrets",
        "names the variable NOPE, which sysalert-dispatch.service does not have",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/usr/bin/true\"]\nsecret.env = \"NOPE\"\n"),
        Config(""),
    ),
    row(
        "secrets",
        "/etc/sysalert/token, which holds a secret, belongs to nobody",
        Sh("chown nobody /etc/sysalert/token"),
        Sh("chown root /etc/sysalert/token"),
    ),
    row(
        "programs",
        "cannot run /opt/notify: No such file",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/opt/notify\"]\n"),
        Config(""),
    ),
    row(
        "programs",
        "`command` of [sensor.command.mine]: sysalert cannot run /opt/check: No such file",
        Sh("printf '[sensor.command.mine]\\ncommand = [\"/opt/check\"]\\n' >/etc/sysalert/conf.d/sensors.toml; systemctl enable --quiet --now sysalert-check@sensors.timer"),
        Sh("systemctl disable --quiet --now sysalert-check@sensors.timer; rm /etc/sysalert/conf.d/sensors.toml"),
    ),
    row(
        "programs",
        "cannot run /etc/sysalert/token",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/etc/sysalert/token\"]\n"),
        Config(""),
    ),
    row(
        "programs",
        "cannot run /opt/notify.sh: No such file",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/bin/sh\", \"/opt/notify.sh\"]\n"),
        Config(""),
    ),
    row(
        "sandbox",
        "sysalert-dispatch.service runs nothing below /var/log/sysalert",
        Config("[method.mine]\nplugin = \"command\"\ncommand = [\"/var/log/sysalert/notify\"]\n"),
        Config(""),
    ),
    row(
        "files",
        "`path` of [method.mine]: /srv/none is not there",
        Config("[method.mine]\nplugin = \"file\"\npath = \"/srv/none/alerts.json\"\n"),
        Config(""),
    ),
    row(
        "files",
        "`path` of [method.mine]: sysalert-dispatch.service may not write in /srv/alerts",
        Sh("install -d -o sysalert /srv/alerts; printf '[method.mine]\\nplugin = \"file\"\\npath = \"/srv/alerts/a.json\"\\n' >/etc/sysalert/conf.d/own.toml"),
        Sh("rm -r /srv/alerts /etc/sysalert/conf.d/own.toml"),
    ),
];
