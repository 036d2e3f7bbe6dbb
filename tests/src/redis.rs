//! A real `redis-server` that belongs to one test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::deadline::{PATIENCE, eventually};
use crate::ports::free_port;
use crate::resp::{self, Reply};

/// A Redis, or the place where one will be.
#[derive(Debug)]
pub struct RedisServer {
    address: SocketAddr,
    folder: TempDir,
    /// A file that comes before the options, in the folder.
    config: Option<PathBuf>,
    options: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// An address with no Redis behind it yet, which will keep everything in memory.
    pub fn reserved() -> Self {
        Self::with_options(&["--save", "", "--appendonly", "no"])
    }

    /// As [`reserved`](Self::reserved), but with the append-only file of `redis.conf`.
    pub fn reserved_durable() -> Self {
        Self::with_options(&["--save", "", "--appendonly", "yes", "--appendfsync", "everysec"])
    }

    /// One that also speaks TLS, on a port of its own, with this certificate and key. Gives that port too.
    pub fn start_new_with_tls(certificate: &Path, key: &Path) -> (Self, u16) {
        Self::start_with_tls(Self::reserved(), certificate, key)
    }

    /// A Cluster of one, with all slots, that also speaks TLS. Gives the port of that too.
    pub fn start_cluster_of_one_with_tls(certificate: &Path, key: &Path) -> (Self, u16) {
        let mut server = Self::reserved();
        server.add_options(&["--cluster-enabled", "yes", "--cluster-port", &free_port().to_string()]);
        // Else it names its other port to all.
        server.add_options(&["--tls-cluster", "yes"]);
        let started = Self::start_with_tls(server, certificate, key);
        started.0.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        eventually(PATIENCE, "the Cluster is ok", || {
            let info = started.0.command(&["CLUSTER", "INFO"]);
            matches!(info, Reply::Text(info) if info.contains("cluster_state:ok")).then_some(())
        });
        started
    }

    /// A Sentinel with these settings that speaks TLS, to its master too. Gives the port of that.
    pub fn start_sentinel_with_tls(config: &str, certificate: &Path, key: &Path) -> (Self, u16) {
        let mut server = Self::sentinel(config);
        server.add_options(&["--tls-replication", "yes"]);
        Self::start_with_tls(server, certificate, key)
    }

    fn start_with_tls(mut server: Self, certificate: &Path, key: &Path) -> (Self, u16) {
        let tls_port = free_port();
        for (option, value) in [
            ("--tls-port", tls_port.to_string()),
            ("--tls-cert-file", certificate.display().to_string()),
            ("--tls-key-file", key.display().to_string()),
            ("--tls-ca-cert-file", certificate.display().to_string()),
            ("--tls-auth-clients", "no".to_owned()),
        ] {
            server.options.extend([option.to_owned(), value]);
        }
        server.start();
        (server, tls_port)
    }

    /// A Sentinel with these settings, running.
    pub(crate) fn start_sentinel(config: &str) -> Self {
        let mut server = Self::sentinel(config);
        server.start();
        server
    }

    fn sentinel(config: &str) -> Self {
        let mut server = Self::with_options(&["--sentinel"]);
        let file = server.folder.path().join("sentinel.conf");
        // It is written to by the Sentinel, too.
        fs::write(&file, config).expect("the folder is writable");
        server.config = Some(file);
        server
    }

    pub(crate) fn with_options(options: &[&str]) -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
            folder: tempfile::Builder::new()
                .prefix("black-box-redis-")
                .tempdir()
                .expect("a temporary folder"),
            config: None,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            child: None,
        }
    }

    pub(crate) fn add_options(&mut self, options: &[&str]) {
        self.options.extend(options.iter().map(|option| (*option).to_owned()));
    }

    /// A running Redis that keeps everything in memory.
    pub fn start_new() -> Self {
        let mut server = Self::reserved();
        server.start();
        server
    }

    /// Starts it, and waits until it answers.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::File::create(self.folder.path().join("log")).expect("the folder is writable");
        let child = Command::new("redis-server")
            .args(&self.config)
            .args(["--port", &self.address.port().to_string(), "--bind", &self.address.ip().to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .args(["--daemonize", "no"])
            .args(&self.options)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::inherit())
            .spawn()
            .expect("redis-server is installed: tests/run does that");
        self.child = Some(child);
        eventually(PATIENCE, "redis-server answers PING", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().expect("our child"));
            assert!(ended.is_none(), "redis-server ended with {ended:?}:\n{}", self.log());
            matches!(resp::command(self.address, &["PING"]), Ok(Reply::Text(pong)) if pong == "PONG")
                .then_some(())
        });
    }

    /// Where it is, or will be.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for `REDIS_URL`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sends a command. Panics where Redis refuses it.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Reply {
        match resp::command(self.address, words).expect("redis-server answers") {
            Reply::Error(error) => panic!("{words:?}: {error}"),
            reply => reply,
        }
    }

    /// Whether it was started and has not been killed.
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Freezes it: connections stay open, answers stay away.
    pub fn stop(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Thaws it.
    pub fn cont(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Ends it as a crash would.
    pub fn kill9(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("our child");
        child.wait().expect("our child");
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        let id = i32::try_from(id).expect("process ids are small");
        signal::kill(Pid::from_raw(id), signal).expect("the signal is sent");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails only where it has ended already. A frozen process dies of this too.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
