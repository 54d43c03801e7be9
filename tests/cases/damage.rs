//! Ways to damage a database.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

const PAGE: usize = 4096;

/// Does it: "garbage", "empty", "index" (without its entries), or the name of a table: the pages that hold it.
pub fn done(state: &Path, how: &str) {
    let path = state.join("sysalert.db");
    let db = Connection::open(&path).unwrap();
    // all of it in one file
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    match how {
        "garbage" => fs::write(&path, "no database, but a text. ".repeat(2000)).unwrap(),
        "empty" => fs::write(&path, "").unwrap(),
        "index" => db
            .execute_batch(
                "PRAGMA writable_schema = ON;
                 UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = 'alerts_event')
                    WHERE name = 'events_incident';",
            )
            .unwrap(),
        table => {
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            let page: usize = db.query_row(sql, [table], |row| row.get(0)).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[(page - 1) * PAGE..page * PAGE].fill(0xaa);
            fs::write(&path, bytes).unwrap();
        }
    }
}
