//! The statements. All are prepared; what the database says is bounded before it is kept.

use std::collections::{BTreeMap, HashMap, HashSet};

use mysql::consts::ColumnType;
use mysql::prelude::Queryable;
use mysql::{Conn, Params, Row, Value};
use serde::{Deserialize, Serialize};
use sysalert_abi::one_line;

use crate::settings::{Database, Identifier};
use crate::trouble::Trouble;

/// No more rows than this are read; they are not kept.
const MOST_ROWS: usize = 200_000;
/// A name has one row as a rule, and the configuration so many names at most; more of these are not told.
const MOST_ACKNOWLEDGED: usize = 1000;
/// So many characters of a name are kept: enough to see that it is none.
const LONGEST_NAME: usize = 256;

/// A TEXT column is measured in bytes, of which a character has up to four.
const MOST_NOTES: u64 = 16_000;

/// What is asked.
#[derive(Deserialize)]
pub(crate) struct Wanted {
    /// The rows that are known to be in alarm.
    known: HashSet<i64>,
    /// Names that come first, the most urgent first.
    first: Vec<String>,
    /// So many rows that are not known are told.
    most: usize,
}

/// What is in alarm.
#[derive(Serialize, Default)]
pub(crate) struct Alarms {
    /// Those of the known that are.
    known: Vec<Alarm>,
    /// Some of those that are not known, the most urgent first.
    new: Vec<Alarm>,
    /// Those that somebody acknowledged, known or not, the most urgent first: others may depend on them.
    acknowledged: Vec<Alarm>,
    /// So many more there are.
    left: usize,
    /// True when there are so many that not all were read.
    cut: bool,
}

#[derive(Serialize, Clone)]
pub(crate) struct Alarm {
    id: i64,
    name: String,
    sound: bool,
}

/// Whom it was restarted for.
#[derive(Deserialize)]
pub(crate) struct Done {
    /// The rows.
    ids: Vec<i64>,
    /// What is put behind their notes.
    note: String,
}

/// Which processes are in alarm.
pub(crate) fn alarms(connection: &mut Conn, database: &Database, wanted: &Wanted) -> Result<Alarms, Trouble> {
    let failed = |error| Trouble::of(&error, database);
    let Database { status_table, process_table, id_column, name_column, alarm_column, sound_column, host_column, .. } = database;
    let host = database.host_id.map(|_| format!(" AND s.{host_column} = ?")).unwrap_or_default();
    // one that nobody has named is in alarm all the same
    let sql = format!(
        "SELECT s.{id_column}, LEFT(p.{name_column}, {LONGEST_NAME}), s.{sound_column}
         FROM {status_table} s LEFT JOIN {process_table} p ON s.{id_column} = p.{id_column}
         WHERE s.{alarm_column} = 1{host} ORDER BY s.{id_column}"
    );
    let values: Vec<Value> = database.host_id.into_iter().map(Value::from).collect();
    let parameters = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
    let mut alarms = Alarms::default();
    // looked up for each row, and there may be as many names
    let ranks: HashMap<&str, usize> = wanted.first.iter().map(String::as_str).zip(0..).collect();
    // no more of them than are asked for, however often the server tells one
    let mut known = BTreeMap::new();
    // row by row: the server may have very many
    for (count, row) in connection.exec_iter(sql, parameters).map_err(failed)?.enumerate() {
        if count >= MOST_ROWS {
            alarms.cut = true;
            break;
        }
        let alarm = alarm(&row.map_err(failed)?, database)?;
        if alarm.sound {
            alarms.acknowledged.push(alarm.clone());
            if alarms.acknowledged.len() > 2 * MOST_ACKNOWLEDGED {
                most_urgent(&mut alarms.acknowledged, &ranks, MOST_ACKNOWLEDGED);
            }
        }
        if wanted.known.contains(&alarm.id) {
            known.insert(alarm.id, alarm);
        } else if !alarm.sound {
            alarms.new.push(alarm);
            if alarms.new.len() > 2 * wanted.most {
                alarms.left += most_urgent(&mut alarms.new, &ranks, wanted.most);
            }
        }
    }
    alarms.known = known.into_values().collect();
    alarms.left += most_urgent(&mut alarms.new, &ranks, wanted.most);
    most_urgent(&mut alarms.acknowledged, &ranks, MOST_ACKNOWLEDGED);
    Ok(alarms)
}

