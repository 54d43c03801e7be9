//! Unit files and their drop-ins, found where systemd looks for them (`systemd.unit(5)`, "Unit File Load Path"). The bus would
//! tell them, too, but neither early in the boot nor of a manager that is busy.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::directives::is_shipped;
use super::env::Environment;
use super::files::Files;
use crate::event::{Manager, UnitName};

/// The folders in which one manager looks, the most important first.
#[derive(Debug, Clone)]
pub struct UnitFiles {
    folders: Vec<PathBuf>,
    /// Before the names of another manager's units stands whose they are.
    owner: Option<String>,
}

const SYSTEM: [&str; 12] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/etc/systemd/system.attached",
    "/run/systemd/system",
    "/run/systemd/system.attached",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// `~`: XDG_CONFIG_HOME, `!`: XDG_RUNTIME_DIR, `-`: XDG_DATA_HOME.
const USER: [&str; 15] = [
    "~systemd/user.control",
    "!systemd/user.control",
    "!systemd/transient",
    "!systemd/generator.early",
    "~systemd/user",
    "/etc/xdg/systemd/user",
    "/etc/systemd/user",
    "!systemd/user",
    "/run/systemd/user",
    "!systemd/generator",
    "-systemd/user",
    "/usr/local/share/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
    "!systemd/generator.late",
];

impl UnitFiles {
    /// Those of this manager's units.
    pub fn find(manager: &Manager, environment: Environment) -> UnitFiles {
        let home = |default: &str| environment.folder("HOME").map(|home| home.join(default));
        let place = |path: &&str| match path.split_at(1) {
            ("~", rest) => environment.folder("XDG_CONFIG_HOME").or_else(|| home(".config")).map(|folder| folder.join(rest)),
            ("-", rest) => environment.folder("XDG_DATA_HOME").or_else(|| home(".local/share")).map(|folder| folder.join(rest)),
            ("!", rest) => environment.folder("XDG_RUNTIME_DIR").map(|folder| folder.join(rest)),
            _ => Some(PathBuf::from(path)),
        };
        match manager {
            Manager::System => UnitFiles::below(SYSTEM.iter().map(PathBuf::from).collect(), None),
            Manager::User(user) => UnitFiles::below(USER.iter().filter_map(place).collect(), Some(user.clone())),
        }
    }

    /// Those in these folders; `owner`: what stands before the units' names.
    pub fn below(folders: Vec<PathBuf>, owner: Option<String>) -> UnitFiles {
        // most of them are not there, and each unit is looked for in all
        UnitFiles { folders: folders.into_iter().filter(|folder| folder.is_dir()).collect(), owner }
    }

    /// Those alone that came with programs, and that nobody of this machine wrote.
    pub fn shipped(mut self) -> UnitFiles {
        self.folders.retain(|folder| is_shipped(folder));
        self
    }

    /// The files of which a unit is made, in the order in which they count: its own, then its drop-ins. None of what is not this
    /// manager's: another user's file must not say who hears of what. A file that is masked is empty.
    pub fn of(&self, unit: &str) -> Files {
        let unit = match &self.owner {
            Some(owner) => unit.strip_prefix(owner.as_str()).and_then(|rest| rest.strip_prefix('/')),
            None => Some(unit),
        };
        // what the record holds may be no name at all
        let Some(unit) = unit.and_then(|unit| unit.parse::<UnitName>().ok()) else { return Files::new() };
        let names = names(unit.as_str());
        let fragments = names.iter().take(if names[0].contains('@') { 2 } else { 1 });
        let fragment = fragments.flat_map(|name| self.folders.iter().map(move |folder| folder.join(name))).find_map(read);
        // of two with the same name the one in the more important folder counts, then that of the more special unit; those for
        // all units of a type come last
        let own = self.folders.iter().flat_map(|folder| names.iter().map(move |name| folder.join(format!("{name}.d"))));
        let of_type = unit.as_str().rsplit_once('.').map(|(_, kind)| format!("{kind}.d")).unwrap_or_default();
        let of_type = self.folders.iter().map(|folder| folder.join(&of_type));
        let mut drop_ins: BTreeMap<String, PathBuf> = BTreeMap::new();
        for folder in own.chain(of_type) {
            for (name, path) in entries(&folder).into_iter().filter(|(name, _)| name.ends_with(".conf")) {
                drop_ins.entry(name).or_insert(path);
            }
        }
        fragment.into_iter().chain(drop_ins.into_values().filter_map(read)).collect()
    }

    /// The names of all units that have a file.
    pub fn names(&self) -> Vec<String> {
        let names = self.folders.iter().flat_map(|folder| entries(folder)).map(|(name, _)| name);
        names.filter(|name| name.parse::<UnitName>().is_ok()).collect()
    }

    /// Every unit file and drop-in there is, by its path.
    pub fn all(&self) -> Files {
        let mut paths = Vec::new();
        for (name, path) in self.folders.iter().flat_map(|folder| entries(folder)) {
            match name.ends_with(".d") {
                true => {
                    paths.extend(entries(&path).into_iter().filter(|(name, _)| name.ends_with(".conf")).map(|(_, path)| path))
                }
                false if name.parse::<UnitName>().is_ok() => paths.push(path),
                false => {}
            }
        }
        paths.sort();
        paths.into_iter().filter_map(read).collect()
    }
}

