//! What each command does, one file each.

mod files;
mod key;
mod peers;
mod publish;
mod shell;
mod watch;

use crate::cli::{Command, KeyArgs, TrackerArgs};
use crate::failure::Failure;
use crate::identity::Identity;
use crate::tracker::Tracker;

/// Does what the command line asks for.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Key(command) => key::run(&command),
        Command::Publish(command) => publish::run(&command),
        Command::Peers(command) => peers::run(&command),
        Command::Files(command) => files::run(&command),
        Command::Watch(command) => watch::run(&command),
        Command::Completion { shell } => shell::completion(shell),
        Command::Man => shell::manual(),
    }
}

impl TrackerArgs {
    fn tracker(&self, identity: Option<Identity>) -> Result<Tracker, Failure> {
        Tracker::new(&self.tracker, self.server_name.as_deref(), identity)
            .map_err(|error| Failure::Usage(format!("{error:#}")))
    }
}

impl KeyArgs {
    fn identity(&self) -> anyhow::Result<Option<Identity>> {
        self.file.as_deref().map(Identity::read).transpose()
    }
}
