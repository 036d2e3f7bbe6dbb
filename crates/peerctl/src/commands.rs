//! What each command does, one file each.

mod connect;
mod fetch;
mod files;
mod key;
mod netcheck;
mod peers;
mod publish;
mod serve;
mod shell;
mod wait;
mod watch;

use std::future::Future;

use anyhow::Context as _;

use crate::cli::{Command, KeyArgs, TrackerArgs};
use crate::failure::{Failure, OrHint as _};
use crate::identity::{Identity, KeyError};
use crate::tracker::{Tracker, TrackerError};

/// Does what the command line asks for.
pub fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Key(command) => key::run(&command),
        Command::Publish(command) => publish::run(&command),
        Command::Peers(command) => peers::run(&command),
        Command::Files(command) => files::run(&command),
        Command::Watch(command) => watch::run(&command),
        Command::Netcheck(command) => on_runtime(netcheck::run(&command)),
        Command::Serve(command) => on_runtime(serve::run(&command)),
        Command::Fetch(command) => on_runtime(fetch::run(&command)),
        Command::Connect(command) => on_runtime(connect::run(&command)),
        Command::Wait(command) => on_runtime(wait::run(&command)),
        Command::Completions(command) => shell::completions(&command),
        Command::Man(command) => shell::manual(&command),
    }
}

fn on_runtime(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new()
        .context("no threads")
        .or_hint("this user may have no more threads or open files: ulimit -u, ulimit -n")?;
    let done = runtime.block_on(command);
    // A thread that waits for a line of stdin would hold up the end.
    runtime.shutdown_background();
    done
}

/// Until somebody wants us to end.
async fn interrupted() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

impl TrackerArgs {
    fn tracker(&self, identity: Option<Identity>) -> Result<Tracker, TrackerError> {
        Tracker::new(&self.tracker, self.server_name.as_deref(), identity)
    }
}

impl KeyArgs {
    fn identity(&self) -> Result<Option<Identity>, KeyError> {
        self.file.as_deref().map(Identity::read).transpose()
    }
}
