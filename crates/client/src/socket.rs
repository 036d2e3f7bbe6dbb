use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Largest content that one call of the kernel gives for a sender, in bytes: the largest datagram, or several that follow each
/// other.
const BUFFER_BYTES: usize = 65_535;
/// What the kernel is asked to keep until it is taken, in bytes: 50 ms of a gigabit a second. It gives what its own limit
/// allows (`net.core.rmem_max`).
const RECEIVE_BUFFER_BYTES: usize = 6 << 20;

/// A UDP socket that sends and receives several datagrams with one call where the kernel can (on Linux `UDP_SEGMENT`,
/// `UDP_GRO` and `recvmmsg`), and lets nothing be fragmented on the way, so that QUIC finds out what passes whole (RFC 8899).
#[derive(Debug)]
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
}

impl Socket {
    pub(crate) fn bind(listen: SocketAddr) -> io::Result<Self> {
        let io = std::net::UdpSocket::bind(listen)?;
        io.set_nonblocking(true)?;
        let io = UdpSocket::from_std(io)?;
        let state = UdpSocketState::new((&io).into())?;
        // A system that gives less is none that cannot be used.
        let _ = state.set_recv_buffer_size((&io).into(), RECEIVE_BUFFER_BYTES);
        Ok(Self { io, state })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Sends `contents`, which are several datagrams of `segment` bytes each, the last one may be shorter, where that is given.
    pub(crate) fn try_send(&self, to: SocketAddr, contents: &[u8], segment: Option<usize>) -> io::Result<()> {
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size: segment, src_ip: None };
        let ask_kernel = || self.state.try_send((&self.io).into(), &transmit);
        match ask_kernel() {
            // Asked by the runtime as well, so that it knows what to wait for. It is not asked first: of a socket that was
            // made just now it would say that there is no room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.io.try_io(Interest::WRITABLE, ask_kernel)
            }
            sent => sent,
        }
    }

    /// Sends one datagram when there is room.
    pub(crate) async fn send(&self, to: SocketAddr, datagram: &[u8]) -> io::Result<()> {
        loop {
            match self.try_send(to, datagram, None) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                sent => return sent,
            }
        }
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// How many datagrams one call may send.
    pub(crate) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Whether the system may cut a datagram that is too large for the way.
    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// Takes what has come in into `batch`; the context is woken when there is more. An error is of a datagram that was sent
    /// before, which has nothing to do with what comes in.
    pub(crate) fn poll_receive(&self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<()> {
        loop {
            match self.io.poll_recv_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => {}
                Poll::Ready(Ok(())) => {
                    let receive =
                        || batch.receive(|slices, metas| self.state.recv((&self.io).into(), slices, metas));
                    if self.io.try_io(Interest::READABLE, receive).is_ok() {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }
}

/// Room for what one call of the kernel gives, and what the last one gave.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    taken: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH_SIZE * BUFFER_BYTES], metas: [RecvMeta::default(); BATCH_SIZE], taken: 0 }
    }

    fn receive(
        &mut self,
        call: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<()> {
        self.taken = 0;
        let mut slices: Vec<_> = self.bytes.chunks_exact_mut(BUFFER_BYTES).map(IoSliceMut::new).collect();
        self.taken = call(&mut slices, &mut self.metas)?;
        Ok(())
    }

    /// The datagrams of the last call, in their order, with their senders.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        let buffers = self.bytes.chunks_exact(BUFFER_BYTES);
        buffers.zip(&self.metas).take(self.taken).flat_map(|(buffer, meta)| {
            let content = buffer.get(..meta.len).unwrap_or_default();
            // One that is empty is a datagram as well.
            let stride = meta.stride.max(1);
            let empty = content.is_empty().then_some(content);
            content.chunks(stride).chain(empty).map(|datagram| (meta.addr, datagram))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_that_was_made_just_now_sends() -> io::Result<()> {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0")?;
        let socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        socket.try_send(receiver.local_addr()?, b"first", None)?;
        let mut buffer = [0; 16];
        let (length, from) = receiver.recv_from(&mut buffer)?;
        assert_eq!((buffer.get(..length), from), (Some(&b"first"[..]), socket.local_addr()?));
        Ok(())
    }
}
