//! The folders `NAME.d` of drop-ins, below one place of units: written so that a reader never sees half of one, and never through
//! a symbolic link.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{AccessFlags, UnlinkatFlags, access, geteuid, unlinkat};

use super::env;
use crate::error::{Error, Kind, Result};

/// For whose service manager units are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The machine's.
    System,
    /// That of the user who asks.
    User,
    /// Those of all users.
    Global,
}

/// Where systemd looks for units that are installed, the strongest first.
const INSTALLED: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

impl Scope {
    /// Where whoever asks configures units.
    ///
    /// # Errors
    /// `Usage`, when there is no home; `Permission`, when it is somebody else's.
    pub fn folder(self) -> Result<PathBuf> {
        match self {
            Scope::System => Ok("/etc/systemd/system".into()),
            Scope::Global => Ok("/etc/systemd/user".into()),
            Scope::User => {
                let config = env::folder("XDG_CONFIG_HOME").or_else(|| env::folder("HOME").map(|home| home.join(".config")));
                let config = config.ok_or_else(|| Error::usage("--user needs a home: HOME is not set"))?;
                owned(&config)?;
                Ok(config.join("systemd/user"))
            }
        }
    }

    /// The text of an installed unit file or drop-in.
    pub fn installed(self, name: &str) -> Option<String> {
        let kind = if self == Scope::System { "system" } else { "user" };
        INSTALLED.iter().find_map(|place| fs::read_to_string(Path::new(place).join(kind).join(name)).ok())
    }
}

/// What `sudo` leaves of the environment may lead root into somebody's home.
fn owned(folder: &Path) -> Result<()> {
    let nearest = folder.ancestors().find_map(|path| fs::metadata(path).ok());
    if nearest.is_some_and(|about| about.uid() != geteuid().as_raw()) {
        let text = format!("{} belongs to somebody else", folder.display());
        return Err(Error::new(Kind::Permission, text).hint("run it as the user whose units it is about, without sudo"));
    }
    Ok(())
}

/// The place of units, open.
pub struct DropIns {
    path: PathBuf,
    place: Option<OwnedFd>,
}

/// What is found under a drop-in's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A file, with its text.
    Text(String),
    /// Something else: a link, a folder, or no text.
    Other,
}

const FOLDER: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);
/// A drop-in is some lines; what is longer is none of ours.
const LONGEST: u64 = 64 * 1024;

impl DropIns {
    /// Opens the place; it may be missing until something is written.
    ///
    /// # Errors
    /// `Permission` or `Failure`, when it cannot be opened.
    pub fn open(path: PathBuf) -> Result<DropIns> {
        let place = match open(&path, FOLDER | OFlag::O_RDONLY, Mode::empty()) {
            Ok(place) => Some(place),
            Err(Errno::ENOENT) => None,
            Err(error) => return Err(Error::file("open", &path, &error.into())),
        };
        Ok(DropIns { path, place })
    }

    /// The path of a drop-in, for people.
    pub fn path(&self, unit: &str, name: &str) -> PathBuf {
        self.path.join(folder_of(unit)).join(name)
    }

    /// The units that have a folder of drop-ins here, sorted.
    ///
    /// # Errors
    /// `Permission` or `Failure`, when the place cannot be read.
    pub fn units(&self) -> Result<Vec<String>> {
        if self.place.is_none() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(&self.path).map_err(|error| Error::file("read", &self.path, &error))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut units: Vec<String> = names.filter_map(|name| name.strip_suffix(".d").map(str::to_owned)).collect();
        units.sort();
        Ok(units)
    }

    /// Whether there is a folder for this unit's drop-ins.
    pub fn has_folder(&self, unit: &str) -> bool {
        !matches!(self.folder(unit), Ok(None))
    }

    /// Why there is no folder for this unit's drop-ins and none can be made, in a sentence. sysalert writes to no place that a link
    /// leads to.
    pub fn obstacle(&self, unit: &str) -> Option<String> {
        let path = self.path.join(folder_of(unit));
        let found = fs::symlink_metadata(&path).ok()?;
        let what = match (found.is_dir(), found.is_symlink()) {
            (true, _) => return None,
            (_, true) => "a link, and sysalert writes to no place that a link leads to",
            _ => "no folder",
        };
        Some(format!("{} is {what}", path.display()))
    }

