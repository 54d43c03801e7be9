//! The way to the watchdog's database: reads which processes are in alarm, and notes what became of them. It is a library of
//! its own, for a client of MySQL is heavy, and no handler needs one.
//!
//! A request has `task`: "alarms" or "settle", with `database`, the section `[processes]` with its password put in; or "probe",
//! a health check over HTTP. The answer
//! is `{"ok": ...}`, or `{"error": {"what": ..., "hint": ...}}` in words for people, without secrets. Every statement is
//! prepared; names of tables and columns come from the configuration alone, and are checked once more here.

mod connect;
mod probe;
mod query;
mod settings;
mod trouble;

use serde::Deserialize;
use serde_json::{Value, json};
use sysalert_abi::export_task;

use settings::Database;
use trouble::Trouble;

/// What is asked.
#[derive(Deserialize)]
#[serde(tag = "task", rename_all = "lowercase")]
enum Request {
    /// Which processes are in alarm.
    Alarms {
        database: Database,
        #[serde(flatten)]
        wanted: query::Wanted,
    },
    /// Whether an address answers as it should.
    Probe(probe::Probe),
    /// These are not any more.
    Settle {
        database: Database,
        #[serde(flatten)]
        done: query::Done,
    },
}

export_task!(serve);

fn serve(request: &Value) -> Value {
    // not serde's own words: they would show the values
    let Ok(request) = Request::deserialize(request) else {
        return json!({ "error": { "what": "its configuration does not fit", "hint": "`sysalert config check` tells more" } });
    };
    match answer(request) {
        Ok(answer) => json!({ "ok": answer }),
        Err(Trouble { what, hint }) => json!({ "error": { "what": what, "hint": hint } }),
    }
}

fn answer(request: Request) -> Result<Value, Trouble> {
    match request {
        Request::Alarms { database, wanted } => {
            let mut connection = connect::open(&database)?;
            query::alarms(&mut connection, &database, &wanted).and_then(|alarms| {
                serde_json::to_value(alarms)
                    .map_err(|error| Trouble::new(error.to_string(), "report this as a fault of sysalert"))
            })
        }
        Request::Probe(probe) => probe::probe(&probe).map(|()| Value::Null),
        Request::Settle { database, done } => {
            if database.read_only {
                return Err(Trouble::new("`read_only` is set: nothing is written", "report this as a fault of sysalert"));
            }
            let mut connection = connect::open(&database)?;
            query::settle(&mut connection, &database, &done).map(Value::from)
        }
    }
}
