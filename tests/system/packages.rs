//! The packages of `make package`: what is in them, and what they do at installation, upgrade, removal and purge.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::guest::{Guest, Options, stage};
use crate::jobs::{AS_SYSALERT, Job, MAIL, about};

/// What is the packages' own and comes from no installation.
const HOOK: &str = "/usr/lib/sysalert/package-hook";

/// What a first installation switches on.
const UNITS: [&str; 3] = ["sysalert-dispatch.path", "sysalert-dispatch.timer", "sysalert-check@services.timer"];

/// The package with this ending; `SYSALERT_PACKAGES` names their folder.
#[track_caller]
fn package(ending: &str) -> PathBuf {
    let folder = std::env::var_os("SYSALERT_PACKAGES").expect(
        "SYSALERT_PACKAGES must name the folder that tests/system/package made: target/package; \"make check\" does all of it",
    );
    let mut found = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let path = found.find_map(|file| file.ok().map(|file| file.path()).filter(|path| path.extension() == Some(ending.as_ref())));
    path.unwrap_or_else(|| panic!("there is no .{ending} in {}", folder.display()))
}

#[track_caller]
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every file that an installation puts into place.
fn staged() -> BTreeSet<String> {
    let stage = stage().display().to_string();
    let files = said("find", &[&stage, "-type", "f", "-printf", "/%P\n"]);
    files.lines().map(str::to_owned).collect()
}

/// Every plugin: a link to the file that has them all. The .rpm makes them when it is installed.
fn staged_links() -> BTreeSet<String> {
    let stage = stage().display().to_string();
    said("find", &[&stage, "-type", "l", "-printf", "/%P\n"]).lines().map(str::to_owned).collect()
}

#[track_caller]
fn install(guest: &Guest, package: &str) -> String {
    guest
        .sh(&format!("DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {package} 2>&1 </dev/null"))
        .ok()
}

/// A guest without sysalert, with a mail server and this package in /root; its mails' password waits beside it.
fn fresh_guest(name: &str, package: &Path, inside: &str) -> Guest {
    let guest = Guest::boot(name, Options::bare().mail_server());
    assert!(!guest.exists("/usr/bin/sysalert") && !guest.exists("/usr/lib/sysalert"), "a fresh guest has no sysalert");
    guest.sh("mv /etc/sysalert/smtp-password /root/ && rmdir /etc/sysalert").ok();
    guest.copy(package, inside);
    guest
}

#[track_caller]
fn use_mail(guest: &Guest) {
    guest.sh("install -m 0640 -g sysalert /root/smtp-password /etc/sysalert/smtp-password").ok();
    guest.configure(MAIL);
}

#[track_caller]
fn states(guest: &Guest) -> Vec<(String, String)> {
    UNITS.iter().map(|unit| (guest.property(unit, "UnitFileState"), guest.property(unit, "ActiveState"))).collect()
}

/// Who owns these files and folders, and who may what.
#[track_caller]
fn modes(guest: &Guest, paths: &str) -> String {
    guest.sh(&format!("stat -c '%A %U:%G %n' {paths}")).ok()
}

/// All files of `/etc` and `/usr`, and elsewhere those with sysalert's name, but for what dpkg keeps about packages.
#[track_caller]
fn files(guest: &Guest) -> BTreeSet<String> {
    let found = guest.sh("{ find /etc /usr; find /var /run -name '*sysalert*' -not -path '/var/lib/dpkg/*' -not -path '/var/log/journal/*'; } 2>/dev/null").ok();
    // copies that any change of users makes
    let backups = ["/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock"];
    found.lines().filter(|path| !backups.contains(path)).map(str::to_owned).collect()
}

/// What starts dispatch by itself.
const STARTERS: [&str; 2] = ["sysalert-dispatch.timer", "sysalert-dispatch.path"];

/// Lets nobody but a package's scripts deliver: masked, neither a handler nor these scripts start them again.
#[track_caller]
fn nobody_delivers(guest: &Guest) {
    guest.rest();
    guest.run(&[&["systemctl", "mask", "--runtime"], &STARTERS[..]].concat()).ok();
    guest.wait_until("dispatch is at rest", || guest.property("sysalert-dispatch.service", "ActiveState") == "inactive");
}

