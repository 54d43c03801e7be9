//! The files, merged: a later file's key wins over an earlier one's. Each key remembers where it stands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Key, Kind};
use super::nearest::nearest;
use super::section::{Section, find};

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file.
    pub file: Arc<Path>,
    /// Its line, from 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A key as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
}

/// One of several tables of the same kind, as written: `[[sensor.cpu.rule]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its keys.
    pub settings: Vec<Setting>,
    /// Where it begins.
    pub origin: Origin,
}

/// All sections as written, by `policy` or `method.mail`. A section without keys is here, too.
#[derive(Debug, Clone, Default)]
pub struct Document {
    sections: BTreeMap<(String, Option<String>), Vec<Setting>>,
    tables: BTreeMap<(String, Option<String>), Vec<Table>>,
    headers: BTreeMap<(String, Option<String>), Origin>,
}

impl Document {
    /// Reads and merges the files, in order, each given as its path and its text. Nothing but keys of the catalogue with values that fit comes through.
    ///
    /// # Errors
    /// Every complaint there is, each with file and line.
    pub fn read(files: &[(PathBuf, String)], catalogue: &[Section]) -> Result<Document, Vec<String>> {
        let mut document = Document::default();
        let mut complaints = Vec::new();
        for (path, text) in files {
            let mut file = File { path: Arc::from(path.as_path()), text, complaints: &mut complaints };
            file.read(catalogue, &mut document);
        }
        if complaints.is_empty() { Ok(document) } else { Err(complaints) }
    }

    /// The settings of one section; empty when it is not written.
    pub fn section(&self, name: &str, own_name: Option<&str>) -> &[Setting] {
        self.sections.get(&(name.to_owned(), own_name.map(str::to_owned))).map_or(&[], Vec::as_slice)
    }

    /// The tables of one section, in the order of the files.
    pub fn tables(&self, name: &str, own_name: Option<&str>) -> &[Table] {
        self.tables.get(&(name.to_owned(), own_name.map(str::to_owned))).map_or(&[], Vec::as_slice)
    }

    /// The names of the `[section.NAME]`s, and where each first stands.
    pub fn names<'a>(&'a self, section: &'a str) -> impl Iterator<Item = (&'a str, &'a Origin)> {
        self.headers.iter().filter_map(move |((name, own), origin)| Some((own.as_deref().filter(|_| name == section)?, origin)))
    }

    /// Whether an unnamed section is written, be it without keys.
    pub fn has(&self, name: &str) -> bool {
        self.headers.contains_key(&(name.to_owned(), None))
    }

    fn put(&mut self, section: &str, own_name: Option<&str>, origin: &Origin) -> &mut Vec<Setting> {
        let key = (section.to_owned(), own_name.map(str::to_owned));
        self.headers.entry(key.clone()).or_insert_with(|| origin.clone());
        self.sections.entry(key).or_default()
    }
}

/// A key or a section, with what it holds.
type Entry<'t, 'd> = (&'t Spanned<Cow<'d, str>>, &'t Spanned<DeValue<'d>>);

/// One file while it is read.
struct File<'a> {
    path: Arc<Path>,
    text: &'a str,
    complaints: &'a mut Vec<String>,
}

