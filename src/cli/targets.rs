//! What `enable` and `disable` share: which units are meant, and where their drop-ins lie.

use std::time::Duration;

use clap::Args;
use wildmatch::WildMatch;

use super::context::Context;
use super::output;
use crate::error::{Error, Result};
use crate::event::{Manager, UnitName};
use crate::host::dropins::{DropIns, Scope};
use crate::host::log;
use crate::host::manager::{ServiceManager, systemctl};

/// systemd may be busy with a boot, and reads thousands of files at a reload.
const PATIENCE: Duration = Duration::from_secs(90);

/// The folder `service.d` is for all services.
pub(super) const ALL_SERVICES: &str = "service";

/// What stands for a unit, or for all, in a table.
pub(super) fn shown(unit: &str) -> String {
    if unit == ALL_SERVICES { "every service".to_owned() } else { unit.to_owned() }
}

/// Where the drop-ins lie, and who is told.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// For the units of all users' own service managers: /etc/systemd/user
    #[arg(long)]
    global: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask systemd and do not let it reload, as in an image that is being built
    #[arg(long)]
    offline: bool,
}

/// The drop-ins, and the manager whose units they are for.
pub(super) struct Opened {
    pub(super) scope: Scope,
    pub(super) drop_ins: DropIns,
    /// Whom to ask about units; nobody, offline and for all users at once.
    pub(super) manager: Option<ServiceManager>,
    pub(super) offline: bool,
}

impl Place {
    pub(super) fn open(&self, context: &Context) -> Result<Opened> {
        let scope = match (&context.site.manager, self.global) {
            (Manager::System, false) => Scope::System,
            (Manager::System, true) => Scope::Global,
            (Manager::User(_), false) => Scope::User,
            (Manager::User(_), true) => {
                return Err(Error::usage("--user is for yourself, --global for all users: use one of them"));
            }
        };
        let drop_ins = DropIns::open(scope.folder()?)?;
        let asks = !self.offline && scope != Scope::Global;
        let manager = asks.then(|| ServiceManager::new(scope == Scope::User, PATIENCE));
        Ok(Opened { scope, drop_ins, manager, offline: self.offline })
    }
}

impl Opened {
    /// The manager, where its word is needed.
    pub(super) fn asked(&mut self, what_for: &str) -> Result<&mut ServiceManager> {
        let text = format!("{what_for} only systemd can tell, and nobody asks it with --offline or --global");
        self.manager.as_mut().ok_or_else(|| Error::usage(text).hint("name the units instead"))
    }

    /// Lets systemd read what was written. What cannot be done is told: nothing that was written is undone.
    pub(super) fn reload(&mut self) -> bool {
        if self.offline {
            return true;
        }
        let reloaded = output::waiting_for("systemd reads its units", || match &mut self.manager {
            Some(manager) => manager.reload(),
            None => ServiceManager::new(false, PATIENCE).reload_users(),
        });
        if let Err(why) = &reloaded {
            let how = match self.scope {
                Scope::System => "systemctl daemon-reload",
                Scope::User => "systemctl --user daemon-reload",
                Scope::Global => "each user logs out, or runs systemctl --user daemon-reload",
            };
            log::warn(None, &format!("systemd has not read what was written ({why}): {how}"));
        }
        reloaded.is_ok()
    }

    /// Switches on or off what delivers the alerts of users, and what looks at units that never trigger; the system's is switched
    /// on by its installation.
    pub(super) fn deliver(&self, on: bool) {
        let (whose, now) = match self.scope {
            Scope::System => return,
            Scope::User => ("--user", !self.offline),
            Scope::Global => ("--global", false),
        };
        let mut words = vec![whose, "--quiet", if on { "enable" } else { "disable" }];
        words.extend(now.then_some("--now"));
        // the check first: each of its runs wants the path unit
        words.extend(["sysalert-check@services.timer", "sysalert-dispatch.path", "sysalert-dispatch.timer"]);
        if let Err(why) = systemctl(&words) {
            let what =
                if on { "alerts wait until the units that deliver them run" } else { "the units that deliver alerts still run" };
            log::warn(None, &format!("{what}: systemctl {} ({why})", words.join(" ")));
        }
    }
}

/// A name as it was typed: of one unit, or of several.
pub(super) enum Typed {
    One(UnitName),
    Glob(WildMatch),
}

impl Typed {
    pub(super) fn parse(text: &str) -> Result<Typed> {
        if !text.contains(['*', '?']) {
            return UnitName::typed(text).map(Typed::One);
        }
        // as for systemctl, a name without a type is a service's
        let last = text.rsplit('.').next().unwrap_or_default();
        let has_type = last.contains(['*', '?'])
            || UnitName::typed(&format!("a.{last}")).is_ok_and(|name| name.as_str().len() == last.len() + 2);
        let glob = if has_type && text.contains('.') { text.to_owned() } else { format!("{text}.service") };
        Ok(Typed::Glob(WildMatch::new(&glob)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_without_a_type_is_for_services() {
        let matches = |glob: &str, name: &str| matches!(Typed::parse(glob), Ok(Typed::Glob(glob)) if glob.matches(name));
        assert!(matches("backup-*", "backup-db.service") && !matches("backup-*", "backup-db.timer"));
        assert!(matches("*.mount", "data.mount") && !matches("*.mount", "data.service"));
        assert!(matches("a.b*", "a.b.service") && matches("*", "a.service"));
        assert!(matches("db.*", "db.socket") && matches("c?.v1", "c1.v1.service"));
        assert!(matches!(Typed::parse("backup"), Ok(Typed::One(name)) if name.as_str() == "backup.service"));
        assert!(Typed::parse("a b").is_err());
    }
}