/// Keeps the most urgent ones; how many that leaves out.
fn most_urgent(alarms: &mut Vec<Alarm>, ranks: &HashMap<&str, usize>, most: usize) -> usize {
    alarms.sort_by_cached_key(|alarm| (ranks.get(alarm.name.as_str()).copied().unwrap_or(usize::MAX), alarm.id));
    let left = alarms.len().saturating_sub(most);
    alarms.truncate(most);
    left
}

/// A row that cannot be read is no row without an alarm: it is said which column it is.
fn alarm(row: &Row, database: &Database) -> Result<Alarm, Trouble> {
    let Database { id_column, name_column, sound_column, .. } = database;
    let id = row.as_ref(0).and_then(number).ok_or_else(|| unreadable(id_column, row.as_ref(0), "a whole number"))?;
    let name = match row.as_ref(1) {
        // the server was asked to cut it, and may lie
        Some(Value::Bytes(name)) => String::from_utf8_lossy(name).chars().take(LONGEST_NAME).collect(),
        Some(Value::NULL) => String::new(),
        other => return Err(unreadable(name_column, other, "a text")),
    };
    let is_bits = row.columns_ref().get(2).is_some_and(|column| column.column_type() == ColumnType::MYSQL_TYPE_BIT);
    let sound = match row.as_ref(2) {
        Some(Value::NULL) => false,
        Some(Value::Bytes(bits)) if is_bits => bits.iter().any(|byte| *byte != 0),
        value => value.and_then(number).ok_or_else(|| unreadable(sound_column, value, "0, 1 or a bit"))? != 0,
    };
    Ok(Alarm { id, name, sound })
}

/// A whole number, of whatever type; as a text only as it would be written again, for a row is found by it.
fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::UInt(number) => i64::try_from(*number).ok(),
        Value::Bytes(text) => {
            let text = std::str::from_utf8(text).ok()?;
            text.parse::<i64>().ok().filter(|number| number.to_string() == text)
        }
        _ => None,
    }
}

fn unreadable(column: &Identifier, value: Option<&Value>, wanted: &str) -> Trouble {
    let shown = match value {
        Some(Value::Bytes(text)) => format!("{:?}", one_line(&String::from_utf8_lossy(text), 60)),
        Some(value) => one_line(&value.as_sql(false), 60),
        None => "nothing".to_owned(),
    };
    Trouble::new(
        format!("a row in alarm has {shown} in the column {column}, which is not {wanted}"),
        "correct the names of columns in [processes], or that column's type",
    )
}

/// Ends these alarms and puts a note behind what stands there; tells how many rows that were. One that was taken back
/// meanwhile is left alone.
pub(crate) fn settle(connection: &mut Conn, database: &Database, done: &Done) -> Result<u64, Trouble> {
    write(connection, database, done).map_err(|error| Trouble::of(&error, database))
}

