//! The file systems of this machine, and the times of files; never waits for one that hangs.
//!
//! Dispatch runs in a sandbox: what it hides (`/home`, `/tmp`) is not told of, rather than told wrongly.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::clock;
use super::space::Space;

/// How full a file system is, as df counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is mounted.
    pub mount: String,
    /// Bytes in all that anybody but root may use.
    pub size: u64,
    /// Bytes that are free for them.
    pub free: u64,
    /// How many files it can hold; 0: as many as there is room for.
    pub files: u64,
    /// How many more.
    pub files_free: u64,
    /// It takes nothing at all.
    pub read_only: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T> {
    /// In the order of the question.
    pub list: Vec<T>,
    /// False when the time was over before the end.
    pub whole: bool,
}

/// The file systems of these paths, each once, with the first path that lies on it; those that do not answer in time, lie on
/// the network or are hidden from here are missing.
pub fn file_systems(paths: Vec<String>, within: Duration) -> Found<(String, FileSystem)> {
    collected(within, move |found| {
        let mounts = Mounts::read();
        let mut seen = Vec::new();
        for path in paths {
            let Some(mount) = mounts.of(Path::new(&path)).and_then(|mount| mounts.resolved(&path, mount)) else { continue };
            if !seen.contains(&mount.id) {
                seen.push(mount.id.clone());
                measured(mount).into_iter().for_each(|measured| found((path.clone(), measured)));
            }
        }
    })
}

/// When each of these files last changed: its content, or that another one, or a link on the way to it, took its place. What is no
/// file, is hidden from here or does not answer in time is missing.
pub fn changes(paths: Vec<String>, within: Duration) -> Found<(String, DateTime<Utc>)> {
    collected(within, move |found| {
        let mounts = Mounts::read();
        for path in paths {
            let at = mounts.of(Path::new(&path)).and_then(|_| changed(Path::new(&path)));
            at.into_iter().for_each(|at| found((path.clone(), at)));
        }
    })
}

/// What the work finds within this time. It goes on in a thread of its own: nobody waits for one that hangs.
pub(super) fn collected<T: Send + 'static>(within: Duration, work: impl FnOnce(&mut dyn FnMut(T)) + Send + 'static) -> Found<T> {
    let (results, found) = mpsc::channel();
    thread::spawn(move || {
        work(&mut |result| {
            // whoever asked may have given up
            let _ = results.send(result);
        });
    });
    let end = clock::started() + within;
    let mut list = Vec::new();
    loop {
        match found.recv_timeout(end.saturating_duration_since(clock::started())) {
            Ok(result) => list.push(result),
            Err(why) => return Found { list, whole: why == RecvTimeoutError::Disconnected },
        }
    }
}

/// When a file last changed. Its time of modification comes with a package, from the day when it was built: what was put in its
/// place is as old as its birth here. Not its ctime: a backup that makes a hard link of it changes that, and nothing of the file.
fn changed(path: &Path) -> Option<DateTime<Utc>> {
    let time = |about: &fs::Metadata| [about.modified(), about.created()].into_iter().flatten().map(DateTime::from).max();
    let file = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    // "/opt/app/current/bin/app": the link is what an upgrade changes
    let links = path.ancestors().filter_map(|path| fs::symlink_metadata(path).ok()).filter(fs::Metadata::is_symlink);
    links.chain([file]).filter_map(|about| time(&about)).max()
}

fn measured(mount: &Mount) -> Option<FileSystem> {
    let space = Space::of(&mount.path).ok()?;
    Some(FileSystem {
        mount: mount.path.to_string_lossy().into_owned(),
        size: space.used.saturating_add(space.free),
        free: space.free,
        files: space.files,
        files_free: space.files_free,
        read_only: mount.read_only,
    })
}

/// A line of `proc_pid_mountinfo(5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Names the file system: "254:0".
    pub id: String,
    /// What of the file system is mounted: "/", or another folder of it for a bind mount.
    pub root: String,
    /// Where.
    pub path: String,
    /// Its type: "ext4", "fuse.sshfs".
    pub kind: String,
    /// What is mounted: "/dev/vda1", "nas:/x".
    pub source: String,
    /// The file system itself takes nothing: in a sandbox most mounts do not.
    pub read_only: bool,
    /// This mount of it takes nothing. In a sandbox that says nothing of the machine.
    pub is_sealed: bool,
    /// It lies in this machine, and not on the network or in another program.
    pub is_local: bool,
    /// It follows another mount, as a sandbox's mounts follow the machine's.
    pub follows: bool,
}

/// The lines of `/proc/self/mountinfo`. A line that is none is passed over.
pub fn table(text: &str) -> Vec<Mounted> {
    let row = |line: &str| {
        let (row, rest) = line.split_once(" - ")?;
        let mut fields = row.split(' ').skip(2);
        let (id, root, path, own) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let mut rest = rest.split(' ');
        let (kind, source, options) = (rest.next()?, rest.next()?, rest.next()?);
        Some(Mounted {
            id: id.to_owned(),
            root: unescaped(root),
            path: unescaped(path),
            kind: kind.to_owned(),
            source: unescaped(source),
            is_local: LOCAL.contains(&kind),
            read_only: takes_nothing(options),
            is_sealed: takes_nothing(own),
            follows: fields.any(|tag| tag.starts_with("master:")),
        })
    };
    text.lines().filter_map(row).collect()
}

fn takes_nothing(options: &str) -> bool {
    options.split(',').any(|option| option == "ro")
}

