use super::*;
use crate::settings::Settings;
use crate::trigger::sensor::SENSORS;
use crate::trigger::sensor::rule::for_instance;

fn rules(text: &str) -> Vec<String> {
    let settings = Settings::read(&[("x.toml".into(), text.to_owned())]).unwrap();
    let sensors = settings.sensors();
    let memory = sensors.watches.iter().find(|watch| watch.sensor.name == "memory").unwrap();
    let show = |rule: &Rule| {
        let critical = rule.critical.map(|limit| format!(", critical {limit}")).unwrap_or_default();
        format!(
            "{}: {}, clear {}{critical}, x{}, {}",
            rule.name,
            rule.words(),
            rule.clear,
            rule.consecutive,
            rule.severity.as_str()
        )
    };
    memory.rules.iter().map(show).collect()
}

#[test]
fn a_rule_is_turned_off_for_some_instances() {
    let text = "[[sensor.storage.rule]]\nname = \"low_disk\"\nmount = \"/srv/*\"\nenabled = false";
    let settings = Settings::read(&[("x.toml".into(), text.to_owned())]).unwrap();
    let watches = settings.sensors().watches;
    let storage = watches.iter().find(|watch| watch.sensor.name == "storage").unwrap();
    let of = |mount| for_instance(&storage.rules, mount).iter().map(|rule| rule.name.as_str()).collect::<Vec<_>>();
    assert_eq!(of("/srv/x"), ["low_inodes", "read_only", "out_of_reach"]);
    assert_eq!(of("/var"), ["low_disk", "low_inodes", "read_only", "out_of_reach"]);
}

const DEFAULTS: [&str; 3] = [
    "low_memory: memory_used_percent gt 92 %, clear 88, critical 97, x2, warning",
    "swap_full: swap_used_percent gt 90 %, clear 80, x3, warning",
    "out_of_memory: oom_kills gt 0, clear 0, x1, warning",
];

#[test]
fn what_is_written_takes_the_place_of_a_default_of_its_name_and_joins_the_others() {
    assert_eq!(rules(""), DEFAULTS);
    let one = |text: &str| rules(&format!("[[sensor.memory.rule]]\n{text}"));
    // a new value has its own clear and critical
    assert_eq!(one("name = \"low_memory\"\nvalue = 80")[0], "low_memory: memory_used_percent gt 80 %, clear 80, x2, warning");
    assert_eq!(
        one("name = \"low_memory\"\nseverity = \"critical\"")[0],
        "low_memory: memory_used_percent gt 92 %, clear 88, critical 97, x2, critical"
    );
    assert_eq!(one("name = \"swap_full\"\nenabled = false"), [DEFAULTS[0], DEFAULTS[2]]);
    assert_eq!(
        one("name = \"little\"\nmetric = \"memory_available_bytes\"\nop = \"lt\"\nvalue = \"2KiB\"\nclear = 4096")[3],
        "little: memory_available_bytes lt 2.0 KiB, clear 4096, x1, warning"
    );
}

