//! Reading the configuration's files; writing a file that a power cut does not lose.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::Group;

use super::site::ConfigPlace;
use crate::error::{Error, Kind, Result};

/// Files in the order in which they count, each as its path and its text.
pub type Files = Vec<(PathBuf, String)>;

/// The configuration's files, in the order in which they count.
///
/// # Errors
/// `Config`, when a named file is missing or no text; `Permission`, when one may not be read.
pub fn configuration(place: &ConfigPlace) -> Result<Files> {
    match place {
        ConfigPlace::File(path) => {
            let text = read(path)?.ok_or_else(|| {
                Error::config(format!("the configuration {} does not exist", path.display()))
                    .hint("/dev/null stands for no configuration")
            })?;
            Ok(vec![(path.clone(), text)])
        }
        ConfigPlace::Folder(folder) => {
            let mut files = Files::new();
            for path in std::iter::once(folder.join("sysalert.toml")).chain(drop_ins(&folder.join("conf.d"))?) {
                if let Some(text) = read(&path)? {
                    files.push((path, text));
                }
            }
            Ok(files)
        }
    }
}

/// Every file and folder that the configuration consists of, as far as it is there.
///
/// # Errors
/// `Permission` or `Failure`, when a folder cannot be read.
pub fn places(place: &ConfigPlace) -> Result<Vec<PathBuf>> {
    let mut places = match place {
        ConfigPlace::File(path) => vec![path.clone()],
        ConfigPlace::Folder(folder) => {
            let drop_in = folder.join("conf.d");
            let files = drop_ins(&drop_in)?;
            [vec![folder.clone(), folder.join("sysalert.toml"), drop_in], files].concat()
        }
    };
    places.retain(|path| path.symlink_metadata().is_ok());
    Ok(places)
}

fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, &error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Error::file("read", folder, &error))?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => Error::file("read", path, cause).hint(
            "root and members of the group sysalert may read it; with --user a configuration and a record of your own are used",
        ),
        _ => Error::new(Kind::Config, format!("cannot read {}: {cause}", path.display())),
    }
}

/// What a file holds that is to be replaced; nothing where there is none yet.
///
/// # Errors
/// The system's; and when this is a link, a folder, a device or a FIFO, which a file would be put in place of.
pub fn to_replace(path: &Path) -> io::Result<String> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(fs::read_to_string(path).unwrap_or_default()),
        Ok(_) => Err(io::Error::other("it is no regular file, and stays as it is")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Replaces a file, in one step, by one that everybody may read. No fsync: after a power cut the old one may be back.
///
/// # Errors
/// The system's.
pub fn replace_public(path: &Path, text: &str) -> io::Result<()> {
    in_place(path, |file| {
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(0o644)) // whatever the umask
    })
}

/// Replaces a file by one that everybody may read, in one step that a power cut does not undo; makes its folder.
///
/// # Errors
/// The system's.
pub fn replace_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!(".{name}"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&draft)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, folder.join(name)))?;
    File::open(folder)?.sync_all()
}

/// Puts a file in place, in one step that a power cut does not undo, with this mode, and for this group where it is named.
///
/// # Errors
/// The system's; and when this is a link, a folder, a device or a FIFO.
pub fn place(path: &Path, text: &str, mode: u32, group: Option<&str>) -> io::Result<()> {
    to_replace(path)?;
    let group = group.and_then(|name| Group::from_name(name).ok().flatten()).map(|group| group.gid.as_raw());
    in_place(path, |file| {
        file.write_all(text.as_bytes())?;
        if group.is_some() {
            fchown(&*file, None, group)?;
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()
    })?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Replaces a file, in one step, by one that is filled first.
fn in_place(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // nobody takes it for the file: it has another ending
    let draft = path.with_file_name(format!(".{}.draft", path.file_name().unwrap_or_default().to_string_lossy()));
    match fs::remove_file(&draft) {
        // left behind by a run that was cut off
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // nobody but its owner may see it before it is whole
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let placed = fill(&mut file).and_then(|()| fs::rename(&draft, path));
    if placed.is_err() {
        let _ = fs::remove_file(&draft);
    }
    placed
}

/// Writes a new file so that it is there, whole, after a power cut: two fsyncs.
///
/// # Errors
/// The system's.
pub fn write_durably(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let draft = folder.join(format!(".{name}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&draft)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, folder.join(name)));
    if written.is_err() {
        // what matters is the first error; a draft that stays behind harms nothing
        let _ = fs::remove_file(&draft);
    }
    written?;
    File::open(folder)?.sync_all()
}
