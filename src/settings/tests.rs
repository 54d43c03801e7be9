use super::*;

fn read(text: &str) -> Result<Settings> {
    Settings::read(&[("x.toml".into(), text.to_owned())])
}

#[test]
fn the_most_specific_glob_wins_and_policy_fills_the_rest() {
    let settings = read(
        "[policy]\nignore = 1\nmin_interval = \"1h\"\n[unit.\"*\"]\nignore = 2\n[unit.\"backup-*.service\"]\nignore = 3\n\
         [unit.\"backup-db.service\"]\nignore = 4\n[unit.\"b*\"]\nignore = 5",
    )
    .unwrap();
    for (unit, ignore) in [("backup-db.service", 4), ("backup-www.service", 3), ("bank.service", 5), ("a.service", 2)] {
        let rules = settings.rules(unit);
        assert_eq!((rules.ignore, rules.min_interval), (ignore, Duration::from_secs(3600)), "{unit}");
    }
}

#[test]
fn what_is_polled_is_told_again_as_services_says() {
    let minutes = |unit: &str, text: &str| read(text).unwrap().rules(unit).remind.map(|remind| remind.as_secs() / 60);
    let listed = "[services]\nunits = [\"a.service\"]\n[policy]\nremind = \"1h\"\n";
    assert_eq!((minutes("a.service", listed), minutes("b.service", listed)), (Some(5), Some(60)));
    let own = format!("{listed}[unit.\"a.service\"]\nremind = \"2h\"");
    assert_eq!(minutes("a.service", &own), Some(120));
    let never = listed.replace("[policy]", "remind = \"never\"\n[policy]");
    assert_eq!(minutes("a.service", &never), None);
}

#[test]
fn a_method_that_nothing_names_is_left_out() {
    let out = |text: &str| {
        let methods = "[method.mail]\nplugin = \"email\"\n[method.phone]\nplugin = \"command\"\n";
        read(&format!("{methods}{text}")).unwrap().leaves_out("phone").map(|origin| origin.line)
    };
    assert_eq!(out(""), None);
    assert_eq!(out("[policy]\nmethods = [\"mail\"]\n"), Some(6));
    assert_eq!(out("[policy]\nmethods = []\n"), None);
    assert_eq!(out("[policy]\nmethods = [\"mail\"]\nescalate_to = [\"phone\"]\n"), None);
    assert_eq!(out("[policy]\nmethods = [\"mail\"]\n[unit.\"a.service\"]\nmethods = [\"phone\"]\n"), None);
    assert_eq!(out("[heartbeat]\nmethod = \"phone\"\n[policy]\nmethods = [\"mail\"]\n"), None);
}

#[test]
fn the_programs_of_methods_and_sensors_are_known() {
    let settings = read(
        "[method.mine]\nplugin = \"command\"\ncommand = [\"/bin/a\", \"x\"]\n[method.log]\nplugin = \"file\"\ncommand = [\"/bin/b\"]\n\
         [sensor.command.mailq]\ncommand = [\"/bin/c\"]\n[sensor.command.off]\nenabled = false\ncommand = [\"/bin/d\"]\n",
    )
    .unwrap();
    let found: Vec<_> =
        settings.programs().into_iter().map(|(section, _, command)| format!("{section} {}", command.join(" "))).collect();
    assert_eq!(found, ["method.mine /bin/a x", "sensor.command.mailq /bin/c"]);
}

#[test]
fn without_methods_the_journal_reports() {
    assert_eq!(read("").unwrap().rules("a.service").methods, ["journal"]);
    assert_eq!(read("[method.mail]\nplugin = \"email\"\n[method.log]").unwrap().rules("a.service").methods, ["log", "mail"]);
}

#[test]
fn a_later_file_wins_key_by_key() {
    let files = [
        ("a.toml".into(), "[policy]\nignore = 1\nrecovery = false".to_owned()),
        ("b.toml".into(), "[policy]\nignore = 2".to_owned()),
    ];
    let settings = Settings::read(&files).unwrap();
    let rules = settings.rules("a.service");
    assert_eq!((rules.ignore, rules.recovery), (2, false));
    let shown: Vec<String> = settings.effective().into_iter().filter_map(|row| Some(format!("{} {}", row.1, row.3?))).collect();
    assert_eq!(shown, ["recovery a.toml:3", "ignore b.toml:2"]);
}
