//! Where everything is for this process: configuration, state, wake flag, plugins.

use std::path::{Path, PathBuf};

use super::env::{self, Environment};
use super::names;
use crate::error::{Error, Result};
use crate::event::Manager;

/// The options that every command has.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state-dir`
    pub state_dir: Option<PathBuf>,
    /// `--plugin-dir`
    pub plugin_dir: Option<PathBuf>,
    /// `--user`
    pub user: bool,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Site {
    /// Whose units these are.
    pub manager: Manager,
    /// Where the configuration is.
    pub config: ConfigPlace,
    /// The state folder.
    pub state: PathBuf,
    /// True when root makes a missing state folder the user sysalert's.
    pub is_systems: bool,
    /// The flag that wakes dispatch.
    pub flag: PathBuf,
    /// Folders of plugins, first match wins.
    pub plugins: Vec<PathBuf>,
}

/// Where the configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigPlace {
    /// This file alone, and it must be there.
    File(PathBuf),
    /// `sysalert.toml` and then `conf.d/*.toml` in this folder, as far as they are there.
    Folder(PathBuf),
}

const CONFIG: &str = "/etc/sysalert";
const STATE: &str = "/var/lib/sysalert";
const RUNTIME: &str = "/run/sysalert";
const PLUGINS: [&str; 2] = ["/usr/lib/sysalert/plugins", "/usr/local/lib/sysalert/plugins"];
const FLAG: &str = "pending";

impl Site {
    /// Where events wait that the state folder cannot take: the folder of the flag.
    pub fn refuge(&self) -> &Path {
        self.flag.parent().unwrap_or(&self.state)
    }

    /// Finds everything from the options and, as far as it is ours, the environment.
    ///
    /// # Errors
    /// `Usage`, when `--user` has no home to go to.
    pub fn find(options: &Options, environment: Environment) -> Result<Site> {
        let given = options.state_dir.clone().or_else(|| environment.path("SYSALERT_STATE_DIR"));
        let (config, state, runtime) = if options.user { users()? } else { systems(environment) };
        // a state folder of one's own has no path unit that watches over it, so its flag stays inside
        let flag = given.as_ref().map_or_else(|| runtime.join(FLAG), |state| state.join(FLAG));
        let file = options.config.clone().or_else(|| environment.path("SYSALERT_CONFIG"));
        let plugins = options.plugin_dir.clone().or_else(|| environment.path("SYSALERT_PLUGIN_DIR"));
        Ok(Site {
            manager: if options.user { Manager::User(names::user()) } else { Manager::System },
            config: file.map_or(ConfigPlace::Folder(config), ConfigPlace::File),
            is_systems: given.is_none() && state == Path::new(STATE),
            state: given.unwrap_or(state),
            flag,
            plugins: plugins.map_or_else(|| PLUGINS.map(PathBuf::from).to_vec(), |folder| vec![folder]),
        })
    }
}

fn systems(environment: Environment) -> (PathBuf, PathBuf, PathBuf) {
    // a unit may set StateDirectory=sysalert; with several, systemd joins them by colons
    let state = environment.folder("STATE_DIRECTORY").filter(|path| !path.to_string_lossy().contains(':'));
    (CONFIG.into(), state.unwrap_or_else(|| STATE.into()), RUNTIME.into())
}

/// A user's units have the environment of their manager, and nothing to gain by another one.
fn users() -> Result<(PathBuf, PathBuf, PathBuf)> {
    let home = || {
        env::folder("HOME").ok_or_else(|| {
            Error::usage("--user needs a home: HOME is not set").hint("run it as the user whose units it is about")
        })
    };
    let below_home =
        |variable: &str, default: &str| env::folder(variable).map_or_else(|| home().map(|home| home.join(default)), Ok);
    let state = below_home("XDG_STATE_HOME", ".local/state")?.join("sysalert");
    // without a runtime folder there is no user manager whose path unit could see the flag
    let runtime = env::folder("XDG_RUNTIME_DIR").map_or_else(|| state.clone(), |folder| folder.join("sysalert"));
    Ok((below_home("XDG_CONFIG_HOME", ".config")?.join("sysalert"), state, runtime))
}
