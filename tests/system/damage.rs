//! What is broken below sysalert: a damaged database, a full disk, a file system that is read-only, a folder that is gone, a
//! database of another version. Each failure is told all the same, once, or as soon as that can be; and what is broken is said.

use crate::guest::{Guest, Options};
use crate::jobs::{Job, MAIL, about};
use crate::mail::Mail;

const STATE: &str = "/var/lib/sysalert";
const DATABASE: &str = "/var/lib/sysalert/sysalert.db";

/// A guest whose first sweep is over.
fn guest(name: &str) -> Guest {
    let guest = Guest::boot(name, Options::new().mail_server().quick_timer());
    guest.configure(MAIL);
    without_checks(&guest);
    swept(&guest);
    guest
}

/// A check may be the first to meet what a test breaks.
#[track_caller]
fn without_checks(guest: &Guest) {
    guest.run(&["systemctl", "stop", "sysalert-check@services.timer", "sysalert-check@services.service"]).ok();
}

#[track_caller]
fn swept(guest: &Guest) {
    guest.run(&["systemctl", "start", "sysalert-dispatch.service"]).ok();
    guest.wait_until("the journal was swept", || guest.number("SELECT count(*) FROM meta WHERE key = 'swept'") == 1);
}

/// What sysalert said of itself, as errors.
#[track_caller]
fn errors(guest: &Guest) -> String {
    guest.journal(&["SYSLOG_IDENTIFIER=sysalert", "PRIORITY=3"])
}

/// What was told of this unit, oldest first.
fn subjects<'m>(mails: &'m [Mail], unit: &str) -> Vec<&'m str> {
    about(mails, unit).into_iter().map(|mail| mail.subject.as_str()).collect()
}

/// Everything belongs to whom it should.
#[track_caller]
fn assert_owned(guest: &Guest) {
    let found = guest.sh(&format!("find {STATE} -mindepth 1 -printf '%m %u:%g %y %p\n'")).ok();
    let is_right = |line: &str| line.starts_with("2750 sysalert:sysalert d ") || line.starts_with("640 sysalert:sysalert f ");
    assert!(found.lines().all(is_right), "{found}");
}

/// A file system of its own for the state, of this size, with what was there.
#[track_caller]
fn small_disk(guest: &Guest, size: &str) {
    guest.rest();
    let script = format!(
        "systemctl stop sysalert-dispatch.service; cp -a {STATE} /srv/kept
         mount -t tmpfs -o size={size},mode=2750,uid=$(id -u sysalert),gid=$(id -g sysalert) small {STATE}
         cp -a /srv/kept/. {STATE}; systemctl start sysalert-dispatch.timer sysalert-dispatch.path"
    );
    guest.sh(&script).ok();
}

/// The state's file system takes nothing any more.
#[track_caller]
fn read_only(guest: &Guest) {
    // not while a run of dispatch writes
    guest.wait_until("it is read-only", || guest.run(&["mount", "-o", "remount,ro", STATE]).success());
}

#[test]
fn a_damaged_database_is_replaced_while_units_fail() {
    let guest = guest("damaged");
    let [old, over, new] = ["old.service", "over.service", "new.service"].map(|name| Job::new(&guest, name));
    old.fails(3);
    over.fails(3);
    // a recovery that overtakes its failure would make one message of both
    guest.wait_for_mails(2);
    over.succeeds();
    guest.settle();
    let before = guest.wait_for_mails(3).len();
    assert_eq!(before, 3);

    // else a run of dispatch may be the first to meet it
    guest.rest();
    guest.run(&["systemctl", "stop", "sysalert-dispatch.service"]).ok();
    guest.sh(&format!("dd if=/dev/urandom of={DATABASE} bs=4096 count=2 conv=notrunc")).ok();
    let looked = guest.sysalert(&["status"]);
    assert!(looked.status == 1 && looked.stderr.contains("sets it aside and begins a new one"), "{looked}");
    guest.run(&["systemctl", "start", "sysalert-dispatch.timer", "sysalert-dispatch.path"]).ok();
    new.fails(4);
    let mails = guest.wait_for_mails(before + 3);
    guest.settle();
    assert_eq!(subjects(&mails, "new.service"), [format!("new.service failed on {}: exited with status 4", guest.name())]);
    assert_eq!(subjects(&mails, "old.service").len(), 2, "it fails still, and whether that was told nobody knows");
    assert_eq!(subjects(&mails, "over.service").len(), 2, "that it failed and recovered is no news");
    let subject = format!("sysalert on {}: its database was damaged and replaced", guest.name());
    let about_it: Vec<_> = mails.iter().filter(|mail| mail.subject == subject).collect();
    assert_eq!(about_it.len(), 1);
    let aside = guest.sh(&format!("ls {DATABASE}.broken-*Z")).ok();
    assert!(about_it[0].text.contains(&aside), "{}", about_it[0].text);
    eprintln!("{}", about_it[0].text);
    let said = errors(&guest);
    assert_eq!(said.matches(&format!("was set aside as {aside}")).count(), 1, "{said}");
    let status = guest.sysalert(&["status"]).ok();
    assert!(status.contains("The database was damaged") && status.contains(&aside), "{status}");
    assert!(guest.sysalert(&["explain", "over"]).ok().contains("recovered"), "it is on record again");
    assert_eq!(guest.sysalert(&["db", "check"]).ok(), "The database is whole.");
    assert_owned(&guest);
    guest.sh(&format!("rm {DATABASE}.broken-*")).ok();
    assert!(!guest.sysalert(&["status"]).ok().contains("damaged"));
}

