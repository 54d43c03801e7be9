//! A throw-away systemd with the staged sysalert in it: boot, command, wait for a condition, tear down. `systemd-host` beside
//! this file does the booting.
//!
//! `SYSALERT_STAGE` names the staged tree (`make install DESTDIR=...`); `make check` sets it.
// each test file uses its own part of the harness
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::{Duration, Instant};

pub use crate::output::Output;
use crate::output::finish;

/// How long a condition may take when nothing better is known. A pass is seen within 50 ms of its
/// truth, so that a generous limit costs nothing but patience with a failure. Far below a minute, after which
/// dispatch's timer would do what the flag should have done.
pub const SOON: Duration = Duration::from_secs(30);

/// A Debian 13 that `setup` makes.
const DEBIAN13: &str = "/var/cache/sysalert-tests/trixie";

/// What a guest gets beside the staged sysalert.
#[derive(Default)]
pub struct Options {
    mail_server: bool,
    bare: bool,
    arguments: Vec<String>,
}

impl Options {
    /// The staged sysalert, installed as a package would do it, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Without sysalert, as the machine is before its package comes. What images of containers forbid packages is allowed there: to
    /// start services, to bring a manual.
    pub fn bare() -> Self {
        Self { bare: true, ..Self::default() }.prepare(r#"rm -f "$ROOT"/usr/sbin/policy-rc.d "$ROOT"/etc/dpkg/dpkg.cfg.d/*"#)
    }

    /// Boots Debian 13 and its systemd 257 instead of this machine's own system. It has what `setup` put into it: no Python, no
    /// mail server.
    pub fn debian13(self) -> Self {
        assert!(
            Path::new(DEBIAN13).exists(),
            "there is no {DEBIAN13}: \"make setup\" makes it (as root, with access to a Debian mirror)"
        );
        self.argument("--lower", DEBIAN13)
    }

    /// A real mail server as `mail-server.service` and `faulty-smtp@MODE.service`: see `mail-server`.
    pub fn mail_server(mut self) -> Self {
        self.mail_server = true;
        self
    }

    /// A shell command that runs outside, before the boot, with `$ROOT` set to the guest's root.
    pub fn prepare(self, command: &str) -> Self {
        self.argument("--prepare", command)
    }

    /// A further tree that is laid over the guest's root before the boot.
    pub fn tree(self, folder: &Path) -> Self {
        self.argument("--tree", &folder.display().to_string())
    }

    /// A file that is there before the boot, with the folders above it.
    pub fn file(self, path: &str, content: &str) -> Self {
        // on the command line, quoted for the shell
        let content = content.replace('\'', r"'\''");
        self.prepare(&format!(r#"mkdir -p "$ROOT"$(dirname '{path}'); printf %s '{content}' >"$ROOT"'{path}'"#))
    }

    /// Lets the guest see this folder, read-only.
    pub fn bind_ro(self, outside: &Path, inside: &str) -> Self {
        self.argument("--bind-ro", &format!("{}:{inside}", outside.display()))
    }

    /// Lets it mount what a program serves (FUSE).
    pub fn fuse(self) -> Self {
        self.argument("--bind", "/dev/fuse:/dev/fuse")
    }

    fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.into(), value.into()]);
        self
    }
}

/// A booted guest; gone when this is dropped.
pub struct Guest {
    name: String,
}

