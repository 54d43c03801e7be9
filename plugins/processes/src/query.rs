//! The statements. All are prepared; what the database says is bounded before it is kept.

use std::collections::HashSet;

use mysql::prelude::Queryable;
use mysql::{Conn, Params, Row, Value};
use serde::{Deserialize, Serialize};

use crate::settings::Database;
use crate::trouble::Trouble;

/// No more rows than this are read; they are not kept.
const MOST_ROWS: usize = 200_000;
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
    read(connection, database, wanted).map_err(|error| Trouble::of(&error, database))
}

fn read(connection: &mut Conn, database: &Database, wanted: &Wanted) -> Result<Alarms, mysql::Error> {
    let Database { status_table, process_table, id_column, name_column, alarm_column, sound_column, host_column, .. } = database;
    let host = database.host_id.map(|_| format!(" AND s.{host_column} = ?")).unwrap_or_default();
    let sql = format!(
        "SELECT s.{id_column}, LEFT(p.{name_column}, {LONGEST_NAME}), s.{sound_column}
         FROM {status_table} s JOIN {process_table} p ON s.{id_column} = p.{id_column}
         WHERE s.{alarm_column} = 1{host} ORDER BY s.{id_column}"
    );
    let values: Vec<Value> = database.host_id.into_iter().map(Value::from).collect();
    let parameters = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
    let mut alarms = Alarms::default();
    // row by row: the server may have very many
    for (count, row) in connection.exec_iter(sql, parameters)?.enumerate() {
        if count >= MOST_ROWS {
            alarms.cut = true;
            break;
        }
        let Some(alarm) = alarm(row?) else { continue };
        if wanted.known.contains(&alarm.id) {
            alarms.known.push(alarm);
        } else if !alarm.sound {
            alarms.new.push(alarm);
            if alarms.new.len() > 2 * wanted.most {
                shorten(&mut alarms, wanted);
            }
        }
    }
    shorten(&mut alarms, wanted);
    Ok(alarms)
}

/// Keeps the most urgent of the new ones.
fn shorten(alarms: &mut Alarms, wanted: &Wanted) {
    let rank = |name: &str| wanted.first.iter().position(|first| first == name).unwrap_or(usize::MAX);
    alarms.new.sort_by_cached_key(|alarm| (rank(&alarm.name), alarm.id));
    alarms.left += alarms.new.len().saturating_sub(wanted.most);
    alarms.new.truncate(wanted.most);
}

fn alarm(mut row: Row) -> Option<Alarm> {
    let id = row.take_opt::<i64, _>(0)?.ok()?;
    let name = row.take_opt::<Option<Vec<u8>>, _>(1)?.ok()?.unwrap_or_default();
    let sound = row.take_opt::<Option<i64>, _>(2)?.ok()?.unwrap_or_default();
    Some(Alarm { id, name: String::from_utf8_lossy(&name).into_owned(), sound: sound != 0 })
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
