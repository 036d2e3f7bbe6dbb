//! The real matchmaker.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;

use crate::http::connection::get;

use super::{Redis, START_LIMIT, ServerProcess, program};

/// The matchmaker counts its registrations once a second.
const COUNT_LIMIT: Duration = Duration::from_secs(10);
const COUNT_POLL: Duration = Duration::from_millis(20);

/// What it does with legacy peers, which all peers of this program are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Legacy {
    /// Answers all of them
    On,
    /// Answers within its default limits, here also for the loopback
    Limited,
}

/// A running matchmaker on free ports of 127.0.0.1, ended when it is dropped.
#[derive(Debug)]
pub(crate) struct Matchmaker {
    pub process: ServerProcess,
    pub address: SocketAddr,
    admin: SocketAddr,
}

impl Matchmaker {
    /// Starts one with room for so many registrations, and waits until it listens.
    pub(crate) async fn start(legacy: Legacy, max_clients: u32) -> anyhow::Result<Self> {
        Self::start_on(None, legacy, max_clients).await
    }

    /// The same, with a Redis over which it meets others, where there is one.
    pub(crate) async fn start_on(
        redis: Option<&Redis>,
        legacy: Legacy,
        max_clients: u32,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program("matchmaker")?);
        let legacy = match legacy {
            Legacy::On => "on",
            Legacy::Limited => "limited",
        };
        // Whatever is set outside must not change what is measured.
        command
            .env_clear()
            .env("MATCHMAKER_LISTEN", "127.0.0.1:0")
            .env("MATCHMAKER_ADMIN_LISTEN", "127.0.0.1:0")
            .env("MAX_CLIENTS", max_clients.to_string())
            .env("MATCHMAKER_LEGACY", legacy)
            .env("MATCHMAKER_LIMIT_LOOPBACK", "on")
            .env("LOG_FORMAT", "json")
            .env("RUST_LOG", "info")
            // A `.env` file where the benchmark happens to be started is none of its business.
            .current_dir("/");
        if let Some(redis) = redis {
            command.env("REDIS_URL", redis.url()).env("MATCHMAKER_NODES", "on");
        }
        let mut process = ServerProcess::start("matchmaker", &mut command)?;
        let address = process.listening("matchmaker", START_LIMIT).await?;
        let admin = process.listening("matchmaker-admin", START_LIMIT).await?;
        Ok(Self { process, address, admin })
    }

    /// A figure of its `/metrics`, by its name with its labels.
    pub(crate) async fn figure(&self, name: &str) -> anyhow::Result<u64> {
        let (status, text) = get(self.admin, "/metrics").await?;
        anyhow::ensure!(status == 200, "/metrics was answered with {status}");
        figure(&text, name).with_context(|| format!("/metrics has no {name}"))
    }

    /// Registrations that it keeps, as of some moment of the last second.
    pub(crate) async fn registrations(&self) -> anyhow::Result<u64> {
        self.figure("matchmaker_registrations").await
    }

    /// Waits until it says that it keeps at least so many.
    pub(crate) async fn await_registrations(&self, least: u32) -> anyhow::Result<()> {
        let deadline = Instant::now() + COUNT_LIMIT;
        loop {
            let count = self.registrations().await?;
            if count >= u64::from(least) {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "{count} of {least} registrations are kept");
            tokio::time::sleep(COUNT_POLL).await;
        }
    }
}

/// The value in the line of a Prometheus text that begins with `name` and a blank.
fn figure(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_found_by_its_whole_name_with_its_labels() {
        let text = "# HELP matchmaker_registrations Registrations kept now.\n\
                    matchmaker_registrations_more 1\nmatchmaker_registrations 100128\n\
                    matchmaker_datagrams_total{outcome=\"registered\"} 7\n";
        assert_eq!(figure(text, "matchmaker_registrations"), Some(100_128));
        assert_eq!(figure(text, r#"matchmaker_datagrams_total{outcome="registered"}"#), Some(7));
        assert_eq!(figure(text, "matchmaker"), None);
    }
}
