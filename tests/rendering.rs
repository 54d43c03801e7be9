//! How a mail looks: its HTML in a real browser, on a narrow phone and on a desk, in light and in dark, with and without the
//! styles that some mail readers drop. Nothing may run out of the page, everything must be legible. `make check` runs it;
//! the pictures are in CARGO_TARGET_TMPDIR. `SYSALERT_BLESS=1 TZ=Europe/Berlin` writes the README's picture.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::disallowed_methods)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sysalert::event::{Event, Manager, Outcome, Problem, Start, Subject, UnitName};
use sysalert::incident::{Incident, Severity};
use sysalert::message::{self, Because, Changed, Context, Disk, Findings, Late, Raw, Report};
use sysalert_abi::Kind;

/// What WCAG 2 asks of text (1.4.3, level AA).
const CONTRAST: f64 = 4.5;
const PHONE: u32 = 360;
const DESK: u32 = 720;

#[test]
fn nothing_runs_out_of_the_page_and_all_is_legible_in_light_and_dark() {
    let letters = [("failure", failure()), ("hostile", hostile()), ("recovery", recovery()), ("many", many()), ("test", test())];
    let mut pages = Vec::new();
    for (name, html) in &letters {
        for width in [PHONE, DESK] {
            pages.push(Page { name: format!("{name}-{width}"), html: html.clone(), width });
        }
        pages.push(Page { name: format!("{name}-without-style"), html: without_style(html), width: PHONE });
    }
    let browser = Browser::find();
    for (scheme, is_dark) in [("light", false), ("dark", true)] {
        let sheet = browser.write(&format!("{scheme}.html"), &as_frames(&pages));
        let measured = browser.measure(&sheet, is_dark);
        for page in &pages {
            let of = |what: &str| {
                let start = format!("{what} {} ", page.name);
                measured.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect::<Vec<_>>()
            };
            let (name, outside) = (&page.name, of("outside"));
            assert!(outside.is_empty(), "{name}, {scheme}: wider than the page: {outside:?}");
            let texts: usize = of("texts")[0].parse().unwrap();
            assert!(texts >= 8, "{name}, {scheme}: only {texts} texts were looked at");
            for (ratio, what) in of("contrast").iter().map(|line| line.split_once(' ').unwrap()) {
                let ratio: f64 = ratio.parse().unwrap();
                assert!(ratio >= CONTRAST, "{name}, {scheme}: a contrast of {ratio} is too little for {what:?}");
            }
            let paper: f64 = of("paper")[0].parse().unwrap();
            assert!(if is_dark { paper < 0.05 } else { paper > 0.9 }, "{name}: the page's luminance in {scheme} is {paper}");
        }
        for width in [PHONE, DESK] {
            let shown: Vec<&Page> = pages.iter().filter(|page| page.width == width && !page.name.contains("style")).collect();
            let sheet = browser.write(&format!("{scheme}-{width}.html"), &as_frames(shown.iter().copied()));
            let size = (u32::try_from(shown.len()).unwrap() * (width + 16), 1600);
            browser.picture(&sheet, is_dark, size, &format!("{scheme}-{width}.png"));
        }
        if !is_dark && std::env::var_os("SYSALERT_BLESS").is_some() {
            let height = measured.lines().find_map(|line| line.strip_prefix("height failure-720 ")).unwrap();
            let picture =
                browser.picture(&browser.write("mail.html", &failure()), false, (DESK, height.parse().unwrap()), "mail.png");
            small(&picture);
            fs::copy(picture, Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/mail.png")).unwrap();
        }
    }
}

#[derive(Clone)]
struct Page {
    name: String,
    html: String,
    width: u32,
}

/// Each page in a frame of its own width, and a script that looks at all of them as they are laid out.
fn as_frames<'a>(pages: impl IntoIterator<Item = &'a Page>) -> String {
    let frame = |page: &Page| {
        let html = page.html.replace('&', "&amp;").replace('"', "&quot;");
        format!("<iframe name=\"{}\" style=\"width:{}px\" srcdoc=\"{html}\"></iframe>\n", page.name, page.width)
    };
    let frames: String = pages.into_iter().map(frame).collect();
    format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><style>:root{{color-scheme:light dark}}body{{margin:0;white-space:nowrap}}\
         iframe{{border:0;margin:8px;height:1570px;vertical-align:top}}</style>\n{frames}<pre id=\"result\"></pre><script>{MEASURE}</script>"
    )
}

