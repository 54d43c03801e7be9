//! Plugins are foreign code: one that crashes, hangs or lies hurts nobody else, and one that others can change is not loaded.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::guest::{Guest, Options};
use crate::jobs::{Job, LOG};

/// A tree with these plugins of tests/plugin, compiled, as `FOLDER/NAME.so`.
#[track_caller]
pub fn compiled(tree: &str, folder: &str, names: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("plugins-{tree}"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let into = root.join(folder.trim_start_matches('/'));
    std::fs::create_dir_all(&into).unwrap();
    for name in names {
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Werror", "-I"])
            .arg(here.join("plugins/abi"))
            .arg("-o")
            .arg(into.join(format!("{name}.so")))
            .arg(here.join(format!("tests/plugin/{name}.c")))
            .status()
            .unwrap();
        assert!(status.success(), "{name}.c does not compile");
    }
    root
}

/// What the last try of each method said, and how it ended: (method, status, detail).
#[track_caller]
fn tries(guest: &Guest) -> Vec<(String, String, String)> {
    let rows = guest.rows("SELECT method, status, detail FROM deliveries ORDER BY method, id");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "method"), text(row, "status"), text(row, "detail"))).collect()
}

#[test]
fn plugins_that_crash_hang_or_lie_hurt_nobody_else() {
    let names = ["crash", "endless", "exit0", "flood", "half", "hang", "memory", "noise", "old", "torn", "wrong_nonce"];
    let guest = Guest::boot("hostile", Options::new().tree(&compiled("hostile", "/usr/lib/sysalert/plugins", &names)));
    // the methods' names are such that neither their order nor their number favours the healthy one
    let methods: String = names.iter().map(|name| format!("[method.{name}]\ntimeout = \"3s\"\n")).collect();
    guest.configure(&format!("{methods}{LOG}"));
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    let processes = || guest.run(&["pgrep", "--list-full", "-u", "sysalert"]).stdout;
    guest.wait_until("the one that hangs runs", || processes().contains("plugin-host send /usr/lib/sysalert/plugins/hang.so"));
    guest.wait_until("every method was tried", || tries(&guest).len() == names.len() + 1);
    guest.wait_for_dispatch();

    let found = tries(&guest);
    let rows = [
        ("crash", "retry", "the plugin crash.so ended without a reply (killed by SIGSEGV)"),
        ("endless", "retry", "the plugin endless.so ended without a reply"),
        ("exit0", "retry", "the plugin exit0.so ended without a reply (exit status 0)"),
        ("flood", "retry", "the plugin flood.so took longer than 3 s and was killed"),
        ("half", "retry", "answered something that is no reply"),
        ("hang", "retry", "the plugin hang.so took longer than 3 s and was killed"),
        ("log", "sent", "/var/log/sysalert/alerts.json"),
        ("memory", "retry", "the plugin memory.so ended without a reply (killed by SIGABRT)"),
        ("noise", "sent", "by a test plugin"),
        ("old", "retry", "the plugin /usr/lib/sysalert/plugins/old.so speaks version 2 of the interface"),
        ("torn", "retry", "the plugin torn.so ended without a reply (exit status 0)"),
        ("wrong_nonce", "retry", "the plugin wrong_nonce answered another request than this one"),
    ];
    for (row, (method, status, detail)) in rows.iter().zip(&found) {
        assert_eq!((row.0, row.1), (method.as_str(), status.as_str()), "{found:#?}");
        assert!(detail.contains(row.2), "{method}: {detail}");
    }
    let logged = guest.read_file("/var/log/sysalert/alerts.json");
    assert!(logged.contains("backup.service") && logged.contains(&job.words()), "{logged}");

    // the healthy ones did not wait for the one that hangs
    let ended = |method: &str| guest.number(&format!("SELECT at FROM deliveries WHERE method = '{method}'"));
    for method in ["log", "noise"] {
        assert!(ended("hang") - ended(method) > 1_500_000, "{method} was done long before the 3 s of the one that hangs");
    }

    // the others wait, and whoever looks sees why
    let status = guest.sysalert(&["status"]).ok();
    let methods = guest.sysalert(&["methods"]).ok();
    for (method, _, sentence) in rows.iter().filter(|row| row.1 == "retry") {
        for (shown, place) in [(&status, "status"), (&methods, "methods")] {
            let line = shown.lines().find(|line| line.contains(sentence));
            assert!(line.is_some_and(|line| line.contains(method)), "{place} on {method}\n{shown}");
        }
    }
    let waiting = guest.number("SELECT count(*) FROM outbox");
    assert_eq!(waiting, 10);
    for method in ["log", "noise"] {
        let shown = status.lines().filter(|line| line.starts_with("backup.service") && line.contains("failure"));
        assert!(!shown.into_iter().any(|line| line.split_whitespace().any(|word| word == method)), "{status}");
        assert!(methods.lines().any(|line| line.starts_with(method) && line.contains("sent ")), "{methods}");
    }

    // nobody is left behind: not the one that ignores SIGTERM, no child of `methods` above
    assert_eq!(processes(), "");
    // a healthy method works on, and a hostile one is tried again
    job.succeeds();
    guest.wait_until("the recovery is in the log", || guest.read_file("/var/log/sysalert/alerts.json").contains("recovery"));
}

