//! What the files of a unit say, as systemd reads them (`systemd.syntax(7)`).

use std::path::{Path, PathBuf};

use super::files::Files;

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The file in which it stands.
    pub file: PathBuf,
    /// "Service", "Unit", ...
    pub section: String,
    /// "ExecStart", ...
    pub key: String,
    /// As it is written, without the blanks around it.
    pub value: String,
}

impl Directive {
    /// Whether it came with the program, and nobody of this machine wrote it.
    pub fn is_shipped(&self) -> bool {
        is_shipped(&self.file)
    }
}

/// Whether a package, or `make install`, put this file there.
pub fn is_shipped(file: &Path) -> bool {
    ["/usr", "/lib"].iter().any(|place| file.starts_with(place))
}

/// The assignments of a unit's files, in the order in which they count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directives(Vec<Directive>);

impl Directives {
    /// Reads the files of a unit, its own before its drop-ins.
    pub fn read(files: &Files) -> Directives {
        Directives(files.iter().flat_map(|(path, text)| of_file(path, text)).collect())
    }

    /// Every assignment, also those that hold no more.
    pub fn all(&self) -> impl Iterator<Item = &Directive> {
        self.0.iter()
    }

    /// The values of a list that hold: an empty one takes back what stands before it.
    pub fn list(&self, section: &str, key: &str) -> Vec<&Directive> {
        let mut list = Vec::new();
        for one in self.0.iter().filter(|one| one.section == section && one.key == key) {
            if one.value.is_empty() {
                list.clear();
            } else {
                list.push(one);
            }
        }
        list
    }

    /// The words of a list's values that hold.
    pub fn words(&self, section: &str, key: &str) -> Vec<&str> {
        self.list(section, key).into_iter().flat_map(|one| one.value.split_whitespace()).collect()
    }

    /// The value that holds of a key that has one; `None`: the default.
    pub fn last(&self, section: &str, key: &str) -> Option<&Directive> {
        self.0.iter().rev().find(|one| one.section == section && one.key == key).filter(|one| !one.value.is_empty())
    }
}

fn of_file(path: &Path, text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut section = String::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut line = line.trim().to_owned();
        if line.starts_with(['#', ';']) {
            continue;
        }
        while let Some(begun) = line.strip_suffix('\\') {
            // a comment within does not end it
            let Some(next) = lines.by_ref().map(str::trim).find(|next| !next.starts_with(['#', ';'])) else { break };
            line = format!("{begun} {next}");
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
            found.push(Directive { file: path.to_owned(), section: section.clone(), key, value });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_what_systemd_would_take() {
        let files = vec![
            (
                PathBuf::from("/usr/lib/systemd/system/a.service"),
                "[Unit]\nAfter=b.service\n[Service]\n# User=root\nUser = me \nExecStart=/bin/a \\\n; a comment\n  -x\nReadWritePaths=-/a /b\n".to_owned(),
            ),
            (
                PathBuf::from("/etc/systemd/system/a.service.d/x.conf"),
                "[Service]\nExecStart=\nExecStart=/bin/c\nReadWritePaths=/c\n[Nowhere]\nUser=root\n".to_owned(),
            ),
        ];
        let directives = Directives::read(&files);
        let list = |key| directives.list("Service", key).into_iter().map(|one| one.value.as_str()).collect::<Vec<_>>();
        assert_eq!(list("ExecStart"), ["/bin/c"]);
        assert_eq!(directives.words("Service", "ReadWritePaths"), ["-/a", "/b", "/c"]);
        assert_eq!(directives.last("Service", "User").map(|one| one.value.as_str()), Some("me"));
        assert_eq!(directives.last("Service", "Group"), None);
        let first = Directives::read(&files[..1].to_vec());
        assert_eq!(first.list("Service", "ExecStart")[0].value, "/bin/a  -x");
        assert!(first.all().all(Directive::is_shipped) && !directives.list("Service", "ExecStart")[0].is_shipped());
    }
}