/// Contrast and luminance as WCAG 2 defines them.
const MEASURE: &str = r##"
onload = () => {
    const lines = [];
    const luminance = rgb => {
        const [r, g, b] = rgb.map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const colour = text => text.match(/[\d.]+/g).map(Number);
    for (const frame of document.querySelectorAll("iframe")) {
        const page = frame.contentDocument, view = frame.contentWindow, root = page.documentElement;
        const tell = (what, ...rest) => lines.push([what, frame.name, ...rest].join(" ").replace(/[<>&\n]/g, "?"));
        tell("height", Math.ceil(root.getBoundingClientRect().height));
        if (root.scrollWidth > root.clientWidth) tell("outside", "the page", root.scrollWidth);
        for (const element of page.body.querySelectorAll("*")) {
            const box = element.getBoundingClientRect();
            if (box.right > root.clientWidth + 0.5 || box.left < -0.5 || element.scrollWidth > element.clientWidth + 1 && element.clientWidth)
                tell("outside", element.tagName, element.textContent.slice(0, 40));
        }
        const canvas = page.createElement("i");
        canvas.style.background = "Canvas";
        page.body.append(canvas);
        const behind = element => {
            for (; element; element = element.parentElement) {
                const found = colour(view.getComputedStyle(element).backgroundColor);
                if (found.length < 4 || found[3] > 0) return found;
            }
            return colour(view.getComputedStyle(canvas).backgroundColor);
        };
        tell("paper", luminance(behind(page.body)));
        const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
        let count = 0;
        while (texts.nextNode()) {
            const text = texts.currentNode;
            if (!text.data.trim()) continue;
            const [a, b] = [colour(view.getComputedStyle(text.parentElement).color), behind(text.parentElement)].map(luminance);
            tell("contrast", ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)).toFixed(2), text.data.slice(0, 40));
            count++;
        }
        tell("texts", count);
        canvas.remove();
    }
    document.querySelector("#result").textContent = lines.join("\n");
};
"##;

/// A headless Chromium.
struct Browser {
    program: &'static str,
    folder: tempfile::TempDir,
}

