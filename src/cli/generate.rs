//! `sysalert generate man|completions`: the manual's pages and the shells' completions, from the program's own definitions.

mod man;
mod roff;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};

use super::context::Context;
use super::output;
use crate::error::{Error, Result};

const MAN_EXAMPLES: &str = "\
Examples:
  sysalert generate man | man -l -                  sysalert(1), to read
  sysalert generate man --out /usr/local/share/man  every page, where man finds it";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(sysalert generate completions bash)      for this shell
  sysalert generate completions fish >~/.config/fish/completions/sysalert.fish

An installation has them in place for all three shells.";

#[derive(Debug, Subcommand)]
pub(super) enum Generate {
    /// Print sysalert(1), or write every page of the manual
    Man(Man),
    /// Print what lets a shell complete units, methods, options and the like
    Completions(Completions),
}

#[derive(Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(super) struct Man {
    /// Write every page below this folder, in man1, man3, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_EXAMPLES)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Generate {
    pub(super) fn run(&self, context: &Context) -> Result<u8> {
        match self {
            Generate::Man(man) => man.run(context),
            Generate::Completions(completions) => output::print(match completions.shell {
                Shell::Bash => include_str!("generate/complete.bash"),
                Shell::Zsh => include_str!("generate/complete.zsh"),
                Shell::Fish => include_str!("generate/complete.fish"),
            }),
        }
        .map(|()| 0)
    }
}

impl Man {
    fn run(&self, context: &Context) -> Result<()> {
        let Some(folder) = &self.out else { return output::print(&man::sysalert()) };
        // opened by whoever may write there: afterwards root is the owner of the state, for plugins are foreign code
        let mut files = man::NAMES.map(|name| create(folder, name));
        context.enter()?;
        for (file, name) in files.iter_mut().zip(man::NAMES) {
            let (path, file) = file.as_mut().map_err(|error| error.clone())?;
            let text = man::page(name, &context.site);
            file.write_all(text.as_bytes()).map_err(|error| Error::file("write", path, &error))?;
        }
        Ok(())
    }
}

/// Opens the file of a page, in the folder of its section.
fn create(folder: &Path, name: &str) -> Result<(PathBuf, File)> {
    let folder = folder.join(format!("man{}", name.rsplit('.').next().unwrap_or_default()));
    fs::create_dir_all(&folder).map_err(|error| Error::file("make", &folder, &error))?;
    let path = folder.join(name);
    File::create(&path).map(|file| (path.clone(), file)).map_err(|error| Error::file("write", &path, &error))
}