/// Under these names systemd looks for a unit's drop-ins in each folder, the most special first: for "a-b@x.service" also below
/// "a-b@.service.d", "a-@.service.d" and "a-.service.d".
fn names(unit: &str) -> Vec<String> {
    let (stem, kind) = unit.rsplit_once('.').unwrap_or((unit, "service"));
    let mut names = vec![unit.to_owned()];
    let Some((prefix, instance)) = stem.split_once('@') else {
        names.extend(groups(stem).map(|group| format!("{group}.{kind}")));
        return names;
    };
    if !instance.is_empty() {
        names.push(format!("{prefix}@.{kind}"));
    }
    names.extend(groups(prefix).map(|group| format!("{group}@.{kind}")));
    names.extend(groups(prefix).map(|group| format!("{group}.{kind}")));
    names
}

/// What a name begins with, up to each of its dashes: "a-b-" and "a-" of "a-b-c".
fn groups(prefix: &str) -> impl Iterator<Item = &str> {
    let mut group = prefix;
    std::iter::from_fn(move || {
        group = &group[..=group.trim_end_matches('-').rfind('-')?];
        Some(group)
    })
}

/// A folder's entries; none of one that is not there.
fn entries(folder: &Path) -> Vec<(String, PathBuf)> {
    let Ok(found) = fs::read_dir(folder) else { return Vec::new() };
    found.filter_map(|entry| entry.ok()).filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

/// A file with its text; `None` when there is none. A mask, and what may not be read, is empty.
fn read(path: PathBuf) -> Option<(PathBuf, String)> {
    match fs::metadata(&path) {
        Ok(about) if about.is_file() => Some((path.clone(), fs::read(&path).map_or_else(|_| String::new(), lossy))),
        // /dev/null, or a link to it
        Ok(about) if !about.is_dir() => Some((path, String::new())),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some((path, String::new())),
        _ => None,
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn drop_ins_are_looked_for_under_all_the_names_that_systemd_knows() {
        for (unit, expected) in [
            ("a.service", "a.service"),
            ("a-b-c.timer", "a-b-c.timer a-b-.timer a-.timer"),
            ("a@x.service", "a@x.service a@.service"),
            ("a-b-c@x-y.service", "a-b-c@x-y.service a-b-c@.service a-b-@.service a-@.service a-b-.service a-.service"),
            ("a-.service", "a-.service"),
            ("-.mount", "-.mount"),
        ] {
            assert_eq!(names(unit).join(" "), expected, "{unit}");
        }
    }

    #[test]
    fn a_unit_is_made_of_its_file_and_its_drop_ins() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
        };
        let etc_and_usr = ["etc", "usr"].map(|folder| root.path().join(folder)).to_vec();
        for path in ["etc/a-b.service", "usr/a-b.service", "usr/c@.service", "usr/gone.service", "etc/x.txt"] {
            put(path);
        }
        for path in ["usr/service.d/10-all.conf", "etc/a-.service.d/20-group.conf", "usr/a-b.service.d/20-group.conf"] {
            put(path);
        }
        for path in
            ["usr/a-b.service.d/30-own.conf", "etc/a-b.service.d/readme", "usr/c@.service.d/1.conf", "etc/c@i.service.d/0.conf"]
        {
            put(path);
        }
        symlink("/dev/null", root.path().join("etc/gone.service")).unwrap();
        fs::create_dir_all(root.path().join("etc/a-b.service.d")).unwrap();
        symlink("/dev/null", root.path().join("etc/a-b.service.d/30-own.conf")).unwrap();
        let shown = |files: Files| -> Vec<String> {
            let root = root.path().to_str().unwrap();
            let name = |path: PathBuf| path.to_str().unwrap().trim_start_matches(root)[1..].to_owned();
            files.into_iter().map(|(path, text)| name(path) + if text.is_empty() { " masked" } else { "" }).collect()
        };
        let found = |unit: &str| shown(UnitFiles::below(etc_and_usr.clone(), None).of(unit));
        assert_eq!(
            found("a-b.service"),
            [
                "etc/a-b.service",
                "usr/service.d/10-all.conf",
                "etc/a-.service.d/20-group.conf",
                "etc/a-b.service.d/30-own.conf masked"
            ]
        );
        assert_eq!(
            found("c@i.service"),
            ["usr/c@.service", "etc/c@i.service.d/0.conf", "usr/c@.service.d/1.conf", "usr/service.d/10-all.conf"]
        );
        assert_eq!(found("gone.service"), ["etc/gone.service masked", "usr/service.d/10-all.conf"]);
        for nobodys in ["alice/a-b.service", "..", "../etc/a-b.service", ""] {
            assert!(found(nobodys).is_empty(), "{nobodys}");
        }
        let alices = UnitFiles::below(etc_and_usr.clone(), Some("alice".to_owned()));
        assert_eq!(alices.of("alice/a-b.service").len(), 4);
        assert!(alices.of("a-b.service").is_empty() && alices.of("alicea-b.service").is_empty());
        assert_eq!(shown(alices.all()).len(), 12, "{:?}", shown(alices.all()));
    }
}
