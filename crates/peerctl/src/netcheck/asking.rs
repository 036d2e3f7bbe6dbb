use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use peer_core::datagram::v2::{LanAddrs, Register, Reply, Request, Status, Tid, Token};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Larger than any datagram of ours, in bytes.
pub(super) const DATAGRAM_MAX_BYTES: usize = 2_048;
/// Waits for an answer, each after the request was sent once more (RFC 8489 section 6.2.1 doubles them likewise).
const WAITS_MS: [u64; 4] = [500, 500, 1_000, 2_000];

/// A socket that asks one server.
#[derive(Debug)]
pub(super) struct Asker {
    socket: UdpSocket,
    server: SocketAddr,
    local: SocketAddr,
}

/// What the server says of a socket.
#[derive(Debug)]
pub(super) struct Registered {
    pub(super) address: SocketAddr,
    pub(super) token: Token,
    pub(super) status: Status,
}

impl Asker {
    pub(super) async fn bind(server: SocketAddr) -> anyhow::Result<Self> {
        let socket = super::bind(server).await?;
        let ip = super::source(server).await.with_context(|| format!("there is no way to {server}"))?;
        let local = SocketAddr::new(ip, socket.local_addr()?.port());
        Ok(Self { socket, server, local })
    }

    /// Our address on this host.
    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(super) fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Registers in the two steps of docs/PROTOCOL.md.
    pub(super) async fn register(&self) -> anyhow::Result<Registered> {
        let mut token = None;
        for _ in 0..2 {
            let register =
                |tid| Request::Register(Register { tid, token, id: None, sig: None, lan: LanAddrs::EMPTY });
            match self.ask(register).await? {
                Reply::YourAddr(said) if said.status == Status::Verify => token = Some(said.token),
                Reply::YourAddr(said) => {
                    return Ok(Registered { address: said.addr, token: said.token, status: said.status });
                }
                other => bail!("the matchmaker at {} does not register us: {other:?}", self.server),
            }
        }
        bail!("the matchmaker at {} does not take its own token", self.server)
    }

    /// Has the server forget this socket. Where no answer comes it forgets it by itself.
    pub(super) async fn unregister(&self, registered: &Registered) {
        let token = registered.token;
        let _ = self.ask(|tid| Request::Unregister { tid, token }).await;
    }

    /// Asks the server.
    pub(super) async fn ask(&self, request: impl Fn(Tid) -> Request) -> anyhow::Result<Reply> {
        self.ask_at(self.server, request).await
    }

    /// Asks another port of it.
    pub(super) async fn ask_at(
        &self,
        to: SocketAddr,
        request: impl Fn(Tid) -> Request,
    ) -> anyhow::Result<Reply> {
        let tid = new_tid()?;
        let mut datagram = Vec::new();
        request(tid).encode(&mut datagram);
        for wait_ms in WAITS_MS {
            self.socket
                .send_to(&datagram, to)
                .await
                .with_context(|| format!("nothing can be sent to {to}"))?;
            if let Ok(reply) = timeout(Duration::from_millis(wait_ms), self.answer(to, tid)).await {
                return Ok(reply);
            }
        }
        Err(anyhow!("the matchmaker at {to} does not answer in version 2"))
    }

    async fn answer(&self, from: SocketAddr, tid: Tid) -> Reply {
        let mut buffer = vec![0; DATAGRAM_MAX_BYTES];
        loop {
            // An error is of a datagram that was sent before.
            let Ok((length, source)) = self.socket.recv_from(&mut buffer).await else { continue };
            let reply = Reply::decode(buffer.get(..length).unwrap_or_default());
            if let Ok(reply) = reply
                && source == from
                && reply.tid() == Some(tid)
            {
                return reply;
            }
        }
    }
}

/// A name for a request that nobody can guess.
pub(super) fn new_tid() -> anyhow::Result<Tid> {
    let random =
        getrandom::u64().map_err(|error| anyhow!("the operating system gives no random bytes: {error}"))?;
    format!("{random:016x}").parse().map_err(|_| anyhow!("16 digits are a name for a request"))
}