/// A unit whose failure waits, that nobody but a package's script delivers, and that nothing keeps from being sent.
#[track_caller]
fn one_waits(guest: &Guest) -> Job<'_> {
    guest.settle();
    nobody_delivers(guest);
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    let other = Job::new(guest, "other.service");
    other.fails(4);
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    other
}

/// What a package starts when it comes the next time.
#[track_caller]
fn they_may_again(guest: &Guest) {
    guest.run(&[&["systemctl", "unmask", "--runtime"], &STARTERS[..]].concat()).ok();
}

#[test]
fn both_hold_what_an_installation_holds() {
    let mut staged = staged();
    staged.insert(HOOK.to_owned());
    let deb = package("deb");
    let listed = said("dpkg-deb", &["--contents", deb.to_str().unwrap()]);
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[1], "0/0", "{line}");
        (words[0].to_owned(), words[5].trim_start_matches('.').trim_end_matches(".gz").to_owned())
    };
    let in_deb: Vec<(String, String)> = listed.lines().map(row).filter(|(_, path)| !path.ends_with('/')).collect();
    let (links, in_deb): (Vec<_>, Vec<_>) = in_deb.into_iter().partition(|(mode, _)| mode.starts_with('l'));
    assert_eq!(links.into_iter().map(|(_, path)| path).collect::<BTreeSet<_>>(), staged_links());
    // what Debian wants beside it
    let debians = ["doc/sysalert/changelog.Debian", "doc/sysalert/copyright", "lintian/overrides/sysalert"];
    let expected: BTreeSet<String> = staged.iter().cloned().chain(debians.map(|path| format!("/usr/share/{path}"))).collect();
    let paths: BTreeSet<String> = in_deb.iter().map(|(_, path)| path.clone()).collect();
    assert_eq!(paths, expected);
    for (mode, path) in &in_deb {
        let wanted = match path.as_str() {
            "/usr/bin/sysalert" | HOOK => "-rwxr-xr-x",
            "/etc/sysalert/sysalert.toml" => "-rw-r-----",
            _ => "-rw-r--r--",
        };
        assert_eq!(mode, wanted, "{path}");
    }
    let control = said("dpkg-deb", &["--ctrl-tarfile", deb.to_str().unwrap()]);
    for name in ["postinst", "prerm", "postrm", "conffiles"] {
        assert!(control.contains(&format!("./{name}\0")), "{name}");
    }

    let rpm = package("rpm");
    let rpm = rpm.to_str().unwrap();
    let listed = said("rpm", &["-qp", "--qf", "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]", rpm]);
    let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split(' ').collect()).collect();
    let in_rpm: BTreeSet<String> = rows.iter().map(|row| row[2].replace("site-functions", "vendor-completions")).collect();
    assert_eq!(in_rpm, staged);
    for row in rows {
        let (mode, owner) = match row[2] {
            "/usr/bin/sysalert" | HOOK => ("-rwxr-xr-x", "root:root"),
            "/etc/sysalert/sysalert.toml" => ("-rw-r-----", "root:sysalert"),
            _ => ("-rw-r--r--", "root:root"),
        };
        assert_eq!((row[0], row[1]), (mode, owner), "{}", row[2]);
    }
    let query = |what: &str| said("rpm", &["-qp", what, rpm]);
    assert_eq!(query("--configfiles").trim(), "/etc/sysalert/sysalert.toml");
    let requires = query("--requires");
    for needed in ["systemd >= 239", "libsystemd.so.0", "libc.so.6(GLIBC_", "/bin/sh"] {
        assert!(requires.contains(needed), "{needed}\n{requires}");
    }
    assert!(query("--provides").contains("user(sysalert)"), "it makes the user that its files require");
    assert!(said("rpm", &["-K", "--nosignature", rpm]).contains("digests OK"));
}

