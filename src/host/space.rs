//! How full file systems are, as df counts; none that hangs holds up the others, or this process.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, access};
use serde::{Deserialize, Serialize};

use super::{clock, tasks};

/// Bytes and files of a file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Space {
    /// Bytes, with what is kept for root.
    pub size: u64,
    /// Bytes that are taken.
    pub used: u64,
    /// Bytes that anybody but root may still take.
    pub free: u64,
    /// How many files it can hold; 0: as many as there is room for.
    pub files: u64,
    /// How many more.
    pub files_free: u64,
}

impl Space {
    /// Of the file system on which this path lies. Waits as long as that does.
    ///
    /// # Errors
    /// The system's.
    pub fn of(path: &Path) -> io::Result<Space> {
        let about = statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(about.fragment_size());
        Ok(Space {
            size: bytes(about.blocks()),
            used: bytes(about.blocks().saturating_sub(about.blocks_free())),
            free: bytes(about.blocks_available()),
            files: about.files(),
            files_free: about.files_free(),
        })
    }
}

/// Whether the file system of this path cannot be written.
pub fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|about| about.flags().contains(FsFlags::ST_RDONLY))
}

/// Whom to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// A path that lies on the file system.
    pub path: PathBuf,
    /// It lies in this machine; another one is asked by a process of its own.
    pub is_local: bool,
}

/// What one says.
#[derive(Debug)]
pub enum Answer {
    /// Its space.
    Told(Space),
    /// Why it cannot be measured.
    Failed(io::Error),
    /// It lies below this folder, which this user may not enter.
    Barred(PathBuf),
    /// Nothing in time. The process that waits for it is named, if there is one.
    Hangs(Option<Waiting>),
}

/// A process that waits for a file system, and cannot be killed while it does: the kernel may hold it until the server answers. It is
/// left behind, since a process of which one thread cannot be killed cannot end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    process: u32,
    /// In ticks since the boot: with the number it names the process.
    began: u64,
}

impl Waiting {
    /// Whether it still waits: then nobody else need ask.
    pub fn goes_on(&self) -> bool {
        tasks::began(self.process) == Some(self.began)
    }
}

/// The answers, in the order of the questions; what does not come within this time, which holds for all together, hangs.
pub fn spaces(asked: &[Asked], within: Duration) -> Vec<Answer> {
    all(asked, within, |asked| if asked.is_local { here(&asked.path) } else { there(&asked.path) })
}

/// How an answer comes: by a piece of work that may wait, and what waits then.
struct Way {
    work: Box<dyn FnOnce() -> Answer + Send>,
    process: Option<Child>,
}

fn here(path: &Path) -> io::Result<Way> {
    let path = path.to_owned();
    Ok(Way { work: Box::new(move || Space::of(&path).map_or_else(|error| refused(&path, error), Answer::Told)), process: None })
}

/// What `stat` prints: the size of a block, blocks, free ones, those for anybody, files, free ones.
const FORMAT: &str = "--printf=%S %b %f %a %c %d";

fn there(path: &Path) -> io::Result<Way> {
    let mut child = Command::new("/usr/bin/stat")
        .args(["--file-system", FORMAT, "--"])
        .arg(path)
        .env_clear()
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let told = move || {
        let (mut said, mut complaint) = (String::new(), String::new());
        stdout.map_or(Ok(0), |out| out.take(1000).read_to_string(&mut said))?;
        stderr.map_or(Ok(0), |out| out.take(1000).read_to_string(&mut complaint))?;
        read(&said).ok_or_else(|| {
            // "/usr/bin/stat: cannot read file system information for '/mnt/x': Permission denied"
            io::Error::other(complaint.trim().rsplit(": ").next().unwrap_or_default().to_owned())
        })
    };
    let path = path.to_owned();
    let work = move || told().map_or_else(|error| refused(&path, error), Answer::Told);
    Ok(Way { work: Box::new(work), process: Some(child) })
}

/// Why there are no figures. Where the way leads on, it has just been gone: nothing on it hangs.
fn refused(path: &Path, error: io::Error) -> Answer {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    let barred = above.into_iter().find(|folder| access(*folder, AccessFlags::X_OK) == Err(Errno::EACCES));
    barred.map_or(Answer::Failed(error), |folder| Answer::Barred(folder.to_owned()))
}