impl Browser {
    fn find() -> Browser {
        let exists =
            |name: &&str| std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|path| path.join(name).is_file());
        let program = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(exists);
        let Some(program) = program else { panic!("there is no Chromium: `make setup` installs it (apt-get install chromium)") };
        Browser { program, folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, html: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, html).unwrap();
        path
    }

    fn run(&self, page: &Path, is_dark: bool, arguments: &[String]) -> String {
        let mut command = Command::new("timeout");
        command.args(["60", self.program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-dev-shm-usage", "--force-device-scale-factor=1"]);
        command.arg(format!("--user-data-dir={}", self.folder.path().join("profile").display())).args(arguments);
        command.args(is_dark.then_some("--blink-settings=preferredColorScheme=0"));
        let output = command.arg(page).env("HOME", self.folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {}\n{told}", self.program, output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// What the script of a sheet found.
    fn measure(&self, sheet: &Path, is_dark: bool) -> String {
        let page = self.run(sheet, is_dark, &["--dump-dom".to_owned()]);
        let result = page.rsplit_once("<pre id=\"result\">").unwrap().1.split_once("</pre>").unwrap().0.to_owned();
        assert!(!result.is_empty(), "the script did not run");
        result
    }

    fn picture(&self, page: &Path, is_dark: bool, (width, height): (u32, u32), name: &str) -> PathBuf {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        self.run(page, is_dark, &[format!("--window-size={width},{height}"), format!("--screenshot={}", path.display())]);
        assert!(fs::metadata(&path).unwrap().len() > 5000, "{} is empty", path.display());
        eprintln!("{}", path.display());
        path
    }
}

/// A quarter of the size, where pngquant is there to do it.
fn small(picture: &Path) {
    let done = Command::new("pngquant").args(["--force", "--ext", ".png", "48"]).arg(picture).status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("install pngquant for a small picture");
    }
}

fn without_style(html: &str) -> String {
    let (start, end) = (html.find("<style>").unwrap(), html.find("</style>").unwrap());
    format!("{}{}", &html[..start], &html[end..])
}

fn at(second: i64) -> DateTime<Utc> {
    "2026-11-21T02:12:26Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(second)
}

fn problem(service_result: &str, exit_code: &str, exit_status: &str) -> Problem {
    let [service_result, exit_code, exit_status] = [service_result, exit_code, exit_status].map(|word| Some(word.to_owned()));
    Problem { service_result, exit_code, exit_status, cause: None }
}

fn event(unit: &str, problem: Problem) -> Event {
    let subject = Subject::unit(&Manager::System, &UnitName::typed(unit).unwrap());
    let run = "27958a5008624b39838d249d6fa93b04".to_owned();
    let outcome = if problem.service_result.as_deref() == Some("success") { Outcome::Succeeded } else { Outcome::Failed };
    Event {
        subject,
        outcome,
        invocation_id: Some(run.clone()),
        run,
        problem,
        triggered_by: None,
        start: None,
        restarts: false,
        at: at(0),
    }
}

fn letter(event: &Event, failures: &[(DateTime<Utc>, Problem)], context: &Context, late: Option<Late<'_>>, host: &str) -> String {
    let first = failures.first().map_or(event.at, |(at, _)| *at);
    let begun = Incident::begin(1, event.subject.clone(), Severity::Critical, first);
    let incident = Incident { failures: failures.len() as u64, last_failure: event.at, ..begun };
    let kind = if event.outcome == Outcome::Failed { Kind::Failure } else { Kind::Recovery };
    let why = (failures.len() == 3).then_some("2 failures before this one were ignored, as `ignore` says");
    message::compose(&Report {
        kind,
        host,
        event,
        incident: &incident,
        why,
        failures,
        left_out: 0,
        flapping: None,
        again: None,
        acknowledge: false,
        context,
        is_own: false,
        late,
    })
    .render()
    .html
}

/// As the README shows it.
fn failure() -> String {
    let lines: [(&str, &[u8]); 4] = [
        ("backup", b"712 of 1311 files copied"),
        ("backup", b"rsync: write failed on \"/srv/backup/db.tar\": No space left on device (28), PGPASSWORD=hunter2"),
        ("systemd", b"backup.service: Main process exited, code=exited, status=11/n/a"),
        ("systemd", b"backup.service: Failed with result 'exit-code'."),
    ];
    let (excerpt, secrets) = message::shown(&lines.map(|(identifier, text)| Raw { at: at(0), identifier, text }));
    let context = Context {
        excerpt,
        secrets,
        ran: Some(Duration::from_millis(41_300)),
        usual: Some(Duration::from_secs(190)),
        last_success: Some(at(-86_400)),
        documentation: vec!["man:rsync(1)".into(), "https://wiki.example.org/backup".into()],
        findings: Findings {
            disks: vec![Disk { mount: "/srv".into(), size: 2 << 40, ..Disk::default() }],
            cpu: Some(Duration::from_secs(12)),
            memory: Some(340 << 20),
            ..Findings::default()
        },
        ..Context::default()
    };
    let event = Event {
        triggered_by: Some("backup.timer".into()),
        start: Some(Start::Timer),
        ..event("backup", problem("exit-code", "exited", "11"))
    };
    letter(&event, &[(at(0), event.problem.clone())], &context, None, "web1")
}

/// The longest of everything, without a place to break it.
fn hostile() -> String {
    let unit = "x".repeat(200);
    let text = format!("<b>{}</b>", "y".repeat(1500));
    let lines = [Raw { at: at(0), identifier: &"i".repeat(200), text: text.as_bytes() }];
    let context = Context {
        excerpt: message::shown(&lines).0,
        findings: Findings {
            changed: vec![Changed { path: format!("/{}", "c".repeat(200)), at: at(-60) }],
            ..Findings::default()
        },
        note: Some("n".repeat(300)),
        documentation: vec![format!("https://example.org/{}", "d".repeat(250)), format!("man:{}(1)", "m".repeat(250))],
        sockets: vec![format!("{}.socket", "s".repeat(200))],
        ..Context::default()
    };
    let mut event = Event { start: Some(Start::Other), restarts: true, ..event(&unit, problem("dependency", "", "")) };
    event.problem.cause = Some(format!("{}.service", "c".repeat(200)));
    let failures = [(at(-60), event.problem.clone()), (at(0), event.problem.clone())];
    let refused = "5".repeat(400);
    let late = Some(Late { by: TimeDelta::hours(7), because: Some(Because::Failed(&refused)) });
    letter(&event, &failures, &context, late, &"h".repeat(64))
}

fn recovery() -> String {
    let event = event("backup", problem("success", "exited", "0"));
    let failures = [(at(-7200), problem("exit-code", "exited", "11")), (at(-3600), problem("timeout", "killed", "TERM"))];
    letter(&event, &failures, &Context::default(), None, "web1")
}

fn many() -> String {
    let event = event("nginx", problem("core-dump", "dumped", "SEGV"));
    let failures: Vec<_> = (0..40).map(|minute| (at(60 * (minute - 39)), event.problem.clone())).collect();
    let lines: Vec<String> = (0..50).map(|line| format!("worker {line}: open() \"/var/www/{line}/index.html\" failed")).collect();
    let raw: Vec<Raw<'_>> = lines.iter().map(|text| Raw { at: at(0), identifier: "nginx", text: text.as_bytes() }).collect();
    letter(&event, &failures, &Context { excerpt: message::shown(&raw).0, ..Context::default() }, None, "web1.example.org")
}

fn test() -> String {
    message::test_letter("web1", "mail", at(0)).render().html
}
