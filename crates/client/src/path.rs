use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use peer_core::PeerId;
use tokio::sync::Notify;

use crate::Via;
use crate::queue::Queue;
use crate::socket::Socket;

/// A way to a peer that datagrams were seen to pass in both directions. It is kept open in the NATs by small datagrams of
/// its own every 15 seconds, until it is dropped.
pub struct Path {
    pub(crate) peer: SocketAddr,
    pub(crate) id: Option<PeerId>,
    pub(crate) via: Via,
    pub(crate) took: Duration,
    pub(crate) socket: Arc<Socket>,
    /// Shared with the driver: when nobody else has it, the path is closed.
    pub(crate) queue: Arc<Queue<Bytes>>,
    // After the queue, since fields are dropped in their order.
    pub(crate) _notice: Notice,
}

/// Wakes the driver when it is dropped, to see whose queue is not held any more.
pub(crate) struct Notice(pub(crate) Arc<Notify>);

impl Path {
    /// Where datagrams to the peer go.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Who the peer is, where it has an id and the server has verified that. Unknown of a peer that reached us from a fresh
    /// port, in its second or third attempt.
    pub fn id(&self) -> Option<PeerId> {
        self.id
    }

    /// By which of its addresses the peer is reached.
    pub fn via(&self) -> Via {
        self.via
    }

    /// From the call of `connect`, or from the server's word that somebody connects, until the way was open.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Sends a datagram to the peer. That it was sent does not mean that it arrives. It is not cut into fragments: one larger than
    /// an interface on the way takes (1,200 bytes pass nearly everywhere) is an error, or lost.
    pub async fn send(&self, datagram: &[u8]) -> io::Result<()> {
        self.socket.send(self.peer, datagram).await
    }

    /// The next datagram of the peer; `None` when the path has ended: the peer left, was not heard for a minute, or the
    /// client was closed. 256 wait at most, further ones are dropped. Nothing comes here once
    /// [`crate::Client::datagrams`] was called.
    pub async fn recv(&self) -> Option<Bytes> {
        self.queue.take().await
    }

    /// As [`Self::recv`], for use in a future.
    pub fn poll_recv(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.queue.poll_take(context)
    }

    /// Datagrams of the peer that were dropped because nobody took those before them.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped()
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, id, via, took, .. } = self;
        f.debug_struct("Path")
            .field("peer", peer)
            .field("id", id)
            .field("via", via)
            .field("took", took)
            .finish_non_exhaustive()
    }
}
