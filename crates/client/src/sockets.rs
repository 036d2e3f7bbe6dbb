use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::RwLock;
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;

use crate::machine::SocketId;

/// Largest datagram that UDP carries, in bytes.
pub(crate) const DATAGRAM_MAX_BYTES: usize = 65_535;

/// The sockets of a client: the one that it is registered from, and those of later attempts to reach a peer.
#[derive(Debug)]
pub(crate) struct Sockets {
    main: Arc<UdpSocket>,
    further: RwLock<BTreeMap<SocketId, Arc<UdpSocket>>>,
    /// Peers that are spoken to by another socket than the main one.
    routes: RwLock<HashMap<SocketAddr, Arc<UdpSocket>>>,
}

impl Sockets {
    pub(crate) fn bind(listen: SocketAddr) -> io::Result<Self> {
        let main = Arc::new(bind(listen)?);
        Ok(Self { main, further: RwLock::default(), routes: RwLock::default() })
    }

    pub(crate) fn main(&self) -> &Arc<UdpSocket> {
        &self.main
    }

    /// The socket of this number, which is made where there is none yet.
    pub(crate) fn get(&self, id: SocketId) -> io::Result<Arc<UdpSocket>> {
        if id == SocketId::MAIN {
            return Ok(Arc::clone(&self.main));
        }
        if let Some(socket) = self.further.read().get(&id) {
            return Ok(Arc::clone(socket));
        }
        let socket = Arc::new(bind(SocketAddr::new(self.main.local_addr()?.ip(), 0))?);
        self.further.write().insert(id, Arc::clone(&socket));
        Ok(socket)
    }

    /// Lets go of one. Paths by it hold it as long as they live.
    pub(crate) fn close(&self, id: SocketId) {
        let Some(socket) = self.further.write().remove(&id) else { return };
        self.routes.write().retain(|_, other| !Arc::ptr_eq(other, &socket));
    }

    /// Has this peer spoken to by the socket of this number from now on.
    pub(crate) fn route(&self, peer: SocketAddr, id: SocketId) {
        if id == SocketId::MAIN {
            self.routes.write().remove(&peer);
        } else if let Ok(socket) = self.get(id) {
            self.routes.write().insert(peer, socket);
        }
    }

    /// The socket that this peer is spoken to by.
    pub(crate) fn towards(&self, peer: SocketAddr) -> Arc<UdpSocket> {
        Arc::clone(self.routes.read().get(&peer).unwrap_or(&self.main))
    }

    /// A datagram of any of them.
    pub(crate) fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(SocketId, SocketAddr, usize)> {
        if let Some((from, len)) = poll_one(&self.main, context, buffer) {
            return Poll::Ready((SocketId::MAIN, from, len));
        }
        for (id, socket) in &*self.further.read() {
            if let Some((from, len)) = poll_one(socket, context, buffer) {
                return Poll::Ready((*id, from, len));
            }
        }
        Poll::Pending
    }
}

/// What it received; the context is woken when there is more. An error is of a datagram that was sent before, which has
/// nothing to do with what comes in.
fn poll_one(socket: &UdpSocket, context: &mut Context<'_>, buffer: &mut [u8]) -> Option<(SocketAddr, usize)> {
    loop {
        let mut space = ReadBuf::new(buffer);
        match socket.poll_recv_from(context, &mut space) {
            Poll::Ready(Ok(from)) => return Some((from, space.filled().len())),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return None,
        }
    }
}

fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(listen)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}