/// Whatever its plugin says of it, and wherever it came from.
#[test]
fn a_secret_that_comes_back_is_shown_nowhere() {
    let guest = Guest::boot("echo", Options::new().tree(&compiled("echo", "/usr/lib/sysalert/plugins", &["echo"])));
    let places = ["\"hunter2\"", "{ file = \"/etc/sysalert/token\" }", "{ env = \"TOKEN\" }", "{ credential = \"token\" }"];
    let methods = places
        .iter()
        .enumerate()
        .map(|(number, place)| format!("[method.m{number}]\nplugin = \"echo\"\nplace = \"board.lan\"\ntoken = {place}\n"));
    guest.configure(&methods.collect::<String>());
    guest
        .sh("for file in token environment; do install -m 0640 -g sysalert /dev/stdin /etc/sysalert/$file <<<TOKEN=hunter2; done")
        .ok();
    let drop_in = "[Service]\nLoadCredential=token:/etc/sysalert/token\n";
    guest.write_unit("sysalert-dispatch.service.d/token.conf", drop_in);
    Job::new(&guest, "backup.service").fails(3);
    guest.wait_until("every method was tried", || tries(&guest).len() == places.len());
    for (method, _, detail) in tries(&guest) {
        assert_eq!(detail, "board.lan knows no token (not shown)", "{method}");
    }
    let looks: [&[&str]; 12] = [
        &["status"],
        &["status", "-o", "json"],
        &["explain", "backup"],
        &["history", "backup", "-o", "json"],
        &["preview", "backup"],
        &["db", "list", "-o", "json"],
        &["outbox", "list", "-o", "json"],
        &["methods", "-o", "json"],
        &["config", "show"],
        &["config", "check"],
        &["doctor", "-o", "json"],
        &["test", "m0"],
    ];
    for look in looks {
        let said = guest.sysalert(look);
        assert!(!said.to_string().contains("hunter2"), "{said}");
    }
    assert!(guest.sysalert(&["status"]).stdout.contains("board.lan knows no token (not shown)"));
    assert!(!guest.journal(&["-u", "sysalert-dispatch.service"]).contains("hunter2"));
}

