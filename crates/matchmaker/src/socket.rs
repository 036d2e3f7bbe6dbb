//! The sockets around the engine: batches in, batches out, a thread for each.

#[cfg(target_os = "linux")]
mod batched;
#[cfg(any(test, not(target_os = "linux")))]
mod single;

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer_core::limits::DATAGRAM_MAX_BYTES;
use service::{Failure, Shutdown};

#[cfg(target_os = "linux")]
use batched::{Receiver, Sender};
#[cfg(not(target_os = "linux"))]
use single::{Receiver, Sender};

use crate::metrics::{Metrics, Tally};
use crate::nodes::queues::Queues;
use crate::{Arrival, Engine, Outbox, TokenKeys};

/// One byte more than a datagram may have, so that a larger one is seen to be.
const BUFFER_BYTES: usize = DATAGRAM_MAX_BYTES + 1;
/// Datagrams that the kernel is asked for, or given, at once.
const BATCH: usize = 32;
/// How long a thread waits for a datagram before it looks whether it is to end.
const WAIT: Duration = Duration::from_millis(250);
/// The same while a peer may have to be told something again: so late may that be. A thread that answered a connect has such
/// a resend to wait for; one that has slept since before need not know of it.
const WAIT_FOR_RESEND: Duration = Duration::from_millis(25);

/// How many of a run of datagrams the kernel took.
struct Sent {
    taken: usize,
    refused: usize,
}

/// One of the addresses that we listen on, with a socket for each thread that serves it.
#[derive(Debug)]
pub(crate) struct Listener {
    sockets: Vec<UdpSocket>,
    addr: SocketAddr,
}

impl Listener {
    /// Takes over sockets that are bound to one address.
    pub(crate) fn new(sockets: Vec<UdpSocket>) -> io::Result<Self> {
        let first = sockets.first().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let addr = first.local_addr()?;
        for socket in &sockets {
            socket.set_nonblocking(false)?;
        }
        Ok(Self { sockets, addr })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Threads that serve it.
    pub(crate) fn threads(&self) -> usize {
        self.sockets.len()
    }
}

/// What the threads of all sockets share.
pub(crate) struct Shared {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    pub(crate) start: Instant,
    /// The other nodes, where there may be some.
    pub(crate) nodes: Option<Queues>,
    /// What tokens were made with at the start.
    pub(crate) first_keys: TokenKeys,
}

impl Shared {
    pub(crate) fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Serves socket number `thread` of listener number `index` until `shutdown`. Blocks. Errors of single datagrams never
/// end it.
pub(crate) fn serve(
    shared: &Arc<Shared>,
    index: usize,
    thread: usize,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::run("matchmaker", error);
    let Some(listener) = shared.listeners.get(index) else { return Ok(()) };
    let Some(socket) = listener.sockets.get(thread) else { return Ok(()) };
    let mut receiver = Receiver::new(socket).map_err(failed)?;
    let mut senders = senders(shared);
    let mut outbox = Outbox::default();
    let mut tally = Tally::default();
    let mut wait = Wait::default();
    // There are as many listeners as there are addresses in a setting.
    let number = u8::try_from(index).unwrap_or(u8::MAX);
    while !shutdown.is_cancelled() {
        wait.set(socket, shared.engine.resend_due_us().is_some()).map_err(failed)?;
        let now_us = Moment::new(shared);
        let batch = receiver.receive(socket, |from: SocketAddr, local: Option<IpAddr>, datagram: &[u8]| {
            let arrival = Arrival { from, socket: number, local, local_port: listener.addr.port() };
            tally.count(shared.engine.handle(now_us.get(), arrival, datagram, &mut outbox));
        });
        if shared.engine.resend_due_us().is_some_and(|due_us| due_us <= now_us.get()) {
            shared.engine.resend(now_us.get(), &mut outbox);
        }
        // An error here is of one datagram (an ICMP answer to an earlier one, say), or that there was none.
        if batch.is_err() && outbox.is_empty() {
            continue;
        }
        // Before the answers leave: who has one finds its datagram counted.
        shared.metrics.add(&mut tally);
        send_all(shared, Some((index, socket)), &mut senders, &outbox);
        if let Some(nodes) = &shared.nodes {
            nodes.take(&mut outbox);
        }
        outbox.clear();
    }
    Ok(())
}

fn senders(shared: &Shared) -> Vec<Sender> {
    shared.listeners.iter().map(|listener| Sender::new(listener.addr)).collect()
}

/// Sends what no datagram has asked for, by the sockets of the threads that serve.
pub(crate) struct Courier {
    senders: Vec<Sender>,
}

impl Courier {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self { senders: senders(shared) }
    }

    /// Sends all that is queued, and empties the outbox.
    pub(crate) fn send(&mut self, shared: &Shared, outbox: &mut Outbox) {
        if !outbox.is_empty() {
            send_all(shared, None, &mut self.senders, outbox);
        }
        outbox.clear();
    }
}

/// How long a socket waits: the kernel is told only when that changes.
#[derive(Default)]
struct Wait(Option<Duration>);

impl Wait {
    fn set(&mut self, socket: &UdpSocket, is_resend_due: bool) -> io::Result<()> {
        let wait = Some(if is_resend_due { WAIT_FOR_RESEND } else { WAIT });
        if self.0 != wait {
            socket.set_read_timeout(wait)?;
            self.0 = wait;
        }
        Ok(())
    }
}

/// The time of a batch, asked for once and only when a datagram is there.
struct Moment<'a> {
    shared: &'a Shared,
    now_us: std::cell::OnceCell<u64>,
}

