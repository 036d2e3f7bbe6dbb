//! A coturn that answers nothing but STUN.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::udp::datagram::{DATAGRAM_BYTES, v4};
use crate::udp::stun;

use super::{START_LIMIT, ServerProcess};

/// A free port may be taken between the look and the start; another one is tried so many times.
const PORT_TRIES: u32 = 5;
/// How long a starting server is waited for before it is asked again.
const START_POLL: Duration = Duration::from_millis(20);

/// A running `turnserver` on the loopback, with its files in a directory that goes with it.
#[derive(Debug)]
pub(crate) struct Coturn {
    pub process: ServerProcess,
    pub address: SocketAddr,
    _files: TempDir,
}

impl Coturn {
    /// Starts one with a thread for requests, and with all switched off that a Binding request has no use for. Waits
    /// until it answers.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut last = None;
        for _ in 0..PORT_TRIES {
            let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
            match Self::start_at(address).await {
                Ok(coturn) => return Ok(coturn),
                Err(error) => last = Some(error),
            }
        }
        Err(last.context("no try")?)
    }

    async fn start_at(address: SocketAddr) -> anyhow::Result<Self> {
        let files = tempfile::tempdir()?;
        let path = |option: &str, name: &str| format!("{option}={}", files.path().join(name).display());
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--stun-only", "--relay-threads=1", "--no-rfc5780", "--no-software-attribute"])
            .args(["--no-tcp", "--no-tls", "--no-dtls", "--no-cli", "--no-stdout-log", "--simple-log"])
            .arg(format!("--listening-ip={}", address.ip()))
            .arg(format!("--listening-port={}", address.port()))
            .args([path("--pidfile", "pid"), path("--userdb", "users"), path("--log-file", "log")])
            .current_dir(files.path());
        let process = ServerProcess::start("turnserver", &mut command).context("is coturn installed?")?;
        let mut coturn = Self { process, address, _files: files };
        let deadline = Instant::now() + START_LIMIT;
        while !answers(address).await? {
            coturn.process.check_running()?;
            anyhow::ensure!(Instant::now() < deadline, "turnserver does not answer after {START_LIMIT:?}");
        }
        Ok(coturn)
    }
}

/// Whether a Binding request is answered right.
async fn answers(server: SocketAddr) -> anyhow::Result<bool> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    let own: SocketAddrV4 = v4(socket.local_addr()?)?;
    let mut buffer = [0; DATAGRAM_BYTES];
    // While nobody is there, the kernel says so on the next call.
    let exchange = async {
        socket.send(&stun::request(1)).await?;
        socket.recv(&mut buffer).await
    };
    let started = Instant::now();
    if let Ok(Ok(bytes)) = timeout(START_POLL, exchange).await {
        return Ok(stun::answers(buffer.get(..bytes).unwrap_or_default(), 1, own));
    }
    tokio::time::sleep(START_POLL.saturating_sub(started.elapsed())).await;
    Ok(false)
}