#[test]
fn a_plugin_that_others_can_change_is_refused_by_its_name() {
    let tree = compiled("loose", "/usr/lib/sysalert/plugins", &["noise"]);
    let guest = Guest::boot("loose", Options::new().tree(&tree));
    guest
        .sh("cd /usr/lib/sysalert/plugins
            for name in file_open group owned; do cp noise.so $name.so; done
            chmod 0666 file_open.so; chmod 0664 group.so; chown nobody owned.so
            ln -s noise.so first.so; ln -s first.so link.so
            mkdir -p /usr/local/lib/sysalert/plugins; cp noise.so /usr/local/lib/sysalert/plugins/folder_open.so
            chmod 0777 /usr/local/lib/sysalert/plugins")
        .ok();
    let rows = [
        ("file_open", "/usr/lib/sysalert/plugins/file_open.so can be changed by others (mode 0666): chmod go-w"),
        ("folder_open", "/usr/local/lib/sysalert/plugins can be changed by others (mode 0777): chmod go-w"),
        ("group", "/usr/lib/sysalert/plugins/group.so can be changed by others (mode 0664): chmod go-w"),
        ("link", "/usr/lib/sysalert/plugins/link.so"),
        ("owned", "/usr/lib/sysalert/plugins/owned.so does not belong to root: chown root"),
    ];
    let methods: String = rows.iter().map(|(name, _)| format!("[method.{name}]\n")).collect();
    // the same file, but nobody can change it
    guest.configure(&format!("{methods}[method.noise]\n"));

    let check = guest.sysalert(&["config", "check"]);
    assert_eq!(check.status, 78, "{check}");
    let shown = guest.sysalert(&["methods"]).ok();
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_until("every method was tried", || tries(&guest).len() == rows.len() + 1);
    let status = guest.sysalert(&["status"]).ok();
    let found = tries(&guest);
    for (number, (name, sentence)) in rows.iter().enumerate() {
        let (method, result, detail) = found.iter().find(|(method, _, _)| method == name).unwrap();
        assert!(result == "retry" && detail.contains(sentence), "{method}: {result}: {detail}");
        assert!(status.contains(sentence), "{name}\n{status}");
        assert!(shown.contains(sentence), "{name}\n{shown}");
        // with the place of the method that names it
        let place = format!("/etc/sysalert/sysalert.toml:{}: [method.{name}]: ", number + 1);
        assert!(check.stderr.lines().any(|line| line.contains(&place) && line.contains(sentence)), "{name}\n{check}");
    }
    assert!(!check.stderr.contains("[method.noise]"), "{check}");
    assert!(found.contains(&("noise".into(), "sent".into(), "by a test plugin".into())), "{found:#?}");

    // mended as the sentences say, it is loaded
    guest.sh("chmod go-w /usr/lib/sysalert/plugins/*.so /usr/local/lib/sysalert/plugins; chown root /usr/lib/sysalert/plugins/owned.so").ok();
    guest.sh("cd /usr/lib/sysalert/plugins; rm link.so; cp noise.so link.so").ok();
    guest.sysalert(&["config", "check"]).ok();
    guest.hurry();
    guest.settle();
}

#[test]
fn a_plugin_that_is_not_there_is_named_with_the_nearest_one() {
    let guest = Guest::boot("absent", Options::new());
    guest.configure(&format!(
        "{LOG}\n[method.mail]\nplugin = \"emial\"\n\n[method.fille]\n\n[method.elsewhere]\nplugin = \"../email\"\n"
    ));
    let check = guest.sysalert(&["config", "check"]);
    assert_eq!(check.status, 78, "{check}");
    assert!(check.stderr.contains("a plugin's name has only a-z"), "{check}");
    guest.configure(&format!("{LOG}\n[method.mail]\nplugin = \"emial\"\n\n[method.fille]\n"));
    let check = guest.sysalert(&["config", "check"]);
    assert_eq!(check.status, 78, "{check}");
    for (place, sentence) in [
        (
            "/etc/sysalert/sysalert.toml:5: [method.mail]: there is no plugin emial.so in /usr/lib/sysalert/plugins",
            "did you mean `plugin = \"email\"`?",
        ),
        ("/etc/sysalert/sysalert.toml:8: [method.fille]: there is no plugin fille.so", "did you mean `plugin = \"file\"`?"),
    ] {
        assert!(check.stderr.lines().any(|line| line.contains(place) && line.ends_with(sentence)), "{place}\n{check}");
    }
    // the alert waits for the plugin, and the healthy method has it
    let job = Job::new(&guest, "backup.service");
    job.fails(3);
    guest.wait_until("every method was tried", || tries(&guest).len() == 3);
    assert!(guest.read_file("/var/log/sysalert/alerts.json").contains("backup.service"));
    assert!(guest.sysalert(&["status"]).ok().contains("there is no plugin emial.so in"));
}

#[test]
fn a_key_that_a_plugin_does_not_know_is_cited_with_file_and_line() {
    let guest = Guest::boot("keys", Options::new());
    for (content, complaint) in [
        (
            "[method.mail]\nplugin = \"email\"\nto = [\"a@example.org\"]\nusrname = \"u\"\n",
            ":4: unknown key in [method.mail]: `usrname`; did you mean `username`?",
        ),
        ("[method.mail]\nplugin = \"email\"\n", ":1: [method.mail] needs the key `to`"),
        ("[method.mail]\nplugin = \"email\"\nto = [\"a@example.org\"]\nport = 70000\n", ":4: `port` "),
        ("[method.mail]\nplugin = \"email\"\nto = [\"a@example.org\"]\ntls = \"ssl\"\n", ":4: `tls` "),
        ("[method.mail]\nplugin = \"email\"\nto = [\"a@example.org\"]\ntimeout = \"soon\"\n", ":4: `timeout` "),
        ("[method.log]\nplugin = \"file\"\n", ":1: [method.log] needs the key `path`"),
        // what the plugin itself says
        ("[method.log]\nplugin = \"file\"\npath = \"alerts\"\n", ":3: [method.log]: `path` must be absolute"),
        (
            "[method.push]\nplugin = \"webhook\"\npreset = \"pushover\"\ntoken = \"x\"\n",
            ":1: [method.push]: the preset pushover needs `user`",
        ),
        (
            "[method.push]\nplugin = \"webhook\"\npreset = \"pushover\"\ntoken.credential = \"x\"\n",
            ":1: [method.push]: the preset pushover needs `user`",
        ),
        (
            "[method.chat]\nplugin = \"webhook\"\npreset = \"slack\"\nurl = \"x\"\nbody = \"y\"\n",
            ":5: [method.chat]: the preset slack has no `body`",
        ),
        (
            "[method.ntfy]\nplugin = \"webhook\"\npreset = \"ntfy\"\ntoken = \"hunter2\"\nurl = \"http://ntfy.lan/x\"\n",
            ":5: [method.ntfy]: http://ntfy.lan is another machine, and a secret goes there only encrypted",
        ),
        (
            "[method.any]\nplugin = \"webhook\"\nurl = \"https://a.example/\"\nbody = \"{{ subjct }}\"\n",
            ":4: [method.any]: `body` cannot be used",
        ),
        ("[method.telegram]\ntoken.env = \"X\"\nchat = \"ops\"\nca = \"/nowhere\"\n", ""),
        ("[method.telegram]\ntoken = \"1:x\"\nchat = \"ops\"\n", ":3: [method.telegram]: `chat` must be"),
        (
            "[method.telegram]\ntoken = \"1:x\"\nchat = \"1\"\nca = \"/nowhere\"\n",
            ":4: [method.telegram]: `ca` names /nowhere, which cannot be read",
        ),
        (
            "[method.fleet]\nplugin = \"alertmanager\"\nurl = [\"alerts:9093\"]\n",
            ":3: [method.fleet]: `url` must be a whole address",
        ),
        ("[method.log]\nplugin = \"syslog\"\nport = 514\n", ":3: [method.log]: `port` needs `host`"),
        ("[method.phone]\nplugin = \"command\"\ncommand = [\"notify\"]\n", ":3: [method.phone]: `command`"),
        ("[heartbeat]\nurl = \"hc-ping.com/x\"\n", ":2: [heartbeat]: `url` must be a whole address"),
    ] {
        guest.configure(content);
        let check = guest.sysalert(&["config", "check"]);
        if complaint.is_empty() {
            // of a secret that is not at hand nobody can tell what it is
            assert_eq!(check.status, 0, "{content}\n{check}");
            continue;
        }
        assert_eq!(check.status, 78, "{content}\n{check}");
        assert!(!check.stderr.contains("hunter2"), "{check}");
        assert!(check.stderr.contains(&format!("/etc/sysalert/sysalert.toml{complaint}")), "{complaint}\n{check}");
    }
}
