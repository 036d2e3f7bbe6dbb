use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use peer_core::PeerId;
use peer_core::datagram::v2::{NatKind, Target};
use tokio::sync::{mpsc, oneshot, watch};

use crate::datagrams::Datagrams;
use crate::driver::{Command, Driver, Shared};
use crate::error::{BindError, ConnectError};
use crate::machine::{Machine, Settings, Standing};
use crate::queue::Queue;
use crate::sockets::Sockets;
use crate::{Config, Path, lan};

/// Connects and closes that wait for the driver at most.
const COMMANDS_MAX: usize = 64;
/// Datagrams that wait to be taken by another protocol at most.
const DATAGRAMS_MAX: usize = 4_096;
/// Paths that wait to be accepted at most; with more, those that come are closed.
const ACCEPTS_MAX: usize = 64;

/// A peer that is registered with a matchmaker, and stays so until it is closed or its last clone is dropped.
#[derive(Debug, Clone)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    standing: watch::Receiver<Standing>,
    id: Option<PeerId>,
    shared: Arc<Shared>,
}

impl Client {
    /// Makes a socket, registers from it, and finds out the kind of NAT where the server can tell. To be called within a
    /// tokio runtime, on which a task serves the client from then on.
    pub async fn bind(config: Config) -> Result<Self, BindError> {
        let mut seed = [0; 16];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let sockets = Sockets::bind(config.listen)?;
        let lan = lan::addresses(sockets.main().local_addr()?, config.lan.as_deref());
        let id = config.identity.as_ref().map(crate::Identity::id);
        let Config { server, others, identity, .. } = config;
        let settings = Settings { server, others, identity, lan };
        let machine = Machine::new(settings, seed);
        let shared = Arc::new(Shared {
            sockets: Arc::new(sockets),
            datagrams: Arc::new(Queue::new(DATAGRAMS_MAX)),
            accepts: Queue::new(ACCEPTS_MAX),
            taps: std::sync::atomic::AtomicBool::new(false),
        });
        let (commands, receiver) = mpsc::channel(COMMANDS_MAX);
        let (ready, is_ready) = oneshot::channel();
        let standing = Driver::spawn(machine, Arc::clone(&shared), receiver, ready);
        is_ready.await.unwrap_or(Err(BindError::Silent))?;
        Ok(Self { commands, standing, id, shared })
    }

    /// The address that the server sees, and that other peers may name to reach this one. It may change while the client
    /// runs.
    pub fn public_address(&self) -> SocketAddr {
        self.standing.borrow().address
    }

    /// The kind of NAT in front of this peer, as far as the server can tell.
    pub fn nat(&self) -> NatKind {
        self.standing.borrow().nat
    }

    /// How the peer stands with the server, also as it changes.
    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// The id that others may name to reach this peer, where it has an identity.
    pub fn id(&self) -> Option<PeerId> {
        self.id
    }

    /// The address of the main socket on this host.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.shared.sockets.main().local_addr()
    }

    /// Reaches another peer: three attempts of two seconds each, the second and third from fresh ports.
    pub async fn connect(&self, target: Target) -> Result<Path, ConnectError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Connect { target, reply }).await.map_err(|_| ConnectError::Closed)?;
        answer.await.unwrap_or(Err(ConnectError::Closed))
    }

    /// The next path of a peer that connected to this one; `None` once the client is closed.
    pub async fn accept(&self) -> Option<Path> {
        self.shared.accepts.take().await
    }

    /// From now on, all that comes in and is not of the rendezvous goes there, and to no [`Path::recv`].
    pub fn datagrams(&self) -> Datagrams {
        self.shared.taps.store(true, std::sync::atomic::Ordering::Relaxed);
        Datagrams { sockets: Arc::clone(&self.shared.sockets), queue: Arc::clone(&self.shared.datagrams) }
    }

    /// Ends every path and tells the server, whose answer is waited for, for under two seconds.
    pub async fn close(&self) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(Command::Close { done }).await.is_ok() {
            // It fails only where the driver has ended already.
            let _ = is_done.await;
        }
    }
}
