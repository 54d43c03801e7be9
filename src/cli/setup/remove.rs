//! `sysalert setup --remove NAME`: takes back what setup wrote for a method.

use std::collections::BTreeMap;

use super::key::Catalogue;
use super::{Draft, Whose, check_name, file, secrets, waiting};
use crate::cli::context::no_method;
use crate::cli::output;
use crate::error::{Error, Result};
use crate::settings::Settings;

pub(super) fn run(name: &str, settings: &Settings, catalogue: &Catalogue, whose: &Whose, yes: bool) -> Result<u8> {
    check_name(name)?;
    let path = whose.file(name);
    let Some(method) = settings.methods.get(name) else { return Err(no_method(name, settings)) };
    let Some(text) = file::there(&path)? else {
        let place = method.origin.as_ref().map_or_else(|| "nowhere".to_owned(), ToString::to_string);
        return Err(Error::config(format!("[method.{name}] stands in {place}, which is not setup's")).hint("take it out there"));
    };
    if let Some(origin) = settings.names_method(name) {
        let text = format!("{origin} names the method {name}: without it the configuration would not be valid");
        return Err(Error::config(text).hint("take it out there first"));
    }
    let keys = catalogue.keys(&method.plugin).unwrap_or_default();
    if !yes && !file::is_setups(&text, keys) {
        let text = format!("{} was changed by hand", path.display());
        return Err(Error::failure(text).hint("--yes, if nothing of it is needed"));
    }
    file::remove(&path)?;
    let draft = Draft {
        name: name.to_owned(),
        plugin: method.plugin.clone(),
        values: BTreeMap::new(),
        secrets: BTreeMap::new(),
        channel: None,
    };
    secrets::hand_over(&draft, whose)?;
    secrets::remove(name, keys, whose)?;
    output::print(&format!("Removed {}, and the secrets that setup kept for it.\n", path.display()))?;
    let sysalert = output::sysalert(whose.is_users);
    for id in waiting(name, whose) {
        output::print(&format!("An alert waits for it: `{sysalert} outbox drop {id}` gives it up.\n"))?;
    }
    Ok(0)
}