#[test]
fn the_deb_from_its_installation_to_its_purge() {
    let guest = fresh_guest("deb", &package("deb"), "/root/sysalert.deb");
    guest.sh("mkdir -p -m 0700 /etc/credstore").ok();
    let before = files(&guest);

    let log = install(&guest, "/root/sysalert.deb");
    assert!(!log.to_lowercase().contains("warning") && !log.contains("error"), "{log}");
    assert_eq!(states(&guest), vec![("enabled".to_owned(), "active".to_owned()); 3]);
    assert_eq!(guest.property("sysalert-check@sensors.timer", "UnitFileState"), "disabled");
    assert_eq!(
        modes(&guest, "/etc/sysalert /etc/sysalert/conf.d /etc/sysalert/sysalert.toml /var/lib/sysalert /run/sysalert"),
        "drwxr-x--- root:sysalert /etc/sysalert\ndrwxr-x--- root:sysalert /etc/sysalert/conf.d\n\
         -rw-r----- root:sysalert /etc/sysalert/sysalert.toml\ndrwxr-s--- sysalert:sysalert /var/lib/sysalert\n\
         drwxr-s--- sysalert:sysalert /run/sysalert"
    );
    assert_eq!(guest.run(&["dpkg", "--verify", "sysalert"]).ok(), "");

    // its questions are answered, what a timer starts fails, and the mail is there
    guest.write_unit("backup.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo no space left; exit 3'\n");
    let never = "[Timer]\nOnCalendar=2099-01-01\nAccuracySec=1ms\n[Install]\nWantedBy=timers.target\n";
    guest.write_unit("backup.timer", never);
    guest.run(&["systemctl", "enable", "--now", "backup.timer"]).ok();
    let password = guest.run(&["cat", "/root/smtp-password"]).ok();
    let answers = [
        ("plugin [email]: ", ""),
        ("name [email]: ", ""),
        ("host [localhost]: ", "mail.example.test"),
        ("port [none]: ", ""),
        ("tls (none, starttls, implicit) [none]: ", "starttls"),
        ("username [none]: ", "sysalert"),
        ("password (it is not shown) [none]: ", &password),
        ("from [none]: ", "sysalert@guest.example.test"),
        ("to (separated by commas): ", "ops@example.org"),
        ("Send a test alert? [Y/n] ", ""),
        ("tell its failures? [Y/n] ", ""),
    ];
    let said = guest.dialogue(&["sysalert", "setup"], &answers);
    assert!(said.success() && said.stdout.contains("email: sent: "), "{said}");
    guest.write_unit("backup.timer", &never.replace("OnCalendar=2099-01-01", "OnActiveSec=0"));
    guest.run(&["systemctl", "restart", "backup.timer"]).ok();
    let mails = guest.wait_for_mails(2);
    assert!(mails[0].subject.starts_with("sysalert test from "), "{mails:#?}");
    assert_eq!(mails[1].subject, format!("backup.service failed on {}: exited with status 3", guest.name()));

    // a new version comes: what waits is sent before the program goes
    let other = one_waits(&guest);
    install(&guest, "--reinstall /root/sysalert.deb");
    assert_eq!(about(&guest.mails(), "other.service").len(), 1, "prerm sends what waits");

    // the administrator's hand stays
    they_may_again(&guest);
    guest.run(&["systemctl", "disable", "--now", "sysalert-check@services.timer"]).ok();
    guest.run(&["systemctl", "enable", "--now", "sysalert-check@sensors.timer"]).ok();
    install(&guest, "--reinstall /root/sysalert.deb");
    assert_eq!(guest.property("sysalert-check@services.timer", "UnitFileState"), "disabled");
    assert_eq!(guest.property("sysalert-check@services.timer", "ActiveState"), "inactive");
    assert_eq!(guest.property("sysalert-dispatch.path", "ActiveState"), "active");

    // and it goes, with an alert that cannot be sent, and drop-ins of each kind
    guest.settle();
    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    guest.sysalert(&["enable", "--system-wide"]).ok();
    guest.sysalert(&["enable", "--strict", "backup.service"]).ok();
    guest.sysalert(&["enable", "--global", "--system-wide"]).ok();
    other.fails(5);
    guest.run(&["systemctl", "disable", "--now", "sysalert-check@sensors.timer"]).ok();
    guest.run(&["systemctl", "enable", "sysalert-check@sensors.timer"]).ok();
    let removed = guest.sh("apt-get remove --yes sysalert 2>&1 </dev/null").ok();
    assert!(removed.contains("these alerts could not be sent") && removed.contains("other.service"), "{removed}");
    let left = guest.sh("find /etc/systemd -path '*.d/*sysalert*.conf'").ok();
    // by hand from the documentation, as `Job` did it
    assert_eq!(left, "/etc/systemd/system/other.service.d/10-sysalert.conf");
    assert!(
        guest.exists("/var/lib/sysalert/sysalert.db") && guest.exists("/etc/sysalert/sysalert.toml"),
        "a removal keeps these"
    );
    assert_eq!(guest.sh("systemctl list-units --all --plain --no-legend 'sysalert-*' | grep -v not-found || true").ok(), "");

    // what waited comes with the package
    guest.run(&["systemctl", "start", "mail-server.service"]).ok();
    install(&guest, "/root/sysalert.deb");
    guest.hurry();
    guest.wait_until("the alert that waited is sent", || about(&guest.mails(), "other.service").len() == 2);

    guest.settle();
    guest.sysalert(&["enable", "--system-wide"]).ok();
    // and what `sysalert setup` wrote
    let kept = [
        "conf.d/method-email.toml",
        "../credstore/sysalert-email.password",
        "../systemd/system/sysalert-dispatch.service.d/50-method-email.conf",
    ];
    assert!(kept.iter().all(|path| guest.exists(&format!("/etc/sysalert/{path}"))), "a removal keeps these");
    let purged = guest.sh("apt-get purge --yes sysalert 2>&1 </dev/null").ok();
    // Debian 12's systemd has its own files of these folders below /lib, which is the same place
    let shared = ["/usr/lib/systemd/system-preset", "/usr/lib/systemd/system/user@.service.d"];
    let of_shared =
        |line: &str| shared.iter().any(|path| line.ends_with(&format!("directory '{path}' not empty so not removed")));
    let complains = |line: &&str| line.contains("could not be sent") || line.contains("warning") && !of_shared(line);
    assert_eq!(purged.lines().find(complains), None, "{purged}");
    guest.sh("systemctl --quiet disable backup.timer; rm -r /etc/systemd/system/{other.service,backup.service,backup.timer,other.service.d}").ok();
    let now = files(&guest);
    let new: Vec<&String> = now.difference(&before).collect();
    assert_eq!(new, Vec::<&String>::new(), "left behind");
    // systemctl removes folders of links that it finds empty
    let gone: Vec<&String> = before.difference(&now).filter(|path| !path.ends_with(".wants")).collect();
    assert_eq!(gone, Vec::<&String>::new(), "taken away, though it was there before");
    // Debian keeps the user: another one must not get its number
    assert!(guest.sh("id sysalert").success());
    assert_eq!(guest.sh("dpkg-query -W -f '${Status}' sysalert 2>/dev/null || true").ok(), "");
}