    /// Why nothing can be written here by whoever asks, in a sentence; `None`: it can.
    pub fn refusal(&self) -> Option<String> {
        let nearest = self.path.ancestors().find(|path| path.exists())?;
        let why = match access(nearest, AccessFlags::W_OK) {
            Ok(()) => return None,
            Err(Errno::EROFS) => "is read-only".to_owned(),
            Err(Errno::EACCES | Errno::EPERM) => "can be written by others only".to_owned(),
            Err(error) => format!("cannot be written: {}", error.desc()),
        };
        Some(format!("{} {why}", nearest.display()))
    }

    /// What there is under this name.
    ///
    /// # Errors
    /// `Permission` or `Failure`, when it cannot be read.
    pub fn read(&self, unit: &str, name: &str) -> Result<Found> {
        let failed = |error: io::Error| Error::file("read", &self.path(unit, name), &error);
        let folder = match self.folder(unit) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Ok(Found::Nothing),
            // whatever stands where the link leads to
            Err(error) if is_link(&error) => {
                let is_there = fs::symlink_metadata(self.path(unit, name)).is_ok();
                return Ok(if is_there { Found::Other } else { Found::Nothing });
            }
            Err(error) => return Err(failed(error)),
        };
        // a FIFO must not hold us up
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(Found::Nothing),
            Err(Errno::ELOOP) => return Ok(Found::Other),
            Err(error) => return Err(failed(error.into())),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(Found::Other);
        }
        let mut text = String::new();
        match file.take(LONGEST).read_to_string(&mut text) {
            Ok(_) => Ok(Found::Text(text)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Found::Other),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes a drop-in, with its folder, in one step and durably.
    ///
    /// # Errors
    /// `Permission` or `Failure`, when that fails; then nothing of it is there.
    pub fn write(&mut self, unit: &str, name: &str, text: &str) -> Result<()> {
        let made = !self.has_folder(unit);
        self.try_write(unit, name, text).map_err(|error| {
            if made {
                let _ = self.remove_folder(unit);
            }
            let path = self.path(unit, name);
            if let Some(what) = self.obstacle(unit) {
                return Error::failure(what).hint("make it a folder, or put the drop-in there by hand");
            }
            refused(Error::file("write", &path, &error))
        })
    }

    fn try_write(&mut self, unit: &str, name: &str, text: &str) -> io::Result<()> {
        let place = match &self.place {
            Some(place) => place,
            None => {
                fs::create_dir_all(&self.path)?;
                self.place.insert(open(&self.path, FOLDER | OFlag::O_RDONLY, Mode::empty())?)
            }
        };
        match mkdirat(place, folder_of(unit).as_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) => {
                let folder = open_folder(place, unit)?;
                fchmod(&folder, Mode::from_bits_truncate(0o755))?; // whatever the umask
                sync(place)?;
            }
            Err(Errno::EEXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let folder = open_folder(place, unit)?;
        let draft = draft_of(name);
        // left behind by a run that was cut off
        remove(&folder, &draft)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&folder, draft.as_str(), flags, Mode::from_bits_truncate(0o644))?);
        let written = fchmod(&file, Mode::from_bits_truncate(0o644))
            .map_err(io::Error::from)
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&folder, draft.as_str(), &folder, name)?));
        if written.is_err() {
            // what matters is the first error
            let _ = remove(&folder, &draft);
        }
        written?;
        sync(&folder)
    }

    /// Removes a drop-in.
    ///
    /// # Errors
    /// `Permission` or `Failure`, when it stays.
    pub fn remove(&self, unit: &str, name: &str) -> Result<()> {
        let removed = self.folder(unit).and_then(|folder| {
            let Some(folder) = folder else { return Ok(()) };
            remove(&folder, &draft_of(name))?;
            remove(&folder, name)?;
            sync(&folder)
        });
        removed.map_err(|error| refused(Error::file("remove", &self.path(unit, name), &error)))
    }

    /// Removes a unit's folder, if nothing is left in it.
    ///
    /// # Errors
    /// `Permission` or `Failure`, when it is empty and stays.
    pub fn remove_folder(&self, unit: &str) -> Result<()> {
        let Some(place) = &self.place else { return Ok(()) };
        match unlinkat(place, folder_of(unit).as_str(), UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
            Err(error) => Err(refused(Error::file("remove", &self.path.join(folder_of(unit)), &error.into()))),
        }
    }

    fn folder(&self, unit: &str) -> io::Result<Option<OwnedFd>> {
        let Some(place) = &self.place else { return Ok(None) };
        match open_folder(place, unit) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            folder => folder.map(Some),
        }
    }
}

fn open_folder(place: &OwnedFd, unit: &str) -> io::Result<OwnedFd> {
    Ok(openat(place, folder_of(unit).as_str(), FOLDER | OFlag::O_RDONLY | OFlag::O_NOFOLLOW, Mode::empty())?)
}

