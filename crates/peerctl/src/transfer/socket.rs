//! The socket under QUIC: the datagrams of a client of the matchmaker, so that QUIC goes the way that was punched.

use std::fmt;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use peer_client::Datagrams;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Endpoint, EndpointConfig, ServerConfig, TokioRuntime, UdpPoller};

use crate::talk::Word;

/// A QUIC endpoint on the sockets of a client; without a `server` it takes no connections.
pub fn endpoint(datagrams: Datagrams, server: Option<ServerConfig>) -> io::Result<Endpoint> {
    let socket = Arc::new(PathSocket { datagrams });
    Endpoint::new_with_abstract_socket(EndpointConfig::default(), server, socket, Arc::new(TokioRuntime))
}

/// All that comes to a client and is not of the matchmaker.
#[derive(Debug)]
struct PathSocket {
    datagrams: Datagrams,
}

impl PathSocket {
    /// Answers a ping, since QUIC leaves nobody else to do so. True where the datagram was a word of ours.
    fn is_word(&self, from: SocketAddr, datagram: &[u8]) -> bool {
        match Word::decode(datagram) {
            Some(Word::Ping(number)) => {
                // A pong that has no room is lost like any other.
                let _ = self.datagrams.try_send(from, &Word::Pong(number).encode());
                true
            }
            Some(Word::Pong(_) | Word::Line(_)) => true,
            None => false,
        }
    }
}

impl AsyncUdpSocket for PathSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(WritePoller { datagrams: self.datagrams.clone(), waiting: None })
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let (to, contents) = (transmit.destination, transmit.contents);
        let sent = match transmit.segment_size {
            Some(segment) => self.datagrams.try_send_segments(to, contents, segment),
            None => self.datagrams.try_send(to, contents),
        };
        match sent {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            // Anything else, such as the ICMP of an earlier datagram, is a datagram that was lost: QUIC sends it again, or
            // gives up when nothing comes back. An error here would end the connection at once.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let received = loop {
                match self.datagrams.poll_recv(context) {
                    Poll::Ready(Ok(received)) if self.is_word(received.from, &received.bytes) => {}
                    // QUIC makes its buffers as large as any datagram that it takes.
                    Poll::Ready(Ok(received)) if received.bytes.len() > buffer.len() => {}
                    Poll::Ready(Ok(received)) => break received,
                    Poll::Ready(Err(error)) if taken == 0 => return Poll::Ready(Err(error)),
                    Poll::Pending if taken == 0 => return Poll::Pending,
                    Poll::Ready(Err(_)) | Poll::Pending => return Poll::Ready(Ok(taken)),
                }
            };
            let len = received.bytes.len();
            if let Some(space) = buffer.get_mut(..len) {
                space.copy_from_slice(&received.bytes);
            }
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (received.from, len, len);
            taken += 1;
        }
        Poll::Ready(Ok(taken))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.datagrams.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.datagrams.segments_max()
    }

    fn may_fragment(&self) -> bool {
        self.datagrams.may_fragment()
    }
}

type Writable = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

/// Waits for room in the kernel.
struct WritePoller {
    datagrams: Datagrams,
    waiting: Option<Writable>,
}

impl UdpPoller for WritePoller {
    fn poll_writable(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { datagrams, waiting } = &mut *self;
        let wait = waiting.get_or_insert_with(|| {
            let datagrams = datagrams.clone();
            Box::pin(async move { datagrams.writable().await })
        });
        let is_writable = ready!(wait.as_mut().poll(context));
        *waiting = None;
        Poll::Ready(is_writable)
    }
}

impl fmt::Debug for WritePoller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WritePoller").finish_non_exhaustive()
    }
}