fn read(said: &str) -> Option<Space> {
    let numbers: Vec<u64> = said.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
    let [block, blocks, free, usable, files, files_free] = numbers[..] else { return None };
    let bytes = |blocks: u64| blocks.saturating_mul(block);
    Some(Space { size: bytes(blocks), used: bytes(blocks.saturating_sub(free)), free: bytes(usable), files, files_free })
}

fn all<Q>(asked: &[Q], within: Duration, way: impl Fn(&Q) -> io::Result<Way>) -> Vec<Answer> {
    let (results, answers) = mpsc::channel();
    let mut found: Vec<Answer> = asked.iter().map(|_| Answer::Hangs(None)).collect();
    let mut children = Vec::new();
    for (number, asked) in asked.iter().enumerate() {
        let results = results.clone();
        let started = way(asked).and_then(|Way { work, process }| {
            children.extend(process.map(|child| (number, child)));
            // whoever asked may have given up
            thread::Builder::new().stack_size(STACK).spawn(move || results.send((number, work())))
        });
        if let Err(error) = started {
            found[number] = Answer::Failed(error);
        }
    }
    drop(results);
    let end = clock::started() + within;
    while let Ok((number, answer)) = answers.recv_timeout(end.saturating_duration_since(clock::started())) {
        found[number] = answer;
    }
    for (number, mut child) in children {
        if let Answer::Hangs(waiting) = &mut found[number] {
            let process = child.id();
            *waiting = tasks::began(process).map(|began| Waiting { process, began });
            let _ = child.kill();
        } else {
            // it has closed its output: it ends
            let _ = child.wait();
        }
    }
    found
}

/// Enough for a system call, and to read a line.
const STACK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(answer: &Answer) -> String {
        match answer {
            Answer::Told(space) => format!("{} bytes", space.size),
            Answer::Failed(error) => error.to_string(),
            Answer::Barred(folder) => format!("{} bars the way", folder.display()),
            Answer::Hangs(waiting) => if waiting.is_some() { "a process hangs" } else { "hangs" }.into(),
        }
    }

    #[test]
    fn what_hangs_is_told_of_and_the_others_are_measured() {
        let answers = all(&[0, 1, 2], Duration::from_millis(500), |number| match number {
            0 => Ok(Way { work: Box::new(|| Answer::Told(Space { size: 7, ..Space::default() })), process: None }),
            1 => Ok(Way {
                work: Box::new(|| {
                    loop {
                        thread::park()
                    }
                }),
                process: None,
            }),
            _ => {
                let mut child = Command::new("/bin/sleep").arg("300").stdout(Stdio::piped()).spawn()?;
                let mut stdout = child.stdout.take();
                let work = move || {
                    let _ = stdout.as_mut().map(|out| out.read(&mut [0]));
                    Answer::Failed(io::Error::other("ended"))
                };
                Ok(Way { work: Box::new(work), process: Some(child) })
            }
        });
        assert_eq!(answers.iter().map(told).collect::<Vec<_>>(), ["7 bytes", "hangs", "a process hangs"]);
        let Answer::Hangs(Some(waiting)) = &answers[2] else { panic!() };
        let end = clock::started() + Duration::from_secs(60);
        while waiting.goes_on() {
            assert!(clock::started() < end, "nothing holds it: it is killed");
            thread::yield_now();
        }
    }

    #[test]
    fn a_folder_that_bars_the_way_is_named() {
        let error = || io::Error::from(io::ErrorKind::PermissionDenied);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("closed/disk");
        std::fs::create_dir_all(&path).unwrap();
        assert_eq!(told(&refused(&path, error())), "permission denied", "all of the way is open");
        assert_eq!(told(&refused(Path::new("/nowhere/at/all"), error())), "permission denied");
    }

    #[test]
    fn both_ways_tell_the_same() {
        let asked = |path: &str, is_local| Asked { path: path.into(), is_local };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        let found = spaces(&[asked(path, true), asked(path, false)], Duration::from_secs(60));
        let [Answer::Told(here), Answer::Told(there)] = &found[..] else { panic!("{found:?}") };
        assert!(here.size >= here.used && here.size >= here.free && here.size > 0, "{here:?}");
        assert_eq!((here.size, here.files), (there.size, there.files));
        for is_local in [true, false] {
            let found = spaces(&[asked("/nowhere/at/all", is_local)], Duration::from_secs(60));
            assert!(told(&found[0]).starts_with("No such file or directory"), "{}", told(&found[0]));
        }
        for odd in ["", "1 2 3", "1 2 3 4 5 x", "1 2 3 4 5 6 7", "-1 2 3 4 5 6", "99999999999999999999 2 3 4 5 6"] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
