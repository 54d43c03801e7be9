//! What sensors touch of the machine. A test has a machine of its own: a folder with `proc/` in it, or an implementation of the
//! trait.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;

use super::journal::{Bookmark, Entry, Journal, Reached, Writer};
use super::manager::{Counts, ServiceManager};
use super::program::{self, Ran};
use super::space::{self, Answer, Asked};
use super::tail::{self, Place};
use super::tasks::{self, Blocked};
use super::{clock, names};

/// So long the journal may be searched: what is left is for the next run.
const SEARCHING: Duration = Duration::from_secs(2);
/// So long the service manager may take to answer.
const ANSWERING: Duration = Duration::from_secs(2);
/// A file of more bytes is none that a sensor can use.
const LARGEST: u64 = 1024 * 1024;

/// The machine, as sensors ask it. What a machine has not got is an error; so a test's has only what it is about.
pub trait Sensing {
    /// A file's text, by its path on that machine ("/proc/stat"); what is no text in it is replaced. Never waits: a FIFO or a
    /// device is an error, and so is a file of more than 1 MiB.
    ///
    /// # Errors
    /// The system's.
    fn read(&self, path: &str) -> io::Result<String>;

    /// The same as it is by now: after something that took time.
    ///
    /// # Errors
    /// The system's.
    fn read_again(&self, path: &str) -> io::Result<String> {
        self.read(path)
    }

    /// Whether this is a container, as its service manager says: what the kernel counts is not the container's alone.
    fn is_container(&self) -> bool {
        self.read("/run/systemd/container").is_ok()
    }

    /// What names this boot, in every sandbox alike; empty where the kernel does not tell. In a container that is when its first
    /// process began: systemd-nspawn lays an ID of its own over the kernel's, and a unit with `ProtectKernelTunables=` sees the
    /// kernel's (tried with 252).
    fn boot(&self) -> String {
        let began = || tasks::began_in(&self.read("/proc/1/stat").ok()?);
        if self.is_container()
            && let Some(began) = began()
        {
            return format!("container-{began}");
        }
        self.read("/proc/sys/kernel/random/boot_id").map(|text| text.trim().replace('-', "")).unwrap_or_default()
    }

    /// As whom the whole system is watched; `None`: a user watches what that user may see.
    fn watcher(&self) -> Option<String> {
        None
    }

    /// Lets time pass, for what is measured over a time.
    fn wait(&self, time: Duration);

    /// How full these file systems are, as [`space::spaces`] tells.
    fn spaces(&self, asked: &[Asked], within: Duration) -> Vec<Answer> {
        let _ = within;
        asked.iter().map(|_| Answer::Failed(io::ErrorKind::Unsupported.into())).collect()
    }

    /// The tasks that wait and cannot be interrupted.
    ///
    /// # Errors
    /// The system's; and when this user cannot see other users' processes.
    fn blocked(&self) -> io::Result<Vec<Blocked>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Hands over what the kernel or the SSH server wrote into the journal since that bookmark, oldest first.
    ///
    /// # Errors
    /// A sentence, when there is no journal, or this user may not read it.
    fn entries(&self, writer: Writer, from: &Bookmark, take: &mut dyn FnMut(Entry)) -> Result<Reached, String> {
        let _ = (writer, from, take);
        Err("there is no journal here".to_owned())
    }

    /// Hands over the lines of a log since that place, as [`tail::lines`] does.
    ///
    /// # Errors
    /// The system's.
    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<tail::Reached> {
        let _ = (path, from, line);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How many units the service manager has; `None` when it does not answer.
    fn units(&self) -> Option<Counts> {
        None
    }

    /// Runs a program, as [`program::run`] does.
    ///
    /// # Errors
    /// The system's, when it could not be started.
    fn run(&self, program: &str, arguments: &[String], limit: Duration, longest: usize) -> io::Result<Ran> {
        program::run(program, arguments, limit, longest)
    }
}

/// The machine whose files lie below a root.
#[derive(Debug, Clone)]
pub struct Here {
    root: PathBuf,
    users: bool,
}

impl Here {
    /// `/`, but for tests.
    pub fn new(root: impl Into<PathBuf>) -> Here {
        Here { root: root.into(), users: false }
    }

    /// The same with this user's own service manager.
    #[must_use]
    pub fn with_users_manager(self) -> Here {
        Here { users: true, ..self }
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

    fn watcher(&self) -> Option<String> {
        (!self.users).then(names::user)
    }

    fn wait(&self, time: Duration) {
        clock::wait(time);
    }

    fn spaces(&self, asked: &[Asked], within: Duration) -> Vec<Answer> {
        let below = |asked: &Asked| Asked { path: self.path(&asked.path.to_string_lossy()), ..*asked };
        space::spaces(&asked.iter().map(below).collect::<Vec<_>>(), within)
    }

    fn blocked(&self) -> io::Result<Vec<Blocked>> {
        // with hidepid= everybody sees their own processes alone
        fs::metadata(self.path("/proc/1/stat"))?;
        tasks::blocked(&self.path("/proc"))
    }

    fn entries(&self, writer: Writer, from: &Bookmark, take: &mut dyn FnMut(Entry)) -> Result<Reached, String> {
        if self.root != Path::new("/") {
            return Err("there is no journal here".to_owned());
        }
        Journal::new(SEARCHING).entries(writer, from, take)
    }

    fn lines(&self, path: &str, from: Option<&Place>, line: &mut dyn FnMut(&str)) -> io::Result<tail::Reached> {
        tail::lines(&self.path(path), from, line)
    }

    fn units(&self) -> Option<Counts> {
        let is_ours = self.root == Path::new("/");
        if is_ours { ServiceManager::new(self.users, ANSWERING).counts() } else { None }
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
        assert_eq!((here.boot(), Here::new("/").boot().is_empty()), (String::new(), false));
    }

    #[test]
    fn a_boot_has_one_name_in_every_sandbox_of_a_container() {
        let folder = tempfile::tempdir().unwrap();
        let here = Here::new(folder.path());
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let stat = |began: u64| {
            let text = format!("1 (systemd) S 0 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 {began} 1000 10 0 0 0\n");
            write("proc/1/stat", &text);
        };
        let id = |id: &str| write("proc/sys/kernel/random/boot_id", id);
        stat(2);
        id("aaaa-1\n");
        assert_eq!((here.boot(), here.is_container()), ("aaaa1".into(), false));
        write("run/systemd/container", "systemd-nspawn");
        stat(7_088_933);
        let one = here.boot();
        id("bbbb-2\n");
        assert_eq!((here.boot(), here.is_container()), (one.clone(), true));
        stat(7_099_000);
        assert_ne!(here.boot(), one, "the container was booted again");
        write("proc/1/stat", "nonsense");
        assert_eq!(here.boot(), "bbbb2");
    }
}
