//! The child process that loads a plugin; started by dispatch, not by people.

use std::path::PathBuf;

use clap::Args;

use crate::dispatch::plugin_host;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct PluginHost {
    task: String,
    path: PathBuf,
}

impl PluginHost {
    pub(super) fn run(&self) -> Result<u8> {
        plugin_host::serve(&self.task, &self.path)
            .map_err(|error| Error::failure(format!("cannot talk to sysalert: {error}")))?;
        Ok(0)
    }
}
