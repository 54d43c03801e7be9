//! `sysalert setup`: a method that sends, its secret, a test alert; by questions at a terminal, or by options.
//!
//! Nothing of it knows a plugin: what is asked is what the plugins tell of their keys. Root stays root here, to write what it writes;
//! plugins run in a process that does not.

mod file;
mod key;
mod questions;
mod remove;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::context::Context;
use super::output;
use crate::config::nearest;
use crate::error::{Error, Kind, Result};
use crate::event::Manager;
use crate::host::manager::systemctl;
use crate::host::site::ConfigPlace;
use crate::host::{again, identity, terminal};
use crate::settings::Settings;
use key::{Catalogue, Key, Sender};

const EXAMPLES: &str = "\
Examples:
  sysalert setup                          asks for everything
  sysalert setup --plugin email --set to=ops@example.org --timers
                                          mail by this machine's own mail server
  sysalert setup --plugin ntfy --secret url=/root/topic
                                          a phone
  sysalert setup --remove ntfy            takes it away again
  sysalert setup --plugin telegram --set chat=-1001234567890 --secret token=/root/token

It writes conf.d/method-NAME.toml, and can be run again: what is not asked for stays as it is.";

/// A way to send alerts.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, override_usage = "sysalert setup [OPTIONS]")]
pub(super) struct Setup {
    /// The plugin that sends, or a channel such as ntfy; without it, a terminal is asked
    #[arg(long)]
    plugin: Option<String>,
    /// What the method is called; default: as its plugin or channel
    #[arg(long)]
    name: Option<String>,
    /// A setting, as in host=smtp.example.org; of a list, separated by commas; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// A secret, from a file or from standard input (-): password=/root/password; may be repeated
    #[arg(long, value_name = "KEY=FILE")]
    secret: Vec<String>,
    /// Let every service that a timer starts tell its failures, as `sysalert enable --timers` does
    #[arg(long)]
    timers: bool,
    /// Send no test alert
    #[arg(long)]
    no_test: bool,
    /// Take a method away: its file, its secrets, and what hands them over
    #[arg(long, value_name = "NAME", conflicts_with_all = ["plugin", "name", "set", "secret", "timers", "no_test"])]
    remove: Option<String>,
    /// Replace a file that somebody has changed by hand
    #[arg(long)]
    yes: bool,
}

/// The method that is made or changed.
struct Draft {
    name: String,
    plugin: String,
    /// What is set, by key; of a secret, where it is kept.
    values: BTreeMap<String, Value>,
    /// New secrets, by key.
    secrets: BTreeMap<String, String>,
    /// The key that was set by the channel's name.
    channel: Option<String>,
}