impl Guest {
    /// Boots one. `name` (a-z, 0-9, '-', at most 20 characters) is for the reader of messages; several guests may
    /// run at the same time.
    #[track_caller]
    pub fn boot(name: &str, options: Options) -> Self {
        static FIRST: Once = Once::new();
        FIRST.call_once(remove_orphans);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let guest = Self { name: format!("{name}-{count}-{}", std::process::id()) };

        let prepare = |step: &str| format!(r#"{} {step} "$ROOT""#, quote(&here("prepare-guest")));
        let mut up = host("up");
        up.arg(&guest.name).arg("--private-network");
        up.arg("--prepare").arg(prepare("before"));
        if !options.bare {
            up.arg("--tree").arg(stage());
            up.arg("--prepare").arg(prepare("after"));
        }
        if options.mail_server {
            up.arg("--prepare").arg(format!(r#"{} --prepare "$ROOT""#, quote(&here("mail-server"))));
        }
        let output = finish(up.args(&options.arguments), None);
        assert!(
            output.success(),
            "no guest {name}; these tests need root, systemd-nspawn and overlayfs (\"make setup\" installs what can be installed)\n{output}"
        );
        guest
    }

    /// Boots one with this version of systemd: 252, this machine's own, or 257.
    #[track_caller]
    pub fn boot_on(systemd: u32, name: &str, options: Options) -> Self {
        let options = if systemd == 257 { options.debian13() } else { options };
        let guest = Self::boot(name, options);
        let version = guest.run(&["systemctl", "--version"]).ok();
        assert!(version.starts_with(&format!("systemd {systemd} ")), "this test is for systemd {systemd}, not for {version}");
        guest
    }

    /// The process ID, outside, of the guest's PID 1. `/proc/PID/root` has all that the guest sees.
    #[track_caller]
    pub fn pid(&self) -> String {
        finish(host("pid").arg(&self.name), None).ok()
    }

    /// Runs this Python program outside, with the guest's PID 1 as its first argument: not every guest has a Python.
    pub fn python(&self, program: &str, arguments: &[&str]) -> Output {
        let mut python = Command::new("/usr/bin/python3");
        let mut output = finish(python.args(["-I", "-c", program, &self.pid()]).args(arguments), None);
        output.command = format!("python3 {}", arguments.join(" "));
        output
    }

    /// Powers the guest off in good order and boots the same disk again.
    #[track_caller]
    pub fn reboot(&self) {
        finish(host("reboot").arg(&self.name), None).ok();
    }

    /// Everything dies at once, as at a power cut, and the same disk is booted again. What was written is there, synced or not.
    #[track_caller]
    pub fn reset(&self) {
        finish(host("reset").arg(&self.name), None).ok();
    }

    /// The host name, also of the machine in alerts.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command as root.
    pub fn run(&self, command: &[&str]) -> Output {
        self.run_with(&[], command, None)
    }

    /// Runs a command as this user, with the environment of a login.
    pub fn run_as(&self, user: &str, command: &[&str]) -> Output {
        self.run_with(&["--user", user], command, None)
    }

    /// Runs a shell script as root; ends at the first command that fails.
    pub fn sh(&self, script: &str) -> Output {
        self.run(&["bash", "-euo", "pipefail", "-c", script])
    }

    /// `sysalert ARGUMENTS` as root.
    pub fn sysalert(&self, arguments: &[&str]) -> Output {
        self.run(&[&["sysalert"], arguments].concat())
    }

    /// Runs a command as root with this text as its standard input.
    pub fn run_input(&self, command: &[&str], input: &str) -> Output {
        self.run_with(&[], command, Some(input))
    }

    /// Runs a command as root at a terminal of its own, and answers its questions: each is the end of what it has printed, and what
    /// is typed then. What was shown is the standard output.
    pub fn dialogue(&self, command: &[&str], answers: &[(&str, &str)]) -> Output {
        let answers: Vec<[&str; 2]> = answers.iter().map(|(question, answer)| [*question, *answer]).collect();
        let mut talk = Command::new("/usr/bin/python3");
        talk.arg("-I").arg(here("dialogue.py")).arg(serde_json::to_string(&answers).unwrap());
        talk.arg(here("systemd-host")).arg("run").arg(&self.name).arg("--").args(command);
        let mut output = finish(&mut talk, None);
        output.command = command.join(" ");
        output
    }

    fn run_with(&self, options: &[&str], command: &[&str], input: Option<&str>) -> Output {
        let mut run = host("run");
        run.arg(&self.name).args(options).arg("--").args(command);
        let mut output = finish(&mut run, input);
        output.command = command.join(" ");
        output
    }

    /// Writes a file of root's, mode 0644, with the folders above it.
    #[track_caller]
    pub fn write_file(&self, path: &str, content: &str) {
        self.run_input(&["install", "-D", "-m", "0644", "/dev/stdin", path], content).ok();
    }

    #[track_caller]
    pub fn read_file(&self, path: &str) -> String {
        let output = self.run(&["cat", "--", path]);
        assert!(output.success(), "{output}");
        output.stdout
    }

    pub fn exists(&self, path: &str) -> bool {
        self.run(&["test", "-e", path]).success()
    }

    /// Writes `/etc/sysalert/sysalert.toml` with the owner and mode that it should have.
    #[track_caller]
    pub fn configure(&self, content: &str) {
        let path = "/etc/sysalert/sysalert.toml";
        self.run_input(&["install", "-D", "-m", "0640", "-o", "root", "-g", "sysalert", "/dev/stdin", path], content).ok();
    }

    /// Writes a unit file; `systemctl daemon-reload` included.
    #[track_caller]
    pub fn write_unit(&self, name: &str, content: &str) {
        self.write_file(&format!("/etc/systemd/system/{name}"), content);
        self.run(&["systemctl", "daemon-reload"]).ok();
    }

    /// Copies a file or tree from outside.
    #[track_caller]
    pub fn copy(&self, from: &Path, to: &str) {
        finish(host("copy").arg(&self.name).arg(from).arg(to), None).ok();
    }

    /// One property of a unit, as `systemctl show` prints it.
    #[track_caller]
    pub fn property(&self, unit: &str, property: &str) -> String {
        self.run(&["systemctl", "show", "--value", "-p", property, "--", unit]).ok()
    }

    /// The journal's messages that match, one a line (`journalctl -o cat MATCHES`).
    #[track_caller]
    pub fn journal(&self, matches: &[&str]) -> String {
        self.run(&["journalctl", "--sync"]).ok();
        let output = self.run(&[&["journalctl", "--no-pager", "--quiet", "-o", "cat"], matches].concat());
        assert!(output.success() || output.stderr.is_empty(), "{output}");
        output.stdout
    }

    /// Waits until the condition holds; with a limit of its own use `wait_at_most`.
    #[track_caller]
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        self.wait_at_most(SOON, what, condition);
    }

    /// Looks every 50 ms whether the condition holds; panics with the guest's state when the time is over.
    #[track_caller]
    pub fn wait_at_most(&self, limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
        let end = Instant::now() + limit;
        while !condition() {
            assert!(Instant::now() < end, "waited {limit:?} in vain until {what}\n{}", self.state());
            // the one place that sleeps: between two looks at a real condition
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What one wants to know when a test fails.
    fn state(&self) -> String {
        let looks = [
            "systemctl --failed --no-legend --plain",
            "systemctl list-jobs --no-legend",
            "systemctl status --no-pager --lines=0 'sysalert-*' 2>&1",
            "sysalert status 2>&1",
            "journalctl --no-pager --quiet -o short-precise -n 80",
        ];
        looks.iter().map(|look| format!("--- {look}\n{}", self.run(&["timeout", "10", "bash", "-c", look]).stdout)).collect()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.journal", self.name));
            let journal = self.run(&["journalctl", "--no-pager", "-o", "short-precise"]).stdout;
            match std::fs::write(&path, &journal) {
                Ok(()) => eprintln!("the whole journal of {}: {}", self.name, path.display()),
                Err(error) => eprintln!("the journal of {} could not be kept: {error}", self.name),
            }
            let lines: Vec<_> = journal.lines().collect();
            eprintln!("its end:\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        let output = finish(host("down").arg(&self.name), None);
        if !output.success() {
            eprintln!("{output}");
        }
    }
}

/// The staged tree.
#[track_caller]
pub fn stage() -> &'static Path {
    static STAGE: OnceLock<PathBuf> = OnceLock::new();
    STAGE.get_or_init(|| {
        let stage = std::env::var_os("SYSALERT_STAGE").map(PathBuf::from);
        let stage = stage
            .expect("SYSALERT_STAGE must name a staged tree: make install DESTDIR=$PWD/.stage; \"make check\" does all of it");
        assert!(stage.join("usr/bin/sysalert").exists(), "there is no usr/bin/sysalert in SYSALERT_STAGE={}", stage.display());
        stage
    })
}

/// Guests of test processes that were killed: their names end in a process ID that no longer runs.
fn remove_orphans() {
    for name in finish(&mut host("list"), None).stdout.lines() {
        let owner = name.rsplit('-').next().and_then(|pid| pid.parse::<u32>().ok());
        if name.matches('-').count() >= 2 && owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            finish(host("down").arg(name), None);
        }
    }
}

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system").join(name)
}

fn host(verb: &str) -> Command {
    let mut command = Command::new(here("systemd-host"));
    command.arg(verb);
    command
}

fn quote(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