impl File<'_> {
    fn read(&mut self, catalogue: &[Section], document: &mut Document) {
        let table = match DeTable::parse(self.text) {
            Ok(table) => table,
            Err(error) => {
                let origin = self.origin(error.span().map_or(0, |span| span.start));
                self.complaints.push(format!("{origin}: {}", error.message().replace('\n', ", ")));
                return;
            }
        };
        for (name, value) in in_order(table.get_ref()) {
            self.entry(catalogue, "", (name, value), document);
        }
    }

    /// What stands at the top, or in what only leads to sections, as `sensor` does to `[sensor.cpu]`.
    fn entry(&mut self, catalogue: &[Section], above: &str, entry: Entry<'_, '_>, document: &mut Document) {
        let (name, value) = entry;
        let full = format!("{above}{}", name.get_ref());
        let Some(section) = catalogue.iter().find(|section| section.name == full) else {
            let inside = format!("{full}.");
            if catalogue.iter().any(|section| section.name.starts_with(&inside)) {
                for entry in self.table(name, value).map(in_order).unwrap_or_default() {
                    self.entry(catalogue, &inside, entry, document);
                }
                return;
            }
            let what = match value.get_ref() {
                DeValue::Table(_) => "unknown section",
                _ if above.is_empty() => "unknown key outside of a section",
                _ => "unknown key",
            };
            let what = if above.is_empty() { what.to_owned() } else { format!("{what} in [{}]", above.trim_end_matches('.')) };
            let known = catalogue.iter().filter_map(|section| section.name.strip_prefix(above)?.split('.').next());
            return self.unknown(&what, name, known);
        };
        let Some(inner) = self.table(name, value) else { return };
        if !section.named {
            return self.section(catalogue, section, None, name, inner, document);
        }
        for (own, value) in in_order(inner) {
            if let Some(inner) = self.table(own, value) {
                self.section(catalogue, section, Some(own.get_ref()), own, inner, document);
            }
        }
    }

    fn section(
        &mut self,
        catalogue: &[Section],
        section: &Section,
        own: Option<&str>,
        header: &Spanned<impl Sized>,
        table: &DeTable<'_>,
        document: &mut Document,
    ) {
        let origin = self.origin(header.span().start);
        document.put(&section.name, own, &origin);
        for (name, value) in in_order(table) {
            let below = format!("{}.{}", section.name, name.get_ref());
            if let Some(below) = catalogue.iter().find(|section| section.name == below) {
                if let Some(inner) = self.table(name, value) {
                    self.section(catalogue, below, None, name, inner, document);
                }
                continue;
            }
            let key = find(section.keys, name.get_ref());
            if key.is_none() && !section.open {
                let place = own.map_or_else(
                    || format!("unknown key in [{}]", section.name),
                    |own| format!("unknown key in [{}.{own:?}]", section.name),
                );
                self.unknown(&place, name, section.keys.iter().flat_map(|list| list.iter()).map(|key| key.name.as_ref()));
                continue;
            }
            let Some(setting) = self.setting(key, (name, value)) else { continue };
            if let (Some(Key { kind: Kind::Tables(keys), .. }), DeValue::Array(rows)) = (key, value.get_ref()) {
                let place =
                    format!("{}.{}", own.map_or(section.name.to_string(), |own| format!("{}.{own}", section.name)), setting.key);
                let rows = rows.iter().filter_map(|row| self.row(&place, keys, row));
                document.tables.entry((section.name.to_string(), own.map(str::to_owned))).or_default().extend(rows);
                continue;
            }
            let settings = document.put(&section.name, own, &origin);
            settings.retain(|earlier| earlier.key != setting.key);
            settings.push(setting);
        }
    }

    /// One of several tables.
    fn row(&mut self, place: &str, keys: &'static [&'static [Key]], row: &Spanned<DeValue<'_>>) -> Option<Table> {
        let DeValue::Table(table) = row.get_ref() else { return None };
        let mut settings = Vec::new();
        for (name, value) in in_order(table) {
            match find(keys, name.get_ref()) {
                Some(key) => settings.extend(self.setting(Some(key), (name, value))),
                None => {
                    self.unknown(
                        &format!("unknown key in [[{place}]]"),
                        name,
                        keys.iter().flat_map(|list| list.iter()).map(|key| key.name.as_ref()),
                    );
                }
            }
        }
        Some(Table { settings, origin: self.origin(row.span().start) })
    }

    /// A key with a value that fits; else it is complained of.
    fn setting(&mut self, key: Option<&Key>, (name, value): Entry<'_, '_>) -> Option<Setting> {
        let setting =
            Setting { key: name.get_ref().to_string(), value: json(value.get_ref()), origin: self.origin(name.span().start) };
        if let Some(complaint) = key.and_then(|key| key.kind.complaint(&setting.value)) {
            self.complaints.push(format!("{}: `{}` {complaint}", setting.origin, setting.key));
            return None;
        }
        Some(setting)
    }

    fn table<'t, 'd>(&mut self, name: &Spanned<Cow<'_, str>>, value: &'t Spanned<DeValue<'d>>) -> Option<&'t DeTable<'d>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => {
                let origin = self.origin(name.span().start);
                self.complaints.push(format!("{origin}: `{}` must be a section of its own", name.get_ref().escape_debug()));
                None
            }
        }
    }

    fn unknown<'n>(&mut self, what: &str, name: &Spanned<Cow<'_, str>>, known: impl Iterator<Item = &'n str>) {
        let origin = self.origin(name.span().start);
        let meant = nearest(name.get_ref(), known).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        self.complaints.push(format!("{origin}: {what}: `{}`{meant}", name.get_ref().escape_debug()));
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        Origin { file: Arc::clone(&self.path), line: before.matches('\n').count() + 1 }
    }
}

/// A table's entries as they stand in the file, so that complaints do too; the parser sorts them by name.
fn in_order<'t, 'd>(table: &'t DeTable<'d>) -> Vec<Entry<'t, 'd>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(list) => list.iter().map(|one| json(one.get_ref())).collect(),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect::<Map<_, _>>(),
        ),
    }
}