impl<'a> Moment<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self { shared, now_us: std::cell::OnceCell::new() }
    }

    fn get(&self) -> u64 {
        *self.now_us.get_or_init(|| self.shared.now_us())
    }
}

/// A datagram that cannot be sent now is lost, as any may be: waiting would make all others wait.
fn send_all(shared: &Shared, own: Option<(usize, &UdpSocket)>, senders: &mut [Sender], outbox: &Outbox) {
    let mut start = 0;
    while let Some(first) = outbox.get(start) {
        let end = outbox.run_end(start, BATCH);
        let way = usize::from(first.socket);
        // Any socket of a listener sends from its address; that of this thread is in nobody's way.
        let other = shared.listeners.get(way).and_then(|listener| listener.sockets.first());
        let by = own.filter(|(index, _)| *index == way).map(|(_, socket)| socket).or(other);
        let sent = match (by, senders.get_mut(way)) {
            (Some(by), Some(sender)) => sender.send(by, outbox, start..end),
            _ => Sent { taken: 0, refused: end - start },
        };
        shared.metrics.sent.inc_by(sent.taken as u64);
        shared.metrics.send_failures.inc_by(sent.refused as u64);
        start = end;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that has no sockets has failed")]

    use peer_core::datagram::Reply;

    use super::*;
    use crate::outbox::Via;

    /// A socket of ours, one of a peer, and the peer's address.
    fn pair(ours: &str, peer: IpAddr) -> (UdpSocket, UdpSocket, SocketAddr) {
        let ours = UdpSocket::bind(ours).unwrap();
        let peer = UdpSocket::bind((peer, 0)).unwrap();
        for socket in [&ours, &peer] {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        let addr = peer.local_addr().unwrap();
        (ours, peer, addr)
    }

    /// Makes a test of an exchange for a way of talking to the kernel.
    macro_rules! exchanges {
        ($($name:ident: $module:ident on $bound:literal at $at:literal of $peer:literal, tells $local:expr;)*) => {
            $(#[test]
            fn $name() {
                let (ours, peer, addr) = pair($bound, $peer.parse().unwrap());
                let bound = ours.local_addr().unwrap();
                let to = SocketAddr::new($at.parse().unwrap(), bound.port());
                for datagram in [&b"one"[..], b"", &[b'x'; BUFFER_BYTES + 500]] {
                    peer.send_to(datagram, to).unwrap();
                }
                let mut receiver = $module::Receiver::new(&ours).unwrap();
                peer.send_to(b"last", to).unwrap();
                let mut received = Vec::new();
                while received.last() != Some(&b"last".to_vec()) {
                    receiver
                        .receive(&ours, |from, local, bytes| {
                            assert_eq!(from, addr);
                            if bytes == b"last" {
                                assert_eq!(local, $local);
                            }
                            received.push(bytes.to_vec());
                        })
                        .unwrap();
                }
                let expected = [b"one".to_vec(), Vec::new(), vec![b'x'; BUFFER_BYTES], b"last".to_vec()];
                assert_eq!(received, expected);

                let mut outbox = Outbox::default();
                let via = Via { socket: 0, local: $local };
                let unreachable = SocketAddr::new(addr.ip(), 0);
                for to in [addr, unreachable, addr] {
                    outbox.push(to, via, Reply::UnknownType);
                }
                let sent = $module::Sender::new(bound).send(&ours, &outbox, 0..3);
                assert_eq!((sent.taken, sent.refused), (2, 1));
                for _ in 0..2 {
                    let mut buffer = [0; 100];
                    let (bytes, from) = peer.recv_from(&mut buffer).unwrap();
                    assert_eq!(from, to);
                    assert_eq!(buffer.get(..bytes), outbox.get(0).map(|datagram| datagram.bytes));
                }
            })*
        };
    }

    exchanges! {
        one_at_a_time: single on "127.0.0.1:0" at "127.0.0.1" of "127.0.0.1", tells None;
    }
    #[cfg(target_os = "linux")]
    exchanges! {
        in_batches_on_one_ipv4_address:
            batched on "127.0.0.2:0" at "127.0.0.2" of "127.0.0.1", tells Some("127.0.0.2".parse().unwrap());
        in_batches_on_all_ipv4_addresses:
            batched on "0.0.0.0:0" at "127.0.0.2" of "127.0.0.1", tells Some("127.0.0.2".parse().unwrap());
        in_batches_on_one_ipv6_address:
            batched on "[::1]:0" at "::1" of "::1", tells Some("::1".parse().unwrap());
        in_batches_on_all_ipv6_addresses:
            batched on "[::]:0" at "::1" of "::1", tells Some("::1".parse().unwrap());
    }
}