impl Setup {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        let is_users = context.site.manager != Manager::System;
        if !is_users && !identity::is_root() {
            let error = Error::new(Kind::Permission, "only root may write the system's configuration");
            return Err(error.hint("run it as root; for your own units, sysalert --user setup"));
        }
        let ConfigPlace::Folder(folder) = &context.site.config else {
            return Err(Error::usage("--config names one file, and setup writes a file of its own beside the others")
                .hint("leave it out"));
        };
        let whose = Whose { is_users, folder: folder.clone(), plugins: context.site.plugins.clone() };
        let settings = context.settings()?;
        let catalogue = Catalogue::read(&whose)?;
        if let Some(name) = &self.remove {
            return remove::run(name, &settings, &catalogue, &whose, self.yes);
        }
        // who names the plugin wants no dialogue
        let asks = self.plugin.is_none();
        if asks && !terminal::is_there() {
            let error = Error::usage("nobody is there to be asked, and no --plugin says how alerts are to be sent");
            return Err(error.hint(format!("one of {}", catalogue.names())));
        }
        let sender = match &self.plugin {
            Some(name) => catalogue.sender(name).ok_or_else(|| no_plugin(name, &catalogue))?,
            None => questions::sender(&catalogue)?,
        };
        let usual = sender.channel.as_ref().map_or(&sender.plugin, |(_, word)| word);
        let Some(keys) = catalogue.keys(&sender.plugin) else { return Err(no_plugin(&sender.plugin, &catalogue)) };
        let name = match &self.name {
            Some(name) => name.clone(),
            None if asks => questions::name(usual, &settings, &whose)?,
            None => usual.clone(),
        };
        let mut draft = self.draft(&name, &sender, keys, &settings, &whose)?;
        loop {
            if asks {
                questions::ask(&mut draft, keys)?;
            }
            match self.put_in_place(&mut draft, keys, &whose, asks)? {
                None => break,
                Some(complaint) if asks => {
                    output::print(&format!("\n{complaint}\n"))?;
                    if !questions::agreed("Change it?", true)? {
                        return Err(Error::config("nothing was put in place")
                            .hint(format!("run `{} setup` again", output::sysalert(whose.is_users))));
                    }
                }
                Some(complaint) => return Err(Error::config(complaint).hint("nothing was put in place")),
            }
        }
        if let Some(origin) = settings.leaves_out(&name) {
            let text = format!("`methods` of [policy] ({origin}) leaves it out: add {name:?} there, or no unit is told of by it");
            output::print(&format!("{text}.\n"))?;
        }
        self.afterwards(&draft, &whose, asks)
    }

    /// What there is already of this method, and what the options say.
    fn draft(&self, name: &str, sender: &Sender, keys: &[Key], settings: &Settings, whose: &Whose) -> Result<Draft> {
        check_name(name)?;
        let plugin = sender.plugin.as_str();
        let path = whose.file(name);
        let mut values = BTreeMap::new();
        if let Some((method, origin)) = settings.methods.get(name).and_then(|method| Some((method, method.origin.as_ref()?))) {
            if *origin.file != *path {
                let text = format!("[method.{name}] stands in {origin}, which is not setup's");
                return Err(Error::config(text).hint("change it there, or give this one another name: --name"));
            }
            if method.plugin == plugin {
                values.extend(method.config.iter().map(|setting| (setting.key.clone(), setting.value.clone())));
            }
        }
        let mut channel = None;
        if let Some((key, word)) = &sender.channel {
            // what another channel had is none of its own
            if values.get(key).is_some_and(|there| there != word) {
                values.clear();
            }
            values.insert(key.clone(), word.as_str().into());
            channel = Some(key.clone());
        }
        let mut draft = Draft { name: name.to_owned(), plugin: plugin.to_owned(), values, secrets: BTreeMap::new(), channel };
        let key = |name: &str| {
            keys.iter().find(|key| key.name == name).ok_or_else(|| {
                let error = Error::usage(format!("the plugin {plugin} has no key {}", name.escape_debug()));
                let near = nearest(name, keys.iter().map(|key| key.name.as_str()));
                error.hint(near.map_or_else(
                    || format!("`sysalert config reference` shows all of [method.{plugin}]"),
                    |near| format!("did you mean {near}?"),
                ))
            })
        };
        for (name, value) in self.set.iter().map(|text| split(text, "--set")).collect::<Result<Vec<_>>>()? {
            let key = key(name)?;
            if key.kind == "secret" {
                let text = format!("{name} is a secret: everybody on this machine sees arguments");
                return Err(Error::usage(text).hint(format!("--secret {name}=FILE, or --secret {name}=- for standard input")));
            }
            draft.values.insert(name.to_owned(), key.value(value).map_err(|why| Error::usage(format!("--set {name}: {why}")))?);
        }
        for (name, place) in self.secret.iter().map(|text| split(text, "--secret")).collect::<Result<Vec<_>>>()? {
            if key(name)?.kind != "secret" {
                return Err(Error::usage(format!("{name} is no secret")).hint(format!("--set {name}=VALUE")));
            }
            draft.secrets.insert(name.to_owned(), secrets::read(name, place)?);
        }
        Ok(draft)
    }

    /// Writes the secrets, and the configuration once it is known to be right; else what is wrong with it.
    fn put_in_place(&self, draft: &mut Draft, keys: &[Key], whose: &Whose, asks: bool) -> Result<Option<String>> {
        let path = whose.file(&draft.name);
        let there = file::there(&path)?;
        let by_hand = there.as_ref().is_some_and(|text| !file::is_setups(text, keys));
        if by_hand && !self.yes {
            let text = format!("{} was changed by hand, and setup would write it anew", path.display());
            if !asks {
                return Err(Error::failure(text).hint("change it there; or --yes, if nothing of it is needed"));
            }
            output::print(&format!("{text}.\n"))?;
            if !questions::agreed("Replace it?", false)? {
                return Err(Error::failure("nothing was changed").hint(format!("change {} by hand", path.display())));
            }
        }
        secrets::store(draft, whose)?;
        let text = file::text(draft, keys);
        if let Some(complaint) = file::complaint(&path, &text, whose)? {
            return Ok(Some(complaint));
        }
        file::write(&path, &text, whose)?;
        output::print(&format!("\nWrote {}.\n", path.display()))?;
        secrets::hand_over(draft, whose)?;
        Ok(None)
    }

    /// The test alert, and the units that are to tell.
    fn afterwards(&self, draft: &Draft, whose: &Whose, asks: bool) -> Result<u8> {
        if whose.is_users {
            let words = ["--user", "--quiet", "enable", "--now", "sysalert-dispatch.path", "sysalert-dispatch.timer"];
            systemctl(&words).map_err(|why| Error::failure(format!("what delivers your alerts cannot be started: {why}")))?;
        }
        let failed = |why: String| Error::failure(format!("sysalert cannot start itself: {why}"));
        let sysalert = output::sysalert(whose.is_users);
        let mut is_well = true;
        // what waits may have waited for this
        for id in waiting(&draft.name, whose) {
            again::run(&whose.words(&["outbox", "retry", &id])).map_err(failed)?;
        }
        if !self.no_test && (!asks || questions::agreed("Send a test alert?", true)?) {
            is_well = again::run(&whose.words(&["test", &draft.name])).map_err(failed)?;
            let said = match is_well {
                true => "Look whether it has arrived.\n".to_owned(),
                false => {
                    format!("`{sysalert} setup` again changes what is wrong; the test alert waits, and goes out once it can.\n")
                }
            };
            output::print(&said)?;
        }
        let question = "Let every service that a timer starts tell its failures?";
        if self.timers || (asks && questions::agreed(question, true)?) {
            is_well &= again::run(&whose.words(&["enable", "--timers"])).map_err(failed)?;
        }
        if asks {
            output::print(&format!(
                "`{sysalert} enable` does the same for other units; `{sysalert} doctor` tells what would keep an alert from arriving.\n"
            ))?;
        }
        Ok(u8::from(!is_well))
    }
}

