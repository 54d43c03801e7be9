//! What sensors touch of the machine. A test has a machine of its own: a folder with `proc/` in it, or an implementation of the
//! trait.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use super::clock;
use super::space::{self, Space};

/// A file of more bytes is none that a sensor can use.
const LARGEST: u64 = 1024 * 1024;

/// The machine, as sensors ask it.
pub trait Sensing {
    /// A file's text, by its path on that machine ("/proc/stat"); what is no text in it is replaced. Never waits: a FIFO or a
    /// device is an error, and so is a file of more than 1 MiB.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &str) -> io::Result<String>;

    /// The ID of this boot; empty where the kernel does not tell.
    fn boot(&self) -> String {
        self.read("/proc/sys/kernel/random/boot_id").map(|text| text.trim().replace('-', "")).unwrap_or_default()
    }

    /// Lets time pass, for what is measured over a time.
    fn wait(&self, time: Duration);

    /// How full the file systems of these paths are, in their order; `None` for one that does not answer within this time, which
    /// holds for all together.
    fn spaces(&self, paths: &[PathBuf], within: Duration) -> Vec<Option<io::Result<Space>>>;
}

/// The machine whose files lie below a root.
#[derive(Debug, Clone)]
pub struct Here {
    root: PathBuf,
}

impl Here {
    /// `/`, but for tests.
    pub fn new(root: impl Into<PathBuf>) -> Here {
        Here { root: root.into() }
    }

    /// Where this path of the machine is.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

impl Sensing for Here {
    fn read(&self, path: &str) -> io::Result<String> {
        read(&self.path(path))
    }

    fn wait(&self, time: Duration) {
        clock::wait(time);
    }

    fn spaces(&self, paths: &[PathBuf], within: Duration) -> Vec<Option<io::Result<Space>>> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| self.path(&path.to_string_lossy())).collect();
        space::spaces(&paths, within)
    }
}

fn read(path: &Path) -> io::Result<String> {
    // without O_NONBLOCK the opening of a FIFO waits for its writer
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    if !file.metadata().as_ref().is_ok_and(fs::Metadata::is_file) {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    // by what was read: files of /proc have no size
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_files_of_another_root_and_nothing_that_could_hang() {
        let folder = tempfile::tempdir().unwrap();
        let here = Here::new(folder.path());
        fs::write(folder.path().join("text"), b"a\xffb").unwrap();
        assert_eq!(here.read("/text").unwrap(), "a\u{fffd}b");
        nix::unistd::mkfifo(&folder.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(folder.path().join("large"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
        for path in ["/fifo", "/large", "/none", "/"] {
            assert!(here.read(path).is_err(), "{path}");
        }
        assert!(Here::new("/").read("/dev/zero").is_err());
        assert_eq!((here.boot(), Here::new("/").boot().len()), (String::new(), 32));
    }
}
