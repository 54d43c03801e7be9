//! Rounds in a world of their own: what is told of it, over several of them.

use super::*;
use crate::store::Older;

/// One row in alarm, and a database that takes notes or does not.
struct Script {
    takes_notes: bool,
    restarts: usize,
    told: Vec<String>,
}

impl World for Script {
    fn ask(&mut self, request: Value) -> Answer<Value> {
        let row = json!({ "id": 1, "name": "web", "sound": false });
        let is_known = request["known"] == json!([1]);
        match request["task"].as_str() {
            Some("alarms") if is_known => Ok(json!({ "known": [row], "new": [], "left": 0, "cut": false })),
            Some("alarms") => Ok(json!({ "known": [], "new": [row], "left": 0, "cut": false })),
            _ if self.takes_notes => Ok(json!(1)),
            _ => Err("read-only".to_owned()),
        }
    }

    fn restart(&mut self, _: &ProcessName, _: DateTime<Utc>) -> Answer<()> {
        self.restarts += 1;
        Ok(())
    }

    fn outcome(&mut self, _: &ProcessName, _: DateTime<Utc>) -> Answer<()> {
        Err("nobody asked".to_owned())
    }

    fn news(&mut self, _: &mut Store, news: &[News]) -> Result<()> {
        let of_database = news.iter().filter(|news| news.subject == Subject::database("v_process_monitor"));
        self.told.extend(of_database.map(|news| match &news.what {
            Ok(how) => how.clone(),
            Err(alarm) => alarm.to_string(),
        }));
        Ok(())
    }
}

#[test]
fn a_database_that_takes_no_notes_is_not_told_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), Older::Migrate, Duration::from_secs(20)).unwrap();
    let text = "[processes]\n[process.web]\n".to_owned();
    let settings = Settings::read(&[("x.toml".into(), text)]).unwrap();
    let processes = settings.processes.clone().unwrap();
    let mut world = Script { takes_notes: false, restarts: 0, told: Vec::new() };
    let now = || DateTime::<Utc>::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut one = |world: &mut Script| round(&mut store, &settings, &processes, world, &now, false).map(drop).unwrap();
    one(&mut world);
    world.told.clear();
    for _ in 0..4 {
        one(&mut world);
    }
    assert_eq!(
        (world.restarts, world.told.as_slice()),
        (1, &["takes no note of what was restarted: read-only"; 4].map(str::to_owned)[..])
    );
    world.told.clear();
    world.takes_notes = true;
    one(&mut world);
    assert_eq!((world.restarts, world.told.as_slice()), (1, &["it works again".to_owned()][..]));
}
