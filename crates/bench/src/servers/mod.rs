//! The servers that a comparison starts: each a process of its own, stopped when its handle is dropped.

mod child;
mod coturn;
mod matchmaker;
mod redis;
mod tracker;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub(crate) use child::ServerProcess;
pub(crate) use coturn::Coturn;
pub(crate) use matchmaker::{Legacy, Matchmaker};
pub(crate) use redis::Redis;
pub(crate) use tracker::{Store, Tracker};

/// A server that has not started by then will not.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The line that our programs print, with `LOG_FORMAT=json`, for each address that they listen on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Listening {
    message: String,
    service: String,
    addr: SocketAddr,
}

/// The message of such a line.
const LISTENING: &str = "listening";

/// Says where this program listens, as the services do.
pub(crate) fn announce(service: &str, addr: SocketAddr) -> anyhow::Result<()> {
    let line = Listening { message: LISTENING.to_owned(), service: service.to_owned(), addr };
    println!("{}", serde_json::to_string(&line)?);
    std::io::stdout().flush()?;
    Ok(())
}

/// The services' programs are in the directory of this one: measured are the ones built with it.
fn program(name: &str) -> anyhow::Result<PathBuf> {
    let directory = std::env::current_exe().context("finding this program")?;
    let path = directory.parent().unwrap_or(Path::new("/")).join(name);
    anyhow::ensure!(
        path.is_file(),
        "no `{name}` beside this program ({}): build it with `cargo build --release --bin {name}`",
        path.display()
    );
    Ok(path)
}

/// One of this program's own servers, like `bare-http`.
pub(crate) async fn own(command: &str, args: &[&str]) -> anyhow::Result<(ServerProcess, SocketAddr)> {
    let mut own = Command::new(std::env::current_exe().context("finding this program")?);
    own.arg(command).args(args);
    let mut process = ServerProcess::start(command, &mut own)?;
    let address = process.listening(command, START_LIMIT).await?;
    Ok((process, address))
}
