use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::RwLock;

use crate::machine::SocketId;
use crate::socket::{Batch, Socket};

/// The sockets of a client: the one that it is registered from, and those of later attempts to reach a peer.
#[derive(Debug)]
pub(crate) struct Sockets {
    main: Arc<Socket>,
    further: RwLock<BTreeMap<SocketId, Arc<Socket>>>,
    /// Peers that are spoken to by another socket than the main one.
    routes: RwLock<HashMap<SocketAddr, Arc<Socket>>>,
}

impl Sockets {
    pub(crate) fn bind(listen: SocketAddr) -> io::Result<Self> {
        let main = Arc::new(Socket::bind(listen)?);
        Ok(Self { main, further: RwLock::default(), routes: RwLock::default() })
    }

    pub(crate) fn main(&self) -> &Arc<Socket> {
        &self.main
    }

    /// The socket of this number, which is made where there is none yet, with this port or any.
    pub(crate) fn get(&self, id: SocketId, port: Option<u16>) -> io::Result<Arc<Socket>> {
        if id == SocketId::MAIN {
            return Ok(Arc::clone(&self.main));
        }
        if let Some(socket) = self.further.read().get(&id) {
            return Ok(Arc::clone(socket));
        }
        let socket =
            Arc::new(Socket::bind(SocketAddr::new(self.main.local_addr()?.ip(), port.unwrap_or(0)))?);
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
        } else if let Some(socket) = self.further.read().get(&id).cloned() {
            self.routes.write().insert(peer, socket);
        }
    }

    /// The socket that this peer is spoken to by.
    pub(crate) fn towards(&self, peer: SocketAddr) -> Arc<Socket> {
        Arc::clone(self.routes.read().get(&peer).unwrap_or(&self.main))
    }

    /// Datagrams of any of them.
    pub(crate) fn poll_receive(&self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<SocketId> {
        if self.main.poll_receive(context, batch).is_ready() {
            return Poll::Ready(SocketId::MAIN);
        }
        for (id, socket) in &*self.further.read() {
            if socket.poll_receive(context, batch).is_ready() {
                return Poll::Ready(*id);
            }
        }
        Poll::Pending
    }

    /// Waits until each of them has room. Whoever was told that there is none need not know which one said so; the others
    /// are not waited for, since they have room.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.main.writable().await?;
        let further: Vec<Arc<Socket>> = self.further.read().values().cloned().collect();
        for socket in further {
            socket.writable().await?;
        }
        Ok(())
    }
}