#[test]
fn a_later_file_changes_a_rule_and_one_file_has_it_once() {
    let of = |text: &str| format!("[[sensor.storage.rule]]\nname = \"low_disk\"\n{text}\n");
    let read = |first: &str, later: &str| {
        let files = [("a.toml".into(), first.to_owned()), ("b.toml".into(), later.to_owned())];
        Settings::read(&files).map_err(|error| error.message)
    };
    let settings = read(&of("mount = \"/srv\"\nvalue = 80"), &of("mount = \"/srv\"\nclear = 70")).unwrap();
    let watches = settings.sensors().watches;
    let storage = watches.iter().find(|watch| watch.sensor.name == "storage").unwrap();
    let found = for_instance(&storage.rules, "/srv");
    assert_eq!((found[0].value, found[0].clear), (80.0, 70.0));
    for (first, second, expected) in [
        ("value = 80", "clear = 70", "a.toml:4: the rule `low_disk` stands in a.toml:1, too: write it once"),
        (
            "value = 80\nmount = \"/srv/*\"",
            "mount = \"/srv/*\"",
            "a.toml:5: the rule `low_disk` for \"/srv/*\" stands in a.toml:1, too: write it once",
        ),
    ] {
        let error = read(&format!("{}{}", of(first), of(second)), "").unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_more_specific_rule_wins_whichever_stands_first() {
    let of = |text: &str| format!("[[sensor.storage.rule]]\n{text}\n");
    let written = [
        of("name = \"low_disk\"\nmount = \"/mnt/**\"\nconsecutive = 3"),
        of("name = \"low_disk\"\nvalue = 80"),
        of("name = \"low_disk\"\nmount = \"/mnt/?\"\nvalue = 70"),
        of("name = \"low_disk\"\nmount = \"/mnt/*\"\nvalue = 60"),
        of("name = \"own\"\nmount = \"/mnt/x\"\nvalue = 40"),
        of("name = \"own\"\nmetric = \"inodes_used_percent\"\nvalue = 50\nconsecutive = 2"),
    ];
    let shown = |texts: &mut dyn Iterator<Item = &String>| {
        let settings = Settings::read(&[("x.toml".into(), texts.cloned().collect())]).unwrap();
        let watches = settings.sensors().watches;
        let storage = watches.into_iter().find(|watch| watch.sensor.name == "storage").unwrap();
        let show = |rule: &&Rule| format!("{} {} x{}", rule.name, rule.words(), rule.consecutive);
        ["/", "/mnt/x", "/mnt/long", "/mnt/a/b"].map(|mount| {
            let mut rules: Vec<String> = for_instance(&storage.rules, mount).iter().map(show).collect();
            rules.retain(|rule| !rule.contains("low_inodes") && !rule.contains("read_only") && !rule.contains("out_of_reach"));
            rules.sort();
            rules.join("; ")
        })
    };
    let expected = [
        "low_disk bytes_used_percent gt 80 % x1; own inodes_used_percent gt 50 % x2",
        "low_disk bytes_used_percent gt 70 % x1; own inodes_used_percent gt 40 % x2",
        "low_disk bytes_used_percent gt 60 % x1; own inodes_used_percent gt 50 % x2",
        "low_disk bytes_used_percent gt 60 % x1; own inodes_used_percent gt 50 % x2",
    ];
    assert_eq!(shown(&mut written.iter()), expected);
    assert_eq!(shown(&mut written.iter().rev()), expected);
    assert_eq!(shown(&mut written[3..].iter().chain(&written[..3])), expected);
}

#[test]
fn every_default_is_a_rule() {
    for sensor in SENSORS {
        let drafts = drafts(sensor, &Values { keys: sensor.keys, written: &[] }, &[]);
        assert_eq!(drafts.len(), sensor.rules.matches("[[rule]]").count(), "{}", sensor.name);
        for draft in drafts {
            draft.rule(sensor).unwrap_or_else(|why| panic!("{}: {why}", sensor.name));
        }
    }
}

#[test]
fn the_defaults_are_what_a_parser_of_toml_makes_of_them() {
    let mut read = 0;
    for sensor in SENSORS {
        let values = Values { keys: sensor.keys, written: &[] };
        let rules = defaults(sensor, &values);
        let known: toml::Table = toml::from_str(sensor.rules).unwrap();
        let known: Vec<toml::Table> = known.get("rule").map(|rules| rules.clone().try_into().unwrap()).unwrap_or_default();
        assert_eq!(rules.len(), known.len(), "{}", sensor.name);
        for (rule, known) in rules.iter().zip(known) {
            let known: serde_json::Map<String, Value> = known.try_into().unwrap();
            assert_eq!(rule.len(), known.len(), "{}: {known:?}", sensor.name);
            for setting in rule {
                let known = &known[&setting.key];
                let name = known.as_str().and_then(|text| text.strip_prefix('{')?.strip_suffix('}'));
                let expected = name.map_or_else(|| known.clone(), |name| values.value(name));
                assert_eq!(setting.value, expected, "{}: {}", sensor.name, setting.key);
                read += 1;
            }
        }
    }
    assert!(read > 50, "{read}");
}
