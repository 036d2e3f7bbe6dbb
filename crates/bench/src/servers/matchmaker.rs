//! The real matchmaker, without limits for legacy peers.

use std::net::SocketAddr;
use std::process::Command;

use super::{START_LIMIT, ServerProcess, program};

/// Starts one on a free port of 127.0.0.1, and waits until it listens.
pub(crate) async fn start() -> anyhow::Result<(ServerProcess, SocketAddr)> {
    let mut command = Command::new(program("matchmaker")?);
    // Whatever is set outside must not change what is measured.
    command
        .env_clear()
        .env("MATCHMAKER_LISTEN", "127.0.0.1:0")
        .env("MATCHMAKER_ADMIN_LISTEN", "127.0.0.1:0")
        .env("MATCHMAKER_LEGACY", "on")
        .env("LOG_FORMAT", "json")
        .env("RUST_LOG", "info")
        // A `.env` file where the benchmark happens to be started is none of its business.
        .current_dir("/");
    let mut process = ServerProcess::start("matchmaker", &mut command)?;
    let address = process.listening("matchmaker", START_LIMIT).await?;
    Ok((process, address))
}