#[test]
fn an_upgrade_keeps_database_configuration_and_what_waits() {
    let guest = fresh_guest("upgrade", &package("deb"), "/root/sysalert.deb");
    // A lower version, whose scripts did not send what waits: so that it is the new one that finds the old database.
    guest
        .sh("cd /root && dpkg-deb -R sysalert.deb old && sed -i 's/^Version: .*/Version: 0.0.1-1/' old/DEBIAN/control \
             && rm old/DEBIAN/prerm && dpkg-deb -Znone -b old older.deb")
        .ok();
    install(&guest, "/root/older.deb");
    assert_eq!(guest.sh("dpkg-query -W -f '${Version}' sysalert").ok(), "0.0.1-1");
    use_mail(&guest);
    let settings = guest.read_file("/etc/sysalert/sysalert.toml");
    guest.write_file("/etc/sysalert/conf.d/host.toml", "[policy]\nhost = \"old.example.org\"\n");
    // it makes the database
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    nobody_delivers(&guest);
    they_may_again(&guest);

    let ours = guest.number("SELECT user_version FROM pragma_user_version");
    assert!(ours > 1, "the schema has an older version");
    guest.sh("rm -f /var/lib/sysalert/sysalert.db*").ok();
    // the oldest schema, with a failure of just now whose mail waits
    let now = guest.sh("date +%s").ok();
    let old = include_str!("../../src/store/version1.sql").replace("1767607200", &now).replace("1767607231", &now);
    let make = format!(
        "{AS_SYSALERT}db = sqlite3.connect('/var/lib/sysalert/sysalert.db')\ndb.executescript(sys.argv[2])\ndb.commit()\n"
    );
    guest.python(&make, &[&old]).ok();
    assert_eq!(guest.number("SELECT user_version FROM pragma_user_version"), 1);

    let log = install(&guest, "/root/sysalert.deb");
    assert!(log.contains("over (0.0.1-1)"), "{log}");
    let mails = guest.wait_for_mails(1);
    assert_eq!(mails[0].subject, "backup.service failed on old.example.org: exited with status 3");
    guest.settle();
    assert_eq!(guest.number("SELECT user_version FROM pragma_user_version"), ours);
    assert_eq!(guest.incidents("backup.service").len(), 1, "the record is kept");
    assert_eq!(guest.read_file("/etc/sysalert/sysalert.toml"), settings);
    assert_eq!(states(&guest), vec![("enabled".to_owned(), "active".to_owned()); 3]);
    assert_eq!(guest.sysalert(&["db", "check"]).ok(), "The database is whole.");
}