/// The IDs of the alerts that wait for this method.
fn waiting(method: &str, whose: &Whose) -> Vec<String> {
    let told = again::ask(&whose.words(&["outbox", "list", "-o", "json"])).unwrap_or_default();
    let rows: Vec<Value> = serde_json::from_str(&told).unwrap_or_default();
    rows.iter().filter(|row| row["method"] == method).map(|row| row["id"].to_string()).collect()
}

/// Whose configuration it is, and how this program is called for it.
struct Whose {
    is_users: bool,
    folder: PathBuf,
    plugins: Vec<PathBuf>,
}

impl Whose {
    /// The file that setup writes for a method.
    fn file(&self, name: &str) -> PathBuf {
        self.folder.join("conf.d").join(format!("method-{name}.toml"))
    }

    /// These words for a further process of this program.
    fn words<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        let mut all: Vec<&str> = self.is_users.then_some("--user").into_iter().collect();
        // more than one are the usual ones
        if let [folder] = self.plugins.as_slice() {
            all.extend(folder.to_str().map(|folder| ["--plugin-dir", folder]).into_iter().flatten());
        }
        all.extend(words);
        all
    }
}

fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(Error::usage(format!("{:?} is no name for a method", name)).hint("a-z, 0-9, - and _"))
}

fn split<'a>(text: &'a str, option: &str) -> Result<(&'a str, &'a str)> {
    text.split_once('=').ok_or_else(|| Error::usage(format!("{option} {} has no \"=\"", text.escape_debug())))
}

fn no_plugin(plugin: &str, catalogue: &Catalogue) -> Error {
    let error = Error::usage(format!("there is no plugin {}", plugin.escape_debug()));
    match nearest(plugin, catalogue.senders().iter().map(|(name, _)| name.as_str())) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("one of {}", catalogue.names())),
    }
}
