//! A Redis of our own, with the persistence of the container's `redis.conf`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{START_LIMIT, ServerProcess};

/// A free port may be taken between the look and the start; another one is tried so many times.
const PORT_TRIES: u32 = 5;
/// How often a starting server is asked.
const START_POLL: Duration = Duration::from_millis(2);
/// How long it may take to save what a measurement has filled in.
const SAVE_LIMIT: Duration = Duration::from_mins(5);
/// How often it is asked whether it still saves.
const SAVE_POLL: Duration = Duration::from_millis(100);
/// Longest `INFO` that is read.
const INFO_BYTES: usize = 64 * 1024;

/// A running `redis-server` on the loopback.
#[derive(Debug)]
pub(crate) struct Redis {
    process: ServerProcess,
    address: SocketAddr,
}

impl Redis {
    /// Starts one that keeps its data in `directory`, and waits until it has loaded what is there.
    pub(crate) async fn start(directory: &Path) -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..PORT_TRIES {
            let address = free_address()?;
            match Self::start_at(directory, address).await {
                Ok(redis) => return Ok(redis),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no try")?)
    }

    async fn start_at(directory: &Path, address: SocketAddr) -> anyhow::Result<Self> {
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &address.port().to_string(), "--bind", &address.ip().to_string()])
            .args(["--save", "900 1 300 10 60 10000", "--appendonly", "yes", "--appendfsync", "everysec"])
            .arg("--dir")
            .arg(directory);
        let process =
            ServerProcess::start("redis-server", &mut command).context("is redis-server installed?")?;
        let mut redis = Self { process, address };
        let deadline = Instant::now() + START_LIMIT;
        loop {
            redis.process.check_running()?;
            if redis.is_loaded().await {
                return Ok(redis);
            }
            anyhow::ensure!(Instant::now() < deadline, "redis-server is not ready after {START_LIMIT:?}");
            tokio::time::sleep(START_POLL).await;
        }
    }

    /// Whether it is this process that answers, with all its data in memory.
    async fn is_loaded(&self) -> bool {
        let Ok(info) = info(self.address).await else { return false };
        field(&info, "process_id") == Some(&self.pid().to_string()) && field(&info, "loading") == Some("0")
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The `REDIS_URL` of it.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Memory that its data takes by its own count, in bytes.
    pub(crate) async fn used_memory(&self) -> anyhow::Result<u64> {
        let info = info(self.address).await?;
        Ok(field(&info, "used_memory").context("INFO has no used_memory")?.parse()?)
    }

    /// Calls of each command so far, those that scripts made among them.
    pub(crate) async fn calls(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        Ok(calls_in(&section(self.address, "commandstats").await?))
    }

    /// CPU time of its main thread and its threads of I/O so far, without what it forked.
    pub(crate) async fn cpu(&self) -> anyhow::Result<Duration> {
        let info = section(self.address, "cpu").await?;
        let mut sum = Duration::ZERO;
        for name in ["used_cpu_user", "used_cpu_sys"] {
            sum += Duration::from_secs_f64(field(&info, name).context("INFO has no CPU time")?.parse()?);
        }
        Ok(sum)
    }

    /// Bytes that it received and sent so far.
    pub(crate) async fn wire(&self) -> anyhow::Result<(u64, u64)> {
        let info = section(self.address, "stats").await?;
        let read = |name| anyhow::Ok(field(&info, name).context("INFO has no bytes")?.parse()?);
        Ok((read("total_net_input_bytes")?, read("total_net_output_bytes")?))
    }

    /// Gives each key this value.
    pub(crate) async fn set(&self, keys: &[String], value: &str) -> anyhow::Result<()> {
        let mut stream = TcpStream::connect(self.address).await?;
        for keys in keys.chunks(1_000) {
            let commands: Vec<String> = keys.iter().map(|key| format!("SET {key} {value}\r\n")).collect();
            stream.write_all(commands.concat().as_bytes()).await?;
            let mut answers = vec![0; keys.len() * b"+OK\r\n".len()];
            stream.read_exact(&mut answers).await?;
        }
        Ok(())
    }

    /// Has it save now what it would save in a while, and waits for that: what is measured then has the machine to itself.
    pub(crate) async fn settle(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + SAVE_LIMIT;
        let mut asked = false;
        loop {
            let info = info(self.address).await?;
            let saves = ["rdb_bgsave_in_progress", "aof_rewrite_in_progress", "aof_rewrite_scheduled"]
                .iter()
                .any(|name| field(&info, name) != Some("0"));
            if !saves {
                if asked {
                    return Ok(());
                }
                let mut stream = TcpStream::connect(self.address).await?;
                stream.write_all(b"BGSAVE\r\nQUIT\r\n").await?;
                let mut reply = String::new();
                stream.read_to_string(&mut reply).await?;
                anyhow::ensure!(reply.starts_with('+'), "Redis refuses BGSAVE: {}", reply.trim());
                asked = true;
            }
            anyhow::ensure!(Instant::now() < deadline, "redis-server still saves after {SAVE_LIMIT:?}");
            tokio::time::sleep(SAVE_POLL).await;
        }
    }

    /// Ends it as a supervisor would. It saves its data first, where that is due.
    pub(crate) async fn terminate(self, limit: Duration) -> anyhow::Result<()> {
        let (status, _) = self.process.terminate(limit).await?;
        anyhow::ensure!(status.success(), "redis-server ended with {status}");
        Ok(())
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The text of `INFO`.
async fn info(address: SocketAddr) -> anyhow::Result<String> {
    section(address, "").await
}

/// The text of `INFO` with one section of it, all of the usual ones where it has no name.
async fn section(address: SocketAddr, name: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("INFO {name}\r\n").as_bytes()).await?;
    let mut reply = Vec::new();
    loop {
        if let Some(text) = bulk_string(&reply) {
            return Ok(text);
        }
        anyhow::ensure!(reply.len() < INFO_BYTES && !reply.starts_with(b"-"), "Redis refuses INFO");
        anyhow::ensure!(stream.read_buf(&mut reply).await? > 0, "Redis closed the connection");
    }
}

/// A whole RESP bulk string: `$LENGTH\r\n...\r\n`.
fn bulk_string(reply: &[u8]) -> Option<String> {
    let text = str::from_utf8(reply).ok()?;
    let (length, rest) = text.strip_prefix('$')?.split_once("\r\n")?;
    rest.get(..length.parse().ok()?).map(str::to_owned)
}

/// The calls in lines such as `cmdstat_zadd:calls=12,usec=34,...`; those of subcommands are under their command.
fn calls_in(info: &str) -> BTreeMap<String, u64> {
    let read = |line: &str| -> Option<(String, u64)> {
        let (name, figures) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let calls = figures.split_once(',').map_or(figures, |(calls, _)| calls);
        Some((name.split('|').next()?.to_owned(), calls.trim().parse().ok()?))
    };
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    for (name, count) in info.lines().filter_map(read) {
        *calls.entry(name).or_default() += count;
    }
    calls
}

/// A line `name:value` of `INFO`.
fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn a_bulk_string_is_awaited_until_its_end() {
        assert_eq!(bulk_string(b"$5\r\nhel"), None);
        assert_eq!(bulk_string(b"$5\r\nhello\r\n"), Some("hello".to_owned()));
        assert_eq!(bulk_string(b"-ERR no\r\n"), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:1048576\r\n";
        assert_eq!(field(info, "used_memory"), Some("1048576"));
        assert_eq!(field(info, "memory"), None);
    }

    #[test]
    fn calls_are_read_by_command() {
        let info = "# Commandstats\r\ncmdstat_zadd:calls=12,usec=34\r\ncmdstat_config|get:calls=2,usec=1\r\n\
                    cmdstat_config|set:calls=3,usec=1\r\n";
        let calls = calls_in(info);
        assert_eq!((calls.get("zadd"), calls.get("config"), calls.len()), (Some(&12), Some(&5), 2));
    }

    #[tokio::test]
    async fn a_redis_counts_what_it_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let redis = Redis::start(directory.path()).await.unwrap();
        let before = redis.wire().await.unwrap();
        redis.set(&["a".to_owned(), "b".to_owned()], "1").await.unwrap();
        assert_eq!(redis.calls().await.unwrap().get("set"), Some(&2));
        let after = redis.wire().await.unwrap();
        assert!(after.0 >= before.0 + 22 && after.1 >= before.1 + 10, "{before:?} {after:?}");
        assert!(redis.cpu().await.unwrap() > Duration::ZERO);
    }

    #[tokio::test]
    async fn a_started_redis_tells_its_memory_saves_and_ends_when_asked() {
        let directory = tempfile::tempdir().unwrap();
        let redis = Redis::start(directory.path()).await.unwrap();
        assert!(redis.used_memory().await.unwrap() > 100_000);
        redis.settle().await.unwrap();
        assert!(directory.path().join("dump.rdb").is_file(), "it has saved");
        redis.terminate(Duration::from_secs(10)).await.unwrap();
    }
}
