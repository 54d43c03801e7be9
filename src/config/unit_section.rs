//! A section of unit files as systemd would read it: `Key=value` in CamelCase, of a unit's file and its drop-ins. A later
//! assignment wins, lists grow, and an empty one takes back what stands before it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::document::{Origin, Setting};
use super::key::{Key, Kind};
use super::nearest::nearest;

/// More words than these are no list that somebody wrote, and each would go through every decision about the unit.
const MOST: usize = 1000;
/// So much of what does not fit is shown.
const SHOWN: usize = 60;
/// So many complaints are made about one unit: whoever mends the first ones sees the others.
const COMPLAINTS: usize = 20;

/// What the files say, in the order in which they count: valid settings, and a complaint about each line that is none.
pub fn unit_section(files: &[(PathBuf, String)], name: &str, keys: &[&[Key]]) -> (Vec<Setting>, Vec<String>) {
    let mut settings: Vec<Setting> = Vec::new();
    let (mut complaints, mut more) = (Vec::new(), 0);
    for (path, text) in files {
        let file: Arc<Path> = Arc::from(path.as_path());
        for (line, assignment) in assignments(text, name) {
            let origin = Origin { file: Arc::clone(&file), line };
            if let Err(complaint) = assign(&mut settings, &assignment, &origin, keys) {
                match complaints.len() {
                    COMPLAINTS.. => more += 1,
                    _ => complaints.push(format!("{origin}: {complaint}")),
                }
            }
        }
    }
    complaints.extend((more > 0).then(|| format!("{more} more lines do not fit either")));
    (settings, complaints)
}

/// A key as systemd would write it: "min_interval" is "MinInterval".
pub fn camel_case(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}

fn assign(settings: &mut Vec<Setting>, assignment: &str, origin: &Origin, keys: &[&[Key]]) -> Result<(), String> {
    let Some((written, value)) = assignment.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
        return Err(format!("`{}` is no assignment such as Ignore=2", shown(assignment)));
    };
    let known = || keys.iter().flat_map(|list| list.iter());
    let Some(key) = known().find(|key| camel_case(&key.name) == written) else {
        let names: Vec<String> = known().map(|key| camel_case(&key.name)).collect();
        // as it is written elsewhere, "min_interval" is not far from it
        let near = nearest(&written.to_ascii_lowercase().replace('_', ""), known().map(|key| key.name.as_ref()));
        let near = nearest(written, names.iter().map(String::as_str)).map(str::to_owned).or_else(|| near.map(camel_case));
        let meant = near.map_or_else(String::new, |near| format!("; did you mean {near}=?"));
        return Err(format!("unknown key {}={meant}", shown(written)));
    };
    let place = settings.iter().position(|earlier| earlier.key == key.name);
    if value.is_empty() {
        settings.retain(|earlier| earlier.key != key.name);
        return Ok(());
    }
    let mut value = parsed(&key.kind, value);
    if let Some(complaint) = key.kind.complaint(&value) {
        // as one writes it here, without quotes and brackets
        return Err(format!("{written}= {}", complaint.replace(", in quotes", "").replace(" in quotes", "")));
    }
    let length = |value: &Value| value.as_array().map_or(0, Vec::len);
    let words = length(&value) + place.map_or(0, |place| length(&settings[place].value));
    if words > MOST {
        return Err(format!("{written}= would have {words} words with this line: at most {MOST} are taken, and none of these"));
    }
    let earlier = place.map(|place| settings.remove(place));
    if let (Value::Array(list), Some(Value::Array(before))) = (&mut value, earlier.map(|earlier| earlier.value)) {
        list.splice(..0, before);
    }
    settings.push(Setting { key: key.name.to_string(), value, origin: origin.clone() });
    Ok(())
}

/// A foreign text for a message: control characters shown, length bounded.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(SHOWN).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("{}{dots}", short.escape_debug())
}

/// The value as the configuration would have it; what does not fit stays a text, about which the key complains.
fn parsed(kind: &Kind, value: &str) -> Value {
    let text = || Value::from(value);
    match kind {
        Kind::Boolean => match value.to_ascii_lowercase().as_str() {
            "1" | "yes" | "y" | "true" | "t" | "on" => Value::from(true),
            "0" | "no" | "n" | "false" | "f" | "off" => Value::from(false),
            _ => text(),
        },
        Kind::Integer { .. } => value.parse::<i64>().map_or_else(|_| text(), Value::from),
        // a bare number is seconds, as everywhere in unit files
        Kind::Duration { .. } | Kind::Interval if value.bytes().all(|byte| byte.is_ascii_digit()) => {
            Value::from(format!("{value}s"))
        }
        Kind::List | Kind::Choices(_) => value.split_whitespace().map(Value::from).collect(),
        _ => text(),
    }
}