/// File systems that lie in this machine: they answer, or the machine has other troubles.
const LOCAL: &[&str] = &[
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "msdos", "nilfs2", "ntfs3",
    "overlay", "ramfs", "reiserfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    path: PathBuf,
    /// Names the file system.
    id: String,
    is_local: bool,
    is_hidden: bool,
    read_only: bool,
}

struct Mounts(Vec<Mount>);

impl Mounts {
    fn read() -> Mounts {
        Mounts::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    fn parse(text: &str) -> Mounts {
        let rows = table(text);
        // a sandbox's mounts follow the machine's; what follows none it has put there itself
        let is_sandbox = rows.iter().any(|row| row.path == "/" && row.follows);
        let mount = |row: Mounted| Mount {
            path: PathBuf::from(row.path),
            id: row.id,
            is_local: row.is_local,
            // as systemd covers what a unit must not see
            is_hidden: (is_sandbox && !row.follows) || row.root.ends_with("/inaccessible/dir"),
            read_only: row.read_only,
        };
        Mounts(rows.into_iter().map(mount).collect())
    }

    /// The mount below which a path lies, by its name; none if one must not go there.
    fn of(&self, path: &Path) -> Option<&Mount> {
        // of several at the same place the last covers the others
        let above = self.0.iter().filter(|mount| path.starts_with(&mount.path));
        above.max_by_key(|mount| mount.path.components().count()).filter(|mount| mount.is_local && !mount.is_hidden)
    }

    /// The same with all links followed, as far as one may look.
    fn resolved<'a>(&'a self, path: &str, by_name: &'a Mount) -> Option<&'a Mount> {
        let path = Path::new(path);
        let reached = path.ancestors().find_map(|above| Some((fs::canonicalize(above).ok()?, path.strip_prefix(above).ok()?)));
        reached.map_or(Some(by_name), |(above, rest)| self.of(&above.join(rest)))
    }
}

/// Spaces and the like are octal numbers: "\040".
pub fn unescaped(path: &str) -> String {
    let mut parts = path.split('\\');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => text = text + &char::from(byte).to_string() + &part[3..],
            None => text = text + "\\" + part,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shortened from a sandbox of systemd 252's.
    const SANDBOX: &str = "\
596 559 254:0 / / ro,relatime shared:164 master:1 - ext4 /dev/vda rw,errors=remount-ro
611 596 0:59 / /run rw,nosuid,nodev shared:188 master:11 - tmpfs tmpfs rw,size=4936820k
620 596 8:1 / /srv\\040data ro shared:1 master:5 - xfs /dev/sdb1 ro,seclabel
621 596 0:80 / /nas ro shared:1 master:6 - nfs4 nas:/x rw,vers=4.2
606 596 0:59 /systemd/inaccessible/dir /home ro shared:203 master:11 - tmpfs tmpfs rw
596 559 0:51 / /tmp rw shared:164 master:1 - tmpfs tmpfs rw
597 596 0:100 / /tmp rw,nodev shared:206 - tmpfs tmpfs rw,size=65536k
";

    fn place(mounts: &Mounts, path: &str) -> String {
        mounts.of(Path::new(path)).map_or_else(|| "-".to_owned(), |mount| mount.path.display().to_string())
    }

    #[test]
    fn what_the_sandbox_hides_and_what_lies_on_the_network_is_left_alone() {
        let mounts = Mounts::parse(SANDBOX);
        for (path, expected) in [
            ("/etc/x", "/"),
            ("/runx/y", "/"),
            ("/run/x/y", "/run"),
            ("/srv data/x", "/srv data"),
            ("/nas/x", "-"),
            ("/home/alice", "-"),
            ("/tmp/x", "-"),
        ] {
            assert_eq!(place(&mounts, path), expected, "{path}");
        }
        assert!(mounts.of(Path::new("/srv data")).unwrap().read_only && !mounts.of(Path::new("/etc")).unwrap().read_only);
        let outside = Mounts::parse(&SANDBOX.replace(" master:1 ", " "));
        assert_eq!(place(&outside, "/tmp/x"), "/tmp", "nothing is hidden where there is no sandbox");
    }

    #[test]
    fn a_file_system_that_hangs_costs_its_time_and_no_more() {
        let found = collected(Duration::from_millis(1), |found| {
            found(1);
            loop {
                thread::park();
            }
        });
        assert!(!found.whole && (found.list.is_empty() || found.list == [1]), "{found:?}");
        let found = collected(Duration::from_secs(60), |found| (1..=2).for_each(found));
        assert_eq!(found, Found { list: vec![1, 2], whole: true });
    }

    #[test]
    fn a_file_changes_with_the_links_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("1")).unwrap();
        fs::write(path("1/app"), "").unwrap();
        let old = fs::File::open(path("1/app")).unwrap();
        old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let unpacked = changed(&path("1/app")).unwrap();
        assert!(unpacked.timestamp() > 1_000_000, "the time of its coming, not of its making: {unpacked}");
        while clock::system() <= unpacked + chrono::TimeDelta::milliseconds(20) {}
        std::os::unix::fs::symlink("1", path("current")).unwrap();
        assert!(changed(&path("current/app")).unwrap() > unpacked);
        assert_eq!((changed(&path("1")), changed(&path("none"))), (None, None));

        while clock::system() <= unpacked + chrono::TimeDelta::milliseconds(40) {}
        fs::hard_link(path("1/app"), path("backup")).unwrap();
        assert_eq!(changed(&path("1/app")), Some(unpacked), "a backup by hard links changes nothing");
        fs::write(path("1/app"), "edited").unwrap();
        assert!(changed(&path("1/app")).unwrap() > unpacked);
    }
}