/// With rpm itself, on Debian: its scripts and files are the same there, but for the packages that it requires.
#[test]
fn the_rpm_installs_upgrades_and_leaves() {
    let guest = fresh_guest("rpm", &package("rpm"), "/root/sysalert.rpm");
    let rpm = |words: &str| guest.sh(&format!("rpm --force-debian --nodeps {words} 2>&1")).ok();
    let said = rpm("-i /root/sysalert.rpm");
    assert!(!said.contains("rror") && !said.contains("arning") && !said.contains("ailed"), "{said}");
    assert_eq!(states(&guest), vec![("enabled".to_owned(), "active".to_owned()); 3]);
    assert_eq!(guest.property("sysalert-check@sensors.timer", "UnitFileState"), "disabled");
    assert_eq!(
        modes(&guest, "/etc/sysalert /etc/sysalert/sysalert.toml /var/lib/sysalert"),
        "drwxr-x--- root:sysalert /etc/sysalert\n-rw-r----- root:sysalert /etc/sysalert/sysalert.toml\n\
         drwxr-s--- sysalert:sysalert /var/lib/sysalert"
    );
    assert_eq!(rpm("-V sysalert"), "", "every file is as the package has it");
    let links = guest.sh("find /usr/lib/sysalert/plugins -lname ../bundle.so").ok();
    assert_eq!(links.lines().map(str::to_owned).collect::<BTreeSet<_>>(), staged_links());
    use_mail(&guest);
    guest.write_unit("backup.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n");
    guest.sysalert(&["enable", "backup.service"]).ok();
    guest.run(&["systemctl", "start", "backup.service"]);
    guest.wait_for_mails(1);

    let other = one_waits(&guest);
    rpm("-U --replacepkgs --replacefiles /root/sysalert.rpm");
    assert_eq!(about(&guest.mails(), "other.service").len(), 1, "the script before it sends what waits");
    they_may_again(&guest);
    guest.run(&[&["systemctl", "start"], &STARTERS[..]].concat()).ok();
    assert!(guest.read_file("/etc/sysalert/sysalert.toml").contains("[method.mail]"), "the configuration stays");

    guest.run(&["systemctl", "stop", "mail-server.service"]).ok();
    other.fails(5);
    let removed = rpm("-e sysalert");
    assert!(removed.contains("these alerts could not be sent") && removed.contains("other.service"), "{removed}");
    assert_eq!(
        guest.sh("find /etc/systemd -name '*sysalert*' | sort").ok(),
        "/etc/systemd/system/other.service.d/10-sysalert.conf",
        "no drop-in and no link of ours, but for the one that was put there by hand"
    );
    assert!(guest.exists("/var/lib/sysalert/sysalert.db") && guest.exists("/etc/sysalert/sysalert.toml.rpmsave"), "these stay");
    assert!(!guest.exists("/usr/lib/sysalert"));
}
