use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::queue::Queue;
use crate::sockets::Sockets;

/// A datagram that is not of the rendezvous.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its sender: a peer that there is a path to, or anybody.
    pub from: SocketAddr,
    /// Its content.
    pub bytes: Bytes,
}

/// All that comes in and is not of the rendezvous, from peers and from strangers, and a way to send: the socket for another
/// protocol, such as QUIC, over the same ports. Clones take from the same queue.
///
/// The paths of the peers have to be held meanwhile, since a path that is dropped is closed.
#[derive(Debug, Clone)]
pub struct Datagrams {
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) queue: Arc<Queue<Received>>,
}

impl Datagrams {
    /// The next datagram; ready with an error once the client is closed. 4,096 wait at most, further ones are dropped.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<io::Result<Received>> {
        self.queue.poll_take(context).map(|received| {
            received.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the client is closed"))
        })
    }

    /// As [`Self::poll_recv`].
    pub async fn recv(&self) -> io::Result<Received> {
        std::future::poll_fn(|context| self.poll_recv(context)).await
    }

    /// Sends a datagram by the socket that has the way to this peer, or by the main one.
    ///
    /// [`io::ErrorKind::WouldBlock`] where the kernel has no room just now: try again after [`Self::writable`].
    pub fn try_send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        self.sockets.towards(to).try_send(to, datagram, None)
    }

    /// Sends several datagrams of `segment` bytes each, of which the last one may be shorter, with one call of the kernel. At
    /// most [`Self::segments_max`] of them; else as [`Self::try_send`].
    pub fn try_send_segments(&self, to: SocketAddr, datagrams: &[u8], segment: usize) -> io::Result<()> {
        self.sockets.towards(to).try_send(to, datagrams, Some(segment))
    }

    /// How many datagrams may be sent at once. It falls to one where the network card turns out not to take more.
    pub fn segments_max(&self) -> usize {
        self.sockets.main().segments_max()
    }

    /// Whether the system may cut a datagram that is too large for the way into fragments. Where it does not, such a datagram is
    /// lost, or an error, so that a protocol can find out what passes (RFC 8899).
    pub fn may_fragment(&self) -> bool {
        self.sockets.main().may_fragment()
    }

    /// Waits until the kernel has room for what is sent.
    pub async fn writable(&self) -> io::Result<()> {
        self.sockets.writable().await
    }

    /// The address of the main socket on this host.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.sockets.main().local_addr()
    }

    /// Datagrams that were dropped because nobody took those before them.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}
