//! The sockets around the engine: batches in, batches out.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use nix::sys::socket::{setsockopt, sockopt};
use parking_lot::Mutex;
use peer_core::limits::DATAGRAM_MAX_BYTES;
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use service::{Failure, Shutdown};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use crate::metrics::Metrics;
use crate::outbox::Outgoing;
use crate::{Arrival, Engine, Outbox};

/// One byte more than a datagram may have, so that a larger one is seen to be.
const BUFFER_BYTES: usize = DATAGRAM_MAX_BYTES + 1;

/// A bound socket with what the kernel can do for it.
pub(crate) struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    addr: SocketAddr,
}

impl Socket {
    /// Takes over a bound, non-blocking socket.
    pub(crate) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        // It asks the kernel to join datagrams of one sender into one large one. Ours are small and from many, and a
        // joined one would not fit the buffer. Not every kernel knows of it.
        let _ = setsockopt(&socket, sockopt::UdpGroSegment, &false);
        let addr = socket.local_addr()?;
        Ok(Self { udp: UdpSocket::from_std(socket)?, state, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    fn receive(&self, buffers: &mut [IoSliceMut<'_>], meta: &mut [RecvMeta]) -> io::Result<usize> {
        self.udp.try_io(Interest::READABLE, || self.state.recv((&self.udp).into(), buffers, meta))
    }

    /// A datagram that cannot be sent now is lost, as any may be: waiting would make all others wait.
    fn send(&self, outgoing: Outgoing<'_>) -> io::Result<()> {
        let transmit = Transmit {
            destination: outgoing.to,
            ecn: None,
            contents: outgoing.bytes,
            segment_size: None,
            src_ip: outgoing.local,
        };
        self.udp.try_io(Interest::WRITABLE, || self.state.try_send((&self.udp).into(), &transmit))
    }
}

/// What the loops of all sockets share.
pub(crate) struct Shared {
    pub(crate) sockets: Vec<Socket>,
    pub(crate) engine: Mutex<Engine>,
    pub(crate) metrics: Metrics,
    pub(crate) start: Instant,
}

impl Shared {
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Serves the socket number `index` until `shutdown`. Errors of single datagrams never end it.
pub(crate) async fn serve(shared: Arc<Shared>, index: usize, shutdown: Shutdown) -> Result<(), Failure> {
    let Some(socket) = shared.sockets.get(index) else { return Ok(()) };
    let mut storage = vec![0_u8; BATCH_SIZE * BUFFER_BYTES];
    let mut meta = [RecvMeta::default(); BATCH_SIZE];
    let mut outbox = Outbox::default();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            ready = socket.udp.readable() => ready.map_err(|error| Failure::run(socket.addr, error))?,
        }
        let mut buffers: Vec<_> = storage.chunks_mut(BUFFER_BYTES).map(IoSliceMut::new).collect();
        // An error here is of one datagram (an ICMP answer to an earlier one, say), or that there is none.
        let Ok(received) = socket.receive(&mut buffers, &mut meta) else { continue };
        drop(buffers);
        let batch = meta.iter().take(received).zip(storage.chunks(BUFFER_BYTES));
        shared.answer(socket, index, batch, &mut outbox);
        for outgoing in outbox.iter() {
            let sent = shared.sockets.get(usize::from(outgoing.socket)).map(|socket| socket.send(outgoing));
            let counter = if matches!(sent, Some(Ok(()))) {
                &shared.metrics.sent
            } else {
                &shared.metrics.send_failures
            };
            counter.inc();
        }
        outbox.clear();
    }
}

impl Shared {
    fn answer<'a>(
        &self,
        socket: &Socket,
        index: usize,
        batch: impl Iterator<Item = (&'a RecvMeta, &'a [u8])>,
        outbox: &mut Outbox,
    ) {
        let now_ms = self.now_ms();
        let mut engine = self.engine.lock();
        for (meta, buffer) in batch {
            let arrival = Arrival {
                from: meta.addr,
                // There are as many as there are addresses in a setting.
                socket: u8::try_from(index).unwrap_or(u8::MAX),
                local: meta.dst_ip,
                local_port: socket.addr.port(),
            };
            let datagram = buffer.get(..meta.len).unwrap_or(buffer);
            self.metrics.datagram(engine.handle(now_ms, arrival, datagram, outbox));
        }
    }
}