/// No handler and no run of dispatch needs what is damaged.
#[test]
fn damage_that_only_a_reader_meets_is_repaired_too() {
    let guest = guest("reader");
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    let before = guest.mails().len();
    let damage = "\
import os, sqlite3, sys
os.chroot(f'/proc/{sys.argv[1]}/root')
db = sqlite3.connect('/var/lib/sysalert/sysalert.db')
db.execute('PRAGMA wal_checkpoint(TRUNCATE)')
page = db.execute(\"SELECT rootpage FROM sqlite_schema WHERE name = 'deliveries'\").fetchone()[0]
with open('/var/lib/sysalert/sysalert.db', 'r+b') as file:
    file.seek((page - 1) * 4096)
    file.write(b'x' * 4096)";
    guest.python(damage, &[]).ok();
    let looked = guest.sysalert(&["history", "backup.service"]);
    assert!(looked.status == 1 && looked.stderr.contains("it is damaged"), "{looked}");
    guest.wait_until("it is replaced", || guest.sysalert(&["db", "check"]).success());
    let mails = guest.wait_for_mails(before + 1);
    assert!(mails.iter().any(|mail| mail.subject.ends_with("its database was damaged and replaced")));
    assert_eq!(job.events().len(), 1, "what could be read is there");
}

#[test]
fn on_a_full_disk_events_wait_and_come_once_in_order() {
    let guest = guest("full");
    let jobs = ["a.service", "b.service", "c.service"].map(|name| Job::new(&guest, name));
    jobs[0].fails(3);
    guest.settle();
    small_disk(&guest, "2M");
    let fill = format!("dd if=/dev/zero of={STATE}/ballast bs=4096 2>&1 || true; df --output=avail {STATE} | tail -1");
    assert!(guest.sh(&fill).ok().ends_with('0'));
    jobs[0].fails(4);
    jobs[1].fails(3);
    jobs[2].fails(3);
    assert!(guest.exists("/run/sysalert/spool"), "/run stands in");
    let said = errors(&guest);
    assert!(said.contains("the disk is full: make room"), "{said}");
    let tried = guest.run(&["systemctl", "start", "sysalert-dispatch.service"]);
    eprintln!("dispatch on a full disk: {}\n{}", tried.status, errors(&guest).lines().last().unwrap_or_default());
    guest.sh(&format!("rm {STATE}/ballast")).ok();
    let mails = guest.wait_for_mails(4);
    guest.settle();
    assert_eq!(guest.mails().len(), 4, "once each");
    assert_eq!(subjects(&mails, "a.service").len(), 2);
    for job in &jobs {
        let runs = job.events().len();
        assert_eq!(runs, if job.name == "a.service" { 2 } else { 1 }, "{}", job.name);
    }
    let order: Vec<_> =
        guest.rows("SELECT subject FROM events ORDER BY at").into_iter().map(|row| row["subject"].clone()).collect();
    assert_eq!(order, ["unit:a.service", "unit:a.service", "unit:b.service", "unit:c.service"]);
    assert_eq!(guest.sh("find /run/sysalert/spool -type f | wc -l").ok(), "0");
    assert_eq!(guest.sysalert(&["db", "check"]).ok(), "The database is whole.");
}

#[test]
fn on_a_read_only_file_system_events_wait() {
    let guest = guest("read-only");
    let job = Job::new(&guest, "backup.service");
    small_disk(&guest, "8M");
    read_only(&guest);
    job.fails(3);
    assert!(guest.exists("/run/sysalert/spool"), "/run stands in");
    let said = errors(&guest);
    assert!(
        said.contains("backup.service failed: exited with status 3; this waits in the spool")
            && said.contains("Read-only file system"),
        "{said}"
    );
    guest.sh(&format!("mount -o remount,rw {STATE}")).ok();
    let mails = guest.wait_for_mails(1);
    guest.settle();
    assert_eq!(subjects(&mails, "backup.service").len(), 1);
    assert_eq!(job.events().len(), 1);
}

#[test]
fn a_state_folder_that_is_removed_is_made_again() {
    let guest = guest("removed");
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    guest.wait_until("it is removed", || guest.run(&["rm", "-r", STATE]).success());
    job.fails(4);
    guest.settle();
    let mails = guest.wait_for_mails(2);
    assert_eq!(subjects(&mails, "backup.service").len(), 2);
    assert_owned(&guest);
    assert_eq!(guest.sysalert(&["db", "check"]).ok(), "The database is whole.");

    // somebody else's, by a wrong restore: each handler's start gives the folder back, and what is in it
    guest.sh(&format!("chown -R root:root {STATE}; chmod -R go= {STATE}")).ok();
    job.fails(5);
    guest.settle();
    assert_eq!(subjects(&guest.wait_for_mails(3), "backup.service").len(), 3);

    // the database alone: nobody gives it back by himself
    guest.sh(&format!("systemctl stop sysalert-dispatch.timer; chown root:root {DATABASE}; chmod 600 {DATABASE}")).ok();
    job.fails(6);
    let said = errors(&guest);
    assert!(said.contains(&format!("chown -R --reference={STATE} {STATE}")), "{said}");
    guest
        .sh(&format!("chown -R --reference={STATE} {STATE}; chmod 640 {DATABASE}; systemctl start sysalert-dispatch.timer"))
        .ok();
    assert_eq!(subjects(&guest.wait_for_mails(4), "backup.service").len(), 4);
}

/// The same with the other systemd, in short.
#[test]
fn on_systemd_257_too() {
    let guest = Guest::boot_on(257, "damage-257", Options::new().quick_timer());
    without_checks(&guest);
    swept(&guest);
    let job = Job::new(&guest, "backup.service");
    let told = |failures: usize| {
        guest.wait_until("it is recorded and told", || {
            guest.number("SELECT count(*) FROM events WHERE outcome = 'failed'") == failures as i64
                && guest.number("SELECT count(*) FROM outbox") == 0
                && guest.number("SELECT count(*) FROM events WHERE reason IS NULL") == 0
        });
    };
    job.fails(3);
    told(1);
    guest.sh(&format!("dd if=/dev/urandom of={DATABASE} bs=4096 count=2 conv=notrunc")).ok();
    job.fails(4);
    guest.wait_until("it is replaced", || guest.sysalert(&["db", "check"]).success());
    told(2);
    let said = guest.journal(&["SYSALERT_KIND=failure"]);
    assert_eq!(said.matches("its database was damaged and replaced").count(), 1, "{said}");

    small_disk(&guest, "8M");
    read_only(&guest);
    job.fails(5);
    guest.sh(&format!("mount -o remount,rw {STATE}")).ok();
    told(3);
    guest.sh(&format!("umount --lazy {STATE}; rm -rf {STATE}")).ok();
    job.fails(6);
    told(1);
    assert_owned(&guest);
}

#[test]
fn a_database_of_another_version_is_left_alone_or_brought_up_to_date() {
    let guest = guest("versions");
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.settle();
    guest.wait_for_mails(1);
    let as_sysalert = |statement: &str| {
        let program = format!(
            "import sqlite3; db = sqlite3.connect('{DATABASE}', timeout=10); db.executescript(\"\"\"{statement}\"\"\"); db.commit()"
        );
        guest.run_as("sysalert", &["python3", "-c", &program]).ok();
    };
    // a newer sysalert was here, and an older one is installed again
    let ours = guest.number("SELECT user_version FROM pragma_user_version");
    as_sysalert("PRAGMA user_version = 99");
    job.fails(4);
    let said = errors(&guest);
    assert!(said.contains("is of a newer version than this sysalert") && said.contains("this waits in the spool"), "{said}");
    let tried = guest.run(&["systemctl", "start", "sysalert-dispatch.service"]);
    assert!(!tried.success(), "{tried}");
    let looked = guest.sysalert(&["status"]);
    assert!(looked.status == 1 && looked.stderr.contains("install the newer sysalert again"), "{looked}");
    assert!(!guest.sh(&format!("ls {STATE}")).ok().contains("broken"), "it is not damaged");
    as_sysalert(&format!("PRAGMA user_version = {ours}"));
    assert_eq!(subjects(&guest.wait_for_mails(2), "backup.service").len(), 2);
    guest.settle();
    assert_eq!(job.events().len(), 2);

    // a newer one is installed over the database of the oldest
    guest.rest();
    guest.sh(&format!("systemctl stop sysalert-dispatch.service; rm {STATE}/sysalert.db*")).ok();
    as_sysalert(include_str!("../../src/store/version1.sql"));
    job.fails(5);
    guest.sh("systemctl start sysalert-dispatch.timer sysalert-dispatch.path").ok();
    guest.wait_until("it is told", || subjects(&guest.mails(), "backup.service").iter().any(|told| told.ends_with("status 5")));
    assert_eq!(guest.number("SELECT user_version FROM pragma_user_version"), ours);
    assert_eq!(guest.sysalert(&["db", "check"]).ok(), "The database is whole.");
}
