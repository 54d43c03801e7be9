//! Which mounts are measured: those that a person would call a disk, each file system once.

use std::cmp::Reverse;
use std::path::Path;

use wildmatch::WildMatch;

use crate::host::mounts::Mounted;

/// Something to measure.
pub(super) struct Chosen<'a> {
    /// Where; the name of the instance.
    pub path: String,
    /// The mount on which that lies.
    pub mount: Option<&'a Mounted>,
    /// `include` names it.
    pub is_asked_for: bool,
}

/// What the kernel makes up, and what only shows other file systems.
const NO_DISKS: &[&str] = &[
    "autofs",
    "binder",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "cpuset",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "functionfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sysfs",
    "tracefs",
];
/// Always full, and meant to be.
const IMAGES: &[&str] = &["cramfs", "erofs", "fuse.snapfuse", "fuse.squashfuse", "iso9660", "romfs", "squashfs"];
/// Here a container's manager shows what is the host's.
const OF_HOST: &str = "/run/host";
/// The system's own folders in memory.
const OF_SYSTEM: &[&str] = &["/dev", "/proc", "/run", "/sys"];

/// What is to be measured, in the order of the table and then of `include`.
///
/// A tmpfs counts, but below the system's own folders: a `/tmp` in memory can be full like any other. An overlay counts as `/`, of
/// a container or a live system: others are the containers' own.
pub(super) fn chosen<'a>(table: &'a [Mounted], include: &[String], exclude: &[String]) -> Vec<Chosen<'a>> {
    let globs: Vec<WildMatch> = exclude.iter().map(|glob| WildMatch::new(glob)).collect();
    let is_covered = |number: usize| table[number + 1..].iter().any(|later| later.path == table[number].path);
    let visible: Vec<&Mounted> =
        table.iter().enumerate().filter(|(number, _)| !is_covered(*number)).map(|(_, mount)| mount).collect();
    let real: Vec<&Mounted> = visible.iter().copied().filter(|mount| is_real(mount)).collect();
    // of several mounts of a file system the whole one, and of those the nearest to the root
    let rank = |mount: &Mounted| Reverse((mount.root != "/", mount.path.len()));
    let is_first = |mount: &Mounted| real.iter().filter(|other| other.id == mount.id).all(|other| rank(other) <= rank(mount));
    let mut seen: Vec<&str> = Vec::new();
    let mut chosen: Vec<Chosen<'_>> = Vec::new();
    for mount in &real {
        if is_first(mount) && !seen.contains(&mount.id.as_str()) {
            seen.push(&mount.id);
            if !globs.iter().any(|glob| glob.matches(&mount.path)) {
                chosen.push(Chosen { path: mount.path.clone(), mount: Some(mount), is_asked_for: false });
            }
        }
    }
    for path in include.iter().flat_map(|asked| meant(asked, &visible)) {
        if let Some(known) = chosen.iter_mut().find(|known| known.path == path) {
            known.is_asked_for = true;
            continue;
        }
        let above = visible.iter().copied().filter(|mount| Path::new(&path).starts_with(&mount.path));
        let mount = above.max_by_key(|mount| Path::new(&mount.path).components().count());
        chosen.push(Chosen { path, mount, is_asked_for: true });
    }
    chosen
}

/// The paths that an entry of `include` names: a glob those of mounts.
fn meant(asked: &str, visible: &[&Mounted]) -> Vec<String> {
    if !asked.contains(['*', '?']) {
        let path = asked.trim_end_matches('/');
        return vec![if path.is_empty() { "/".to_owned() } else { path.to_owned() }];
    }
    let glob = WildMatch::new(asked);
    visible.iter().filter(|mount| glob.matches(&mount.path)).map(|mount| mount.path.clone()).collect()
}

fn is_real(mount: &Mounted) -> bool {
    let kind = mount.kind.as_str();
    let is_of_system = || OF_SYSTEM.iter().any(|folder| Path::new(&mount.path).starts_with(folder));
    match kind {
        "overlay" => mount.path == "/",
        "tmpfs" => !is_of_system(),
        _ if Path::new(&mount.path).starts_with(OF_HOST) => false,
        // a stick has it, too
        "udf" => !mount.read_only,
        _ => !NO_DISKS.contains(&kind) && !IMAGES.contains(&kind),
    }
}
