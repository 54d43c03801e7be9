//! A folder of reports, of which the oldest go.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};

/// A report's name, without its ending; no other file of the folder counts or is touched.
const NAME: &str = "sensors-%Y%m%dT%H%M%S%.6fZ";

/// Writes a report in each of its forms (ending and text), and removes the oldest of more than `most` reports. No fsync: a report
/// is not worth one.
///
/// # Errors
/// The system's.
pub fn keep(folder: &Path, at: DateTime<Utc>, forms: &[(&str, &str)], most: usize) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let stem = at.format(NAME);
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
    names.retain(|name| is_ours(name));
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

fn is_ours(name: &str) -> bool {
    let stem = name.strip_suffix(".txt").or_else(|| name.strip_suffix(".json"));
    // read and written again: a time can be read of more than is written
    let time = |stem: &str| NaiveDateTime::parse_from_str(stem, NAME).is_ok_and(|at| at.format(NAME).to_string() == stem);
    stem.is_some_and(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_what_is_not_ours_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reports");
        fs::create_dir(&path).unwrap();
        let foreign = [
            "notes.txt",
            "sensors-0.json",
            "sensors-20990101T000000Z.txt",
            "sensors-20260105T080000.000000Z.csv",
            "sensors-a.txt",
        ];
        for name in foreign {
            fs::write(path.join(name), "").unwrap();
        }
        for second in 0..5 {
            let at = DateTime::from_timestamp(1_767_600_000 + second, 0).unwrap();
            keep(&path, at, &[("txt", "a"), ("json", "{}")], 2).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !foreign.contains(&name.as_str()));
        names.sort();
        let at = |second: u32, ending: &str| format!("sensors-20260105T08000{second}.000000Z.{ending}");
        assert_eq!(names, [at(3, "json"), at(3, "txt"), at(4, "json"), at(4, "txt")]);
        assert!(foreign.iter().all(|name| path.join(name).exists()));
    }
}