fn folder_of(unit: &str) -> String {
    format!("{unit}.d")
}

/// systemd reads neither what begins with a dot nor what does not end in ".conf".
fn draft_of(name: &str) -> String {
    format!(".{name}.draft")
}

fn remove(folder: &OwnedFd, name: &str) -> io::Result<()> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Err(error) if error != Errno::ENOENT => Err(error.into()),
        _ => Ok(()),
    }
}

fn sync(folder: impl AsFd) -> io::Result<()> {
    Ok(nix::unistd::fsync(folder)?)
}

fn is_link(error: &io::Error) -> bool {
    // Linux answers O_DIRECTORY | O_NOFOLLOW by either, as the link leads to a folder or not
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ELOOP | Errno::ENOTDIR))
}

fn refused(error: Error) -> Error {
    if error.kind == Kind::Permission {
        return error.hint("run it as root; for units of your own, as yourself: sysalert --user ...");
    }
    error
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const NAME: &str = "10-sysalert.conf";

    fn place() -> (tempfile::TempDir, DropIns) {
        let folder = tempfile::tempdir().unwrap();
        let drop_ins = DropIns::open(folder.path().join("system")).unwrap();
        (folder, drop_ins)
    }

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_written_is_read_and_taken_back_without_a_trace() {
        let (folder, mut drop_ins) = place();
        assert_eq!(drop_ins.read("a.service", NAME).unwrap(), Found::Nothing);
        assert!(!drop_ins.has_folder("a.service") && drop_ins.units().unwrap().is_empty());
        drop_ins.write("a.service", NAME, "one").unwrap();
        fs::write(folder.path().join("system/a.service.d/.10-sysalert.conf.draft"), "cut off").unwrap();
        drop_ins.write("a.service", NAME, "two").unwrap();
        assert_eq!(drop_ins.read("a.service", NAME).unwrap(), Found::Text("two".to_owned()));
        assert_eq!(drop_ins.units().unwrap(), ["a.service"]);
        let path = drop_ins.path("a.service", NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(listing(path.parent().unwrap()), [NAME]);

        drop_ins.remove("a.service", NAME).unwrap();
        drop_ins.remove_folder("a.service").unwrap();
        assert!(listing(&folder.path().join("system")).is_empty());
    }

    #[test]
    fn what_somebody_else_put_there_stays() {
        let (folder, mut drop_ins) = place();
        drop_ins.write("a.service", NAME, "one").unwrap();
        fs::write(folder.path().join("system/a.service.d/other.conf"), "").unwrap();
        drop_ins.remove("a.service", NAME).unwrap();
        drop_ins.remove_folder("a.service").unwrap();
        assert_eq!(listing(&folder.path().join("system/a.service.d")), ["other.conf"]);
    }

    #[test]
    fn links_are_not_followed() {
        let (folder, mut drop_ins) = place();
        let (elsewhere, system) = (folder.path().join("elsewhere"), folder.path().join("system"));
        fs::create_dir(&elsewhere).unwrap();
        drop_ins.write("b.service", NAME, "").unwrap();
        symlink(&elsewhere, system.join("a.service.d")).unwrap();
        let refused = drop_ins.write("a.service", NAME, "text").unwrap_err();
        let why = "system/a.service.d is a link, and sysalert writes to no place that a link leads to";
        assert!(refused.message.ends_with(why), "{refused}");
        fs::write(system.join("c.service.d"), "").unwrap();
        let refused = drop_ins.write("c.service", NAME, "text").unwrap_err();
        assert!(refused.message.ends_with("system/c.service.d is no folder"), "{refused}");
        assert!(drop_ins.obstacle("b.service").is_none() && drop_ins.obstacle("none.service").is_none());
        assert_eq!(drop_ins.read("a.service", NAME).unwrap(), Found::Nothing);
        fs::write(elsewhere.join("theirs.conf"), "").unwrap();
        assert_eq!(drop_ins.read("a.service", "theirs.conf").unwrap(), Found::Other);
        fs::remove_file(elsewhere.join("theirs.conf")).unwrap();
        drop_ins.remove_folder("a.service").unwrap();
        assert!(drop_ins.remove("a.service", NAME).is_err());
        assert!(listing(&elsewhere).is_empty() && system.join("a.service.d").is_symlink());

        // a link in place of the file is replaced, not written through
        let target = elsewhere.join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, system.join("b.service.d/20.conf")).unwrap();
        assert_eq!(drop_ins.read("b.service", "20.conf").unwrap(), Found::Other);
        drop_ins.write("b.service", "20.conf", "new").unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