fn write(connection: &mut Conn, database: &Database, done: &Done) -> Result<u64, mysql::Error> {
    let Database { status_table, id_column, alarm_column, notes_column, host_column, .. } = database;
    let sql = "SELECT CHARACTER_MAXIMUM_LENGTH FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ? AND COLUMN_NAME = ?";
    let longest: Option<Option<u64>> = connection.exec_first(sql, (status_table.bare(), notes_column.bare()))?;
    // of what stands there the end stays, for the newest notes are at the end
    let longest = longest.flatten().unwrap_or(100).min(MOST_NOTES);
    let note: String = done.note.chars().take(usize::try_from(longest).unwrap_or(usize::MAX)).collect();
    let room = longest - note.chars().count() as u64;
    let host = database.host_id.map(|_| format!(" AND {host_column} = ?")).unwrap_or_default();
    // RIGHT(x, 0) is empty, as it should be
    let sql = format!(
        "UPDATE {status_table} SET {notes_column} = CONCAT(RIGHT(COALESCE({notes_column}, ''), ?), ?), {alarm_column} = 0
         WHERE {id_column} = ? AND {alarm_column} = 1{host}"
    );
    let statement = connection.prep(sql)?;
    let mut count = 0;
    for id in &done.ids {
        let mut values = vec![Value::from(room), Value::from(note.as_str()), Value::from(*id)];
        values.extend(database.host_id.map(Value::from));
        connection.exec_drop(&statement, values)?;
        count += connection.affected_rows();
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use mysql_common::packets::Column;
    use mysql_common::row::new_row;
    use serde_json::json;

    use super::*;

    fn database() -> Database {
        serde_json::from_value(json!({
            "host": "h", "port": 1, "user": "u", "database": "d", "tls": "none", "read_only": false, "status_table": "s",
            "process_table": "p", "id_column": "i", "name_column": "n", "alarm_column": "a", "sound_column": "q",
            "notes_column": "t", "host_column": "h",
        }))
        .unwrap()
    }

    /// What becomes of a row with these values.
    fn of(id: Value, name: Value, sound: Value, kind: ColumnType) -> Result<(i64, String, bool), String> {
        let kinds = [ColumnType::MYSQL_TYPE_LONGLONG, ColumnType::MYSQL_TYPE_VAR_STRING, kind];
        let row = new_row(vec![id, name, sound], kinds.map(Column::new).to_vec().into());
        alarm(&row, &database()).map(|alarm| (alarm.id, alarm.name, alarm.sound)).map_err(|trouble| trouble.what)
    }

    #[test]
    fn of_too_many_the_most_urgent_are_told() {
        let ranks = HashMap::from([("db", 0), ("web", 1)]);
        let alarm = |(id, name): (i64, &str)| Alarm { id, name: name.to_owned(), sound: true };
        let mut alarms: Vec<Alarm> = [(1, "a"), (2, "web"), (3, "b"), (4, "db")].into_iter().map(alarm).collect();
        let left = most_urgent(&mut alarms, &ranks, 3);
        assert_eq!((left, alarms.iter().map(|alarm| alarm.id).collect::<Vec<_>>()), (1, vec![4, 2, 1]));
    }

    #[test]
    fn a_name_is_cut_here_too() {
        let long = of(Value::Int(1), "ä".repeat(1 << 20).into(), Value::Int(0), ColumnType::MYSQL_TYPE_TINY).unwrap().1;
        assert_eq!((long.chars().count(), long.capacity() < 8 * LONGEST_NAME), (LONGEST_NAME, true));
    }

    #[test]
    fn columns_of_each_type_are_read_or_named() {
        use ColumnType::{MYSQL_TYPE_BIT as BIT, MYSQL_TYPE_TINY as TINY, MYSQL_TYPE_VAR_STRING as TEXT};
        let sound = |value: Value, kind| of(Value::Int(1), "web".into(), value, kind).map(|alarm| alarm.2);
        let bits = |bits: &[u8]| Value::Bytes(bits.to_vec());
        for (value, kind, expected) in [
            (bits(&[1]), BIT, true),
            (bits(&[0]), BIT, false),
            (bits(&[1, 0]), BIT, true),
            (bits(b"1"), TEXT, true),
            (bits(b"0"), TEXT, false),
            (Value::Int(1), TINY, true),
            (Value::UInt(0), TINY, false),
            (Value::NULL, TINY, false),
        ] {
            assert_eq!(sound(value.clone(), kind), Ok(expected), "{value:?}");
        }
        let id = |value: Value| of(value, "web".into(), Value::Int(0), TINY).map(|alarm| alarm.0);
        assert_eq!((id(Value::UInt(7)), id("12".into()), id(Value::Int(-3))), (Ok(7), Ok(12), Ok(-3)));
        assert_eq!(of(Value::Int(1), Value::NULL, Value::Int(0), TINY), Ok((1, String::new(), false)));
        let why = |column: &str, shown: &str, wanted: &str| -> Result<i64, String> {
            Err(format!("a row in alarm has {shown} in the column `{column}`, which is not {wanted}"))
        };
        assert_eq!(id("web-1".into()), why("i", "\"web-1\"", "a whole number"));
        assert_eq!(id("007".into()), why("i", "\"007\"", "a whole number"));
        assert_eq!(id(Value::UInt(u64::MAX)), why("i", "18446744073709551615", "a whole number"));
        assert_eq!(sound("yes".into(), TEXT).map(drop), why("q", "\"yes\"", "0, 1 or a bit").map(drop));
        assert_eq!(of(Value::Int(1), Value::Int(5), Value::Int(0), TINY).map(drop), why("n", "5", "a text").map(drop));
    }
}
