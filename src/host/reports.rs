//! A folder of reports, of which the oldest go.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};

/// What every report's name begins with; no other file of the folder is touched.
const PREFIX: &str = "sensors-";

/// Writes a report in each of its forms (ending and text), and removes the oldest of more than `most` reports. No fsync: a report
/// is not worth one.
///
/// # Errors
/// The system's.
pub fn keep(folder: &Path, at: DateTime<Utc>, forms: &[(&str, &str)], most: usize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let stem = format!("{PREFIX}{}", at.format("%Y%m%dT%H%M%S%.6fZ"));
    for (ending, text) in forms {
        let path = folder.join(format!("{stem}.{ending}"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
        file.write_all(text.as_bytes())?;
    }
    prune(folder, most)
}

fn prune(folder: &Path, most: usize) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.retain(|name| name.starts_with(PREFIX) && (name.ends_with(".txt") || name.ends_with(".json")));
    let stem = |name: &str| name.rsplit_once('.').map_or_else(|| name.to_owned(), |(stem, _)| stem.to_owned());
    let mut stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    stems.sort();
    stems.dedup();
    let old = &stems[..stems.len().saturating_sub(most)];
    for name in names.iter().filter(|name| old.contains(&stem(name))) {
        match fs::remove_file(folder.join(name)) {
            // another run was faster
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_what_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("notes.txt"), "").unwrap();
        for second in 0..5 {
            let at = DateTime::from_timestamp(1_767_600_000 + second, 0).unwrap();
            keep(&path, at, &[("txt", "a"), ("json", "{}")], 2).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let expected = ["notes.txt", "sensors-20260105T080003.000000Z.json", "sensors-20260105T080003.000000Z.txt"];
        assert_eq!(names[..3], expected);
        assert_eq!(names.len(), 5);
    }
}
