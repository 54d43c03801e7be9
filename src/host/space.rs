//! How full file systems are, as df counts; each is asked in a thread of its own, so that one that hangs holds up nobody.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::statvfs::statvfs;

use super::clock;

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

/// The space of each of these paths, in their order; `None` where no answer came within this time, which holds for all together.
/// One that hangs leaves its thread behind, until this process ends.
pub fn spaces(paths: &[PathBuf], within: Duration) -> Vec<Option<io::Result<Space>>> {
    asked(paths.len(), within, |number| {
        let path = paths[number].clone();
        Box::new(move || Space::of(&path))
    })
}

type Work<T> = Box<dyn FnOnce() -> io::Result<T> + Send>;

fn asked<T: Send + 'static>(count: usize, within: Duration, work: impl Fn(usize) -> Work<T>) -> Vec<Option<io::Result<T>>> {
    let (results, answers) = mpsc::channel();
    let mut found: Vec<Option<io::Result<T>>> = (0..count).map(|_| None).collect();
    for (number, answer) in found.iter_mut().enumerate() {
        let (results, work) = (results.clone(), work(number));
        // whoever asked may have given up
        let started = thread::Builder::new().stack_size(STACK).spawn(move || results.send((number, work())));
        if let Err(error) = started {
            *answer = Some(Err(error));
        }
    }
    drop(results);
    let end = clock::started() + within;
    while let Ok((number, answer)) = answers.recv_timeout(end.saturating_duration_since(clock::started())) {
        found[number] = Some(answer);
    }
    found
}

/// Enough for a system call.
const STACK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_told_of_and_the_others_are_measured() {
        let answers = asked(3, Duration::from_millis(200), |number| {
            Box::new(move || match number {
                1 => loop {
                    thread::park();
                },
                _ => Ok(number),
            })
        });
        let told: Vec<_> = answers.into_iter().map(|answer| answer.map(Result::unwrap)).collect();
        assert_eq!(told, [Some(0), None, Some(2)]);
    }

    #[test]
    fn a_path_that_is_not_there_is_an_error_and_not_a_reading() {
        let paths = ["/", "/nowhere/at/all"].map(PathBuf::from);
        let found = spaces(&paths, Duration::from_secs(60));
        let root = found[0].as_ref().unwrap().as_ref().unwrap();
        assert!(root.size >= root.used && root.size >= root.free && root.size > 0, "{root:?}");
        assert_eq!(found[1].as_ref().unwrap().as_ref().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
