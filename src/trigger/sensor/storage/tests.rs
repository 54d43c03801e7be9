use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde_json::Value;

use super::super::{Before, Outcome};
use super::*;
use crate::config::{Origin, Setting, Values};
use crate::host::sensing::Sensing;

/// A machine with these mounts.
#[derive(Default)]
struct Machine {
    table: RefCell<String>,
    fstab: &'static str,
    /// What one tells, where it is not the usual.
    odd: BTreeMap<&'static str, Option<Result<Space, io::ErrorKind>>>,
    /// Who was asked.
    asked: RefCell<Vec<Asked>>,
    /// The table after the measuring.
    later: Option<String>,
    /// The table of the machine's first process.
    of_machine: &'static str,
    /// What lies below this folder nobody but its owner reaches.
    barred: Option<&'static str>,
    /// A user watches for themselves alone.
    is_users: bool,
}

const USUAL: Space = Space { size: 1000, used: 400, free: 500, files: 100, files_free: 75 };

impl Sensing for Machine {
    fn read(&self, path: &str) -> io::Result<String> {
        match path {
            "/proc/self/mountinfo" => Ok(self.table.borrow().clone()),
            "/proc/1/mountinfo" => Ok(self.of_machine.to_owned()),
            "/etc/fstab" => Ok(self.fstab.to_owned()),
            "/proc/sys/kernel/random/boot_id" => Ok("b".into()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn wait(&self, _: Duration) {
        panic!("it waits for nothing");
    }

    fn watcher(&self) -> Option<String> {
        (!self.is_users).then(|| "sysalert".to_owned())
    }

    fn spaces(&self, asked: &[Asked], _: Duration) -> Vec<Answer> {
        self.asked.replace(asked.to_vec());
        if let Some(later) = &self.later {
            self.table.replace(later.clone());
        }
        let answer = |asked: &Asked| match self.odd.get(asked.path.to_str().unwrap()) {
            Some(Some(Ok(space))) => Answer::Told(*space),
            Some(Some(Err(error))) => Answer::Failed((*error).into()),
            Some(None) => Answer::Hangs(None),
            None => match self.barred.filter(|folder| asked.path.starts_with(folder)) {
                Some(folder) => Answer::Barred(folder.into()),
                None => Answer::Told(USUAL),
            },
        };
        asked.iter().map(answer).collect()
    }
}

const MACHINE: &str = "\
20 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
21 20 0:20 / /proc rw shared:2 - proc proc rw
22 20 0:21 / /sys rw shared:3 - sysfs sysfs rw
23 20 0:5 / /dev rw shared:4 - devtmpfs udev rw
24 23 0:22 / /dev/shm rw shared:5 - tmpfs tmpfs rw
25 20 0:23 / /run rw shared:6 - tmpfs tmpfs rw
26 25 0:24 / /run/credentials/x.service ro shared:7 - ramfs ramfs rw
27 22 0:25 / /sys/fs/cgroup rw shared:8 - cgroup2 cgroup2 rw
28 20 0:26 / /tmp rw shared:9 - tmpfs tmpfs rw
29 20 7:1 / /snap/core/1 ro shared:10 - squashfs /dev/loop1 ro
30 20 254:0 /srv/www /var/www rw shared:1 - ext4 /dev/vda1 rw
31 20 0:27 /@home /home rw shared:11 - btrfs /dev/vdb rw
32 20 0:27 /@ /mnt/pool rw shared:11 - btrfs /dev/vdb rw
33 20 0:28 / /var/lib/docker/overlay2/abc/merged rw shared:12 - overlay overlay rw
34 20 0:29 / /mnt/auto rw shared:13 - autofs systemd-1 rw
35 20 0:30 / /mnt/auto rw shared:14 - nfs4 nas:/x rw
36 20 8:1 / /srv/two\\040words ro shared:15 - xfs /dev/sda1 ro
37 25 8:17 / /run/media/alice/USB rw shared:16 - vfat /dev/sdb1 rw
39 25 8:33 /run/x /run/host/incoming ro shared:18 master:2 - ext4 /dev/sdc1 rw
38 20 0:31 / /home/alice/far rw shared:17 - fuse.sshfs far:/ rw
";

fn setting(key: &str, value: &Value) -> Setting {
    let origin = Origin { file: Path::new("x.toml").into(), line: 1 };
    Setting { key: key.into(), value: value.clone(), origin }
}

fn run(machine: &Machine, settings: &[Setting], before: Option<(&str, &Value)>) -> Measured {
    let now = chrono::DateTime::from_timestamp(1_767_600_000, 0).unwrap();
    let before = before.map(|(boot, kept)| Before { at: now, boot, kept });
    let written = [settings];
    let values = Values { keys: SENSOR.keys, written: &written };
    measure(&Probe { machine, name: "", values, before, now })
}

fn on(table: &str) -> Machine {
    Machine { table: RefCell::new(table.to_owned()), ..Machine::default() }
}

/// "/ 44.44, /tmp 44.44": the mounts and this metric of theirs; then what is missing.
fn told(measured: &Measured, metric: &str) -> String {
    let mut told: Vec<String> = match &measured.outcome {
        Outcome::Readings(readings) => {
            let found = readings.iter().filter(|one| one.metric == metric);
            found.map(|one| format!("{} {:.2}", one.instance, one.value)).collect()
        }
        Outcome::NoData(why) => vec![format!("no data: {why}")],
        Outcome::Error(why) => vec![format!("error: {why}")],
    };
    told.extend(measured.missing.iter().map(|missing| format!("{}: {}", missing.instance, missing.why)));
    told.join("; ")
}

fn mounts(measured: &Measured) -> String {
    told(measured, "bytes_used_percent").replace(" 44.44", "")
}

#[test]
fn every_disk_is_measured_once_and_what_is_none_is_left_out() {
    assert_eq!(
        mounts(&run(&on(MACHINE), &[], None)),
        "/; /tmp; /home; /mnt/auto; /srv/two words; /run/media/alice/USB; /home/alice/far"
    );
    let settings = [
        setting("exclude", &json!(["/tmp", "/home*", "/srv/two words"])),
        setting("include", &json!(["/snap/*", "/srv/two words", "/var/www", "/dev/shm/", "/opt/x"])),
    ];
    let discs = "20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 11:0 / /mnt/dvd ro - udf /dev/sr0 ro\n22 20 8:1 / /mnt/stick rw - udf /dev/sdb rw\n";
    assert_eq!(mounts(&run(&on(discs), &[], None)), "/; /mnt/stick");
    assert_eq!(
        mounts(&run(&on(MACHINE), &settings, None)),
        "/; /mnt/auto; /run/media/alice/USB; /snap/core/1; /srv/two words; /var/www; /dev/shm; /opt/x"
    );
}

#[test]
fn figures_are_those_of_df() {
    let measured = run(&on("20 1 8:0 / / rw - ext4 /dev/sda rw\n"), &[], None);
    for (metric, expected) in [
        ("bytes_total", "/ 1000.00"),
        ("bytes_free", "/ 500.00"),
        ("bytes_used", "/ 400.00"),
        ("bytes_used_percent", "/ 44.44"),
        ("inodes_total", "/ 100.00"),
        ("inodes_free", "/ 75.00"),
        ("inodes_used", "/ 25.00"),
        ("inodes_used_percent", "/ 25.00"),
        ("read_only", "/ 0.00"),
        ("turned_read_only", "/ 0.00"),
        ("out_of_reach", "/ 0.00"),
    ] {
        assert_eq!(told(&measured, metric), expected, "{metric}");
    }
}

#[test]
fn what_does_not_answer_or_tells_nonsense_is_no_data_and_why() {
    let mut machine = on(MACHINE);
    let space = |size, used, free, files, files_free| Some(Ok(Space { size, used, free, files, files_free }));
    machine.odd = [
        ("/", space(100, 95, 0, 0, 0)),
        ("/tmp", space(0, 0, 0, 0, 0)),
        ("/mnt/auto", None),
        ("/home", space(10, 11, 0, 0, 0)),
        ("/home/alice/far", Some(Err(io::ErrorKind::PermissionDenied))),
        ("/srv/two words", space(10, 1, 1, 5, 6)),
        ("/run/media/alice/USB", space(u64::MAX, u64::MAX, u64::MAX, u64::MAX, 0)),
    ]
    .into();
    let measured = run(&machine, &[], None);
    let nonsense = "tells of more that is free than there is: its figures are of no use";
    assert_eq!(
        told(&measured, "bytes_used_percent"),
        format!(
            "/ 100.00; /run/media/alice/USB 50.00; /home: /home {nonsense}; /mnt/auto: /mnt/auto does not answer within 3s; \
             /srv/two words: /srv/two words {nonsense}; /home/alice/far: /home/alice/far cannot be measured: permission denied"
        )
    );
    assert_eq!(told(&measured, "inodes_used_percent").split("; ").next(), Some("/ 0.00"), "as many as there is room for");
    let asked = run(&machine, &[setting("include", &json!(["/tmp"]))], None);
    assert!(told(&asked, "read_only").contains("/tmp has no size"), "{}", told(&asked, "read_only"));
}

#[test]
fn whom_a_process_of_an_earlier_run_still_waits_for_is_not_asked_again() {
    let machine = on(MACHINE);
    run(&machine, &[], None);
    let asked =
        |path: &str| machine.asked.borrow().iter().find(|asked| asked.path == Path::new(path)).map(|asked| asked.is_local);
    assert_eq!((asked("/"), asked("/mnt/auto"), asked("/home/alice/far")), (Some(true), Some(false), Some(false)));

    // this very process: it runs
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let began: u64 = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().parse().unwrap();
    let waits = |began: u64| {
        let process = json!({"process": std::process::id(), "began": began});
        json!({"hanging": {"/mnt/auto": {"process": process, "since": "2026-01-01T00:00:00Z"}, "/gone": {"process": process, "since": "2026-01-01T00:00:00Z"}}})
    };
    let since = local_time("2026-01-01T00:00:00Z".parse().unwrap());
    let measured = run(&machine, &[], Some(("b", &waits(began))));
    assert!(
        mounts(&measured).ends_with(&format!("/mnt/auto: /mnt/auto has not answered since {since}")),
        "{}",
        mounts(&measured)
    );
    assert_eq!(asked("/mnt/auto"), None);
    let kept = measured.keep.unwrap();
    assert!(kept["hanging"]["/mnt/auto"].is_object() && kept["hanging"]["/gone"].is_null(), "{kept}");
    for (boot, kept) in [("b", waits(began + 1)), ("the boot before", waits(began))] {
        assert!(mounts(&run(&machine, &[], Some((boot, &kept)))).contains("/mnt/auto;"), "{boot}");
    }
}

#[test]
fn what_is_unmounted_meanwhile_or_not_mounted_at_all_is_not_told_with_the_figures_of_what_lies_below() {
    let mut machine = on(MACHINE);
    machine.later = Some(MACHINE.lines().filter(|line| !line.contains(" /tmp ")).map(|line| format!("{line}\n")).collect());
    assert!(mounts(&run(&machine, &[], None)).ends_with("/tmp: /tmp was unmounted while it was measured"));

    let mut machine = on(MACHINE);
    machine.fstab = "# /opt\nUUID=1 /mnt/backup ext4 defaults 0 2\nUUID=2 /mnt/stick vfat noauto 0 0\n";
    let asked = setting("include", &json!(["/mnt/backup", "/mnt/stick"]));
    let told = mounts(&run(&machine, &[asked], None));
    assert!(
        told.ends_with("/mnt/stick; /mnt/backup: /mnt/backup is not mounted, and /etc/fstab says that it should be"),
        "{told}"
    );
}

#[test]
fn what_was_mounted_is_not_told_with_the_figures_of_the_folder_that_is_left() {
    let mut machine = on(
        "20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 8:1 / /srv rw - ext4 /dev/sdb rw\n22 20 8:2 / /opt rw - ext4 /dev/sdc rw\n",
    );
    let settings = [setting("include", &json!(["/srv", "/etc"]))];
    let first = run(&machine, &settings, None);
    assert_eq!(mounts(&first), "/; /srv; /opt; /etc");
    machine.table.replace("20 1 8:0 / / rw - ext4 /dev/sda rw\n".to_owned());
    let mut kept = first.keep.unwrap();
    for _ in 0..3 {
        let measured = run(&machine, &settings, Some(("b", &kept)));
        assert_eq!(mounts(&measured), "/; /etc; /srv: /srv is not mounted any more", "a folder is no disk");
        kept = measured.keep.unwrap();
    }
    assert_eq!(mounts(&run(&machine, &settings, Some(("the boot before", &kept)))), "/; /srv; /etc", "nobody knows any more");
    machine.fstab = "/dev/sdb /srv ext4 defaults 0 2\n/dev/sdc /opt ext4 nofail 0 2\n";
    let measured = run(&machine, &[], Some(("b", &kept)));
    assert_eq!(mounts(&measured), "/; /srv: /srv is not mounted any more, and /etc/fstab says that it should be");
    let again = run(&machine, &[], Some(("b", &measured.keep.unwrap())));
    assert!(mounts(&again).contains("says that it should be"), "{}", mounts(&again));
    machine.table.replace(MACHINE.to_owned());
    let excluded = run(&machine, &[setting("exclude", &json!(["/home*", "/proc"])), setting("include", &json!(["/home"]))], None);
    assert_eq!(excluded.left_out, ["/proc", "/home/alice/far"]);
}

#[test]
fn read_only_is_told_where_it_was_not_meant() {
    let table = |option: &str| format!("20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 8:1 / /srv rw - ext4 /dev/sdb {option}\n");
    let turned = |machine: &Machine, before: Option<(&str, &Value)>| {
        let measured = run(machine, &[], before);
        (told(&measured, "turned_read_only"), measured.details.len())
    };
    let quiet = ("/ 0.00; /srv 0.00".to_owned(), 0);
    let alarm = ("/ 0.00; /srv 1.00".to_owned(), 1);
    let (writable, mut read_only) = (on(&table("rw,noatime")), on(&table("noatime,ro")));
    let kept = run(&writable, &[], None).keep.unwrap();
    assert_eq!(kept, json!({"writable": ["/", "/srv"], "mounted": ["/", "/srv"], "hanging": {}}));
    assert_eq!(turned(&read_only, None), quiet, "nobody knows that it should not be");
    assert_eq!(turned(&read_only, Some(("b", &kept))), alarm);
    assert_eq!(run(&read_only, &[], Some(("b", &kept))).keep, Some(kept.clone()), "and at the next run, too");
    assert_eq!(turned(&read_only, Some(("the boot before", &kept))), quiet);
    for odd in [json!(null), json!({"x": 1}), json!({"writable": [1, ["/srv"]]})] {
        assert_eq!(turned(&read_only, Some(("b", &odd))), quiet, "{odd}");
    }
    read_only.fstab = "/dev/sdb /srv ext4 defaults 0 2\n";
    assert_eq!(turned(&read_only, None), alarm);
    read_only.fstab = "/dev/sdb /srv ext4 noatime,ro 0 2\n";
    assert_eq!(turned(&read_only, Some(("b", &kept))), quiet);
    assert_eq!(told(&run(&read_only, &[], None), "read_only"), "/ 0.00; /srv 1.00");
}

#[test]
fn a_mount_that_takes_nothing_is_read_only_whatever_its_file_system_is() {
    let table = "20 1 8:0 / / ro - ext4 /dev/sda rw\n21 20 8:1 / /srv ro - ext4 /dev/sdb rw\n";
    let mut machine = on(table);
    let kept = run(&machine, &[], None).keep.unwrap();
    assert_eq!(kept["writable"], json!(["/", "/srv"]), "of a sandbox's own mounts that says nothing");
    machine.of_machine = "20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 8:1 / /srv rw - ext4 /dev/sdb rw\n\
        22 20 8:1 / /srv ro,noatime - ext4 /dev/sdb rw\n23 20 8:7 / / ro - ext4 /dev/other rw\n";
    assert_eq!(told(&run(&machine, &[], Some(("b", &kept))), "turned_read_only"), "/ 0.00; /srv 1.00");
    assert_eq!(told(&run(&machine, &[], None), "read_only"), "/ 0.00; /srv 1.00");
}

#[test]
fn a_disk_that_nobody_can_look_at_is_told() {
    let mut machine = on("20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 8:1 / /var/lib/pg\\040main/wal rw - xfs /dev/sdb1 rw\n\
        22 20 0:70 / /var/lib/pg\\040main/pool rw - zfs tank rw\n23 20 0:71 / /var/lib/pg\\040main/nas rw - nfs4 nas:/x rw\n\
        24 20 0:72 / /var/lib/pg\\040main/tmp rw - tmpfs tmpfs rw\n");
    machine.barred = Some("/var/lib/pg main");
    let measured = run(&machine, &[], None);
    let why = |name: &str| {
        format!("/var/lib/pg main/{name}: /var/lib/pg main/{name} lies below /var/lib/pg main, which this user may not enter")
    };
    let missing = ["wal", "pool", "nas", "tmp"].map(why).join("; ");
    let expected = format!("/ 0.00; /var/lib/pg main/wal 1.00; {missing}");
    assert_eq!(told(&measured, "out_of_reach"), expected, "what lies elsewhere or in memory is nobody's disk");
    let said: Vec<&str> = measured.details.iter().map(|detail| detail.text.as_str()).collect();
    assert_eq!(said.len(), 2);
    assert!(said[1].starts_with("`setfacl -m u:sysalert:x '/var/lib/pg main'` (of the package acl) lets it pass"), "{said:?}");
    assert_eq!(told(&measured, "bytes_used_percent").split("; ").next(), Some("/ 44.44"));

    machine.is_users = true;
    let measured = run(&machine, &[], None);
    assert_eq!(told(&measured, "out_of_reach"), format!("/ 0.00; {missing}"), "a user watches what that user may see");
    assert!(measured.details.is_empty());

    let mut machine = on("20 1 8:0 / / rw - ext4 /dev/sda rw\n21 20 8:1 / /media/alice/USB rw - vfat /dev/sdb1 rw\n");
    machine.barred = Some("/media/alice");
    let told = told(&run(&machine, &[], None), "out_of_reach");
    assert!(told.starts_with("/ 0.00; /media/alice/USB: "), "what somebody has plugged in is theirs: {told}");
}

#[test]
fn a_broken_table_is_an_error_and_never_a_reading_of_something_else() {
    for cut in (0..MACHINE.len()).step_by(7) {
        let measured = run(&on(&MACHINE[..cut]), &[], None);
        let whole: Vec<String> = read(MACHINE).into_iter().map(|mount| mount.path).collect();
        if let Outcome::Readings(readings) = &measured.outcome {
            assert!(readings.iter().all(|one| whole.contains(&one.instance)), "{cut}: {}", mounts(&measured));
        }
    }
    for (table, expected) in [
        ("", "error: /proc/self/mountinfo names nothing that is mounted"),
        ("20 1 8:0 / / rw - ext4 /dev/sda rw", "error: /proc/self/mountinfo names nothing that is mounted"),
        ("nonsense\n - \n1 2 3 - 4\n\0\u{fffd}\n", "error: /proc/self/mountinfo names nothing that is mounted"),
        (
            "21 20 0:20 / /proc rw - proc proc rw\n",
            "no data: no real file system is mounted here; `include` names what is to be measured all the same",
        ),
    ] {
        assert_eq!(mounts(&run(&on(table), &[], None)), expected, "{table:?}");
    }
    for fstab in ["\0", "a b\n", "/dev/x /srv\\04 ext4 ro\n", "\u{fffd} \\999 x y z\n"] {
        let mut machine = on(MACHINE);
        machine.fstab = fstab;
        assert!(mounts(&run(&machine, &[], None)).starts_with("/; "), "{fstab:?}");
    }
}
