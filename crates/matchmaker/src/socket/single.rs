//! Anywhere: a datagram a system call. Which of our addresses a datagram was sent to is not known then, so that on a
//! machine with several addresses `MATCHMAKER_LISTEN` has to name them one by one.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::Range;

use super::{BUFFER_BYTES, Sent};
use crate::Outbox;

/// Takes datagrams from the kernel.
pub(super) struct Receiver {
    buffer: Box<[u8; BUFFER_BYTES]>,
}

impl Receiver {
    #[expect(clippy::unnecessary_wraps, reason = "the same form as where it can fail")]
    pub(super) fn new(_: &UdpSocket) -> io::Result<Self> {
        Ok(Self { buffer: Box::new([0; BUFFER_BYTES]) })
    }

    /// Waits for one datagram and gives it to `each`.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<()> {
        let (bytes, from) = socket.recv_from(&mut self.buffer[..])?;
        each(from, None, self.buffer.get(..bytes).unwrap_or_default());
        Ok(())
    }
}

/// Gives datagrams to the kernel.
pub(super) struct Sender;

impl Sender {
    pub(super) fn new(_: SocketAddr) -> Self {
        Self
    }

    /// Sends a run of datagrams.
    #[expect(clippy::unused_self, reason = "the same form as where it has a state")]
    pub(super) fn send(&mut self, socket: &UdpSocket, outbox: &Outbox, run: Range<usize>) -> Sent {
        let count = run.len();
        let sent = run
            .filter_map(|index| outbox.get(index))
            .map(|datagram| socket.send_to(datagram.bytes, datagram.to));
        let taken = sent.flatten().count();
        Sent { taken, refused: count - taken }
    }
}