/// The lines of this section, each with its number, those that go on after a backslash joined.
fn assignments(text: &str, name: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut is_inside = false;
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        // also between the lines of one assignment
        if line.starts_with(['#', ';']) || (line.is_empty() && open.is_none()) {
            continue;
        }
        let (start, mut whole) = open.take().map_or((number + 1, String::new()), |(start, begun)| (start, begun + " "));
        if let Some(part) = line.strip_suffix('\\') {
            open = Some((start, whole + part.trim_end()));
            continue;
        }
        whole += line;
        match whole.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(section) => is_inside = section == name,
            None if is_inside => found.push((start, whole)),
            None => {}
        }
    }
    found.extend(open.filter(|_| is_inside));
    found
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;

    const WORDS: &[Cow<'static, str>] = &[Cow::Borrowed("any"), Cow::Borrowed("timer")];
    const KEYS: &[&[Key]] = &[&[
        Key::new("ignore", Kind::Integer { min: 0, max: 9 }, "0", ""),
        Key::new("min_interval", Kind::ANY_TIME, "\"5m\"", ""),
        Key::new("enabled", Kind::Boolean, "true", ""),
        Key::new("methods", Kind::List, "[]", ""),
        Key::new("started_by", Kind::Choices(Cow::Borrowed(WORDS)), "[\"any\"]", ""),
    ]];

    /// `key value line`, and the complaints.
    fn read(texts: &[&str]) -> (Vec<String>, Vec<String>) {
        let files: Vec<(PathBuf, String)> =
            texts.iter().enumerate().map(|(number, text)| (format!("{number}.conf").into(), (*text).to_owned())).collect();
        let (settings, complaints) = unit_section(&files, "X-Test", KEYS);
        (settings.iter().map(|one| format!("{} {} {}", one.key, one.value, one.origin)).collect(), complaints)
    }

    #[test]
    fn a_section_is_read_as_systemd_reads_one() {
        let rows: [(&[&str], &[&str]); 9] = [
            (&["[Unit]\nIgnore=1\n[X-Test]\n\n Ignore = 2 \n[Service]\nIgnore=3\n"], &["ignore 2 0.conf:5"]),
            (&["[X-Test]\nIgnore=1\n", "[X-Test]\n# no\n;Ignore=3\nIgnore=2"], &["ignore 2 1.conf:4"]),
            (&["[X-Test]\nMinInterval=90\nEnabled=off"], &["min_interval \"90s\" 0.conf:2", "enabled false 0.conf:3"]),
            (&["[X-Test]\nMinInterval=1h 30min"], &["min_interval \"1h 30min\" 0.conf:2"]),
            (&["[X-Test]\nMethods=mail  phone", "[X-Test]\nMethods=log"], &["methods [\"mail\",\"phone\",\"log\"] 1.conf:2"]),
            (&["[X-Test]\nMethods=mail", "[X-Test]\nMethods=\nMethods=log"], &["methods [\"log\"] 1.conf:3"]),
            (&["[X-Test]\nIgnore=1\nEnabled=no", "[X-Test]\nIgnore="], &["enabled false 0.conf:3"]),
            (
                &["[X-Test]\nMethods=mail \\\n# why\n  phone\nStartedBy=timer"],
                &["methods [\"mail\",\"phone\"] 0.conf:2", "started_by [\"timer\"] 0.conf:5"],
            ),
            (&["[Service]\nExecStart=/bin/sh -c '\\\n[X-Test]\\\n'\nIgnore=1", ""], &[]),
        ];
        for (texts, expected) in rows {
            let (settings, complaints) = read(texts);
            assert_eq!(settings, expected, "{texts:?}");
            assert!(complaints.is_empty(), "{complaints:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_and_passed_over() {
        for (line, complaint) in [
            ("Ingore=2", "unknown key Ingore=; did you mean Ignore=?"),
            ("min_interval=2h", "unknown key min_interval=; did you mean MinInterval=?"),
            ("Colour=red", "unknown key Colour="),
            ("Ignore=10", "Ignore= must be a whole number from 0 to 9"),
            ("MinInterval=soon", "MinInterval= must be a time such as \"30s\", \"5m\" or \"2h\""),
            ("Enabled=perhaps", "Enabled= must be true or false"),
            ("StartedBy=timer cron", "StartedBy= must be a list of one or more of \"any\", \"timer\""),
            ("Ignore", "`Ignore` is no assignment such as Ignore=2"),
            ("\u{1b}=2", "unknown key \\u{1b}="),
        ] {
            let (settings, complaints) = read(&["[X-Test]\nIgnore=1", &format!("[X-Test]\n\n{line}\nEnabled=no\n")]);
            assert_eq!(complaints, [format!("1.conf:3: {complaint}")]);
            assert_eq!(settings, ["ignore 1 0.conf:2", "enabled false 1.conf:4"]);
        }
    }

    #[test]
    fn what_nobody_wrote_by_hand_is_bounded() {
        let words = |number: usize| "phone ".repeat(number);
        let (settings, complaints) = read(&[&format!("[X-Test]\nMethods={}\nIgnore=1", words(200_000))]);
        assert_eq!(settings, ["ignore 1 0.conf:3"]);
        let told = "Methods= would have 200000 words with this line: at most 1000 are taken, and none of these";
        assert_eq!(complaints, [format!("0.conf:2: {told}")]);
        // a list that grows, too
        let lines = [words(600), words(401), words(400)].map(|words| format!("Methods={words}\n")).concat();
        let (settings, complaints) = read(&[&format!("[X-Test]\n{lines}")]);
        assert_eq!(settings.len(), 1);
        assert_eq!((settings[0].matches("phone").count(), complaints.len()), (1000, 1), "{complaints:?}");

        let (_, complaints) = read(&[&format!("[X-Test]\n{}=1\n{}", "x".repeat(100_000), "what\n".repeat(50))]);
        assert_eq!(complaints.len(), 21);
        assert!(complaints.iter().all(|text| text.len() < 120), "{complaints:?}");
        assert_eq!(complaints[20], "31 more lines do not fit either");
    }

    #[test]
    fn keys_have_systemds_spelling() {
        assert_eq!(["ignore", "min_interval", "to"].map(camel_case), ["Ignore", "MinInterval", "To"]);
        assert_eq!(parsed(&Kind::Boolean, "Yes"), json!(true));
    }
}
