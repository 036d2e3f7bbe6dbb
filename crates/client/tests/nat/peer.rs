use std::net::SocketAddr;
use std::time::Duration;

use nat_simulator::Actions;
use peer_client::machine::{Connected, Event, Machine, RequestId, Settings, SocketId, Whose};
use peer_client::{ConnectError, Identity, NatKind, PeerId, Target};

/// How much farther the server is than the rest of the world, each way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Detour {
    pub(crate) out: Duration,
    pub(crate) back: Duration,
}

/// A client on a simulated host. Socket number n is at the n-th port from its own, but for those that are to have another.
#[derive(Debug)]
pub(crate) struct Peer {
    machine: Machine,
    local: SocketAddr,
    server: SocketAddr,
    detour: Detour,
    /// How much later it learns of the next word of the server.
    late: Duration,
    /// What is on its detour: to be sent, or to be handled.
    delayed: Vec<(Duration, Delayed)>,
    pub(crate) id: PeerId,
    pub(crate) ready: bool,
    /// What was connected, and when.
    pub(crate) connected: Vec<(Duration, Connected)>,
    pub(crate) failed: Vec<(Duration, ConnectError)>,
    pub(crate) unpunchable: Vec<Duration>,
    pub(crate) closed_paths: usize,
    pub(crate) closed: bool,
    /// What peers said by their paths.
    pub(crate) heard: Vec<Vec<u8>>,
}

#[derive(Debug)]
enum Delayed {
    Out { from: SocketAddr, bytes: Vec<u8> },
    Back { to: SocketAddr, bytes: Vec<u8> },
}

impl Peer {
    pub(crate) fn new(local: SocketAddr, server: SocketAddr, number: u8, detour: Detour) -> Self {
        let identity = Identity::from_bytes(&[number; 32]);
        let id = identity.id();
        let lan = [local].into_iter().filter(|addr| peer_core::datagram::v2::is_lan(*addr)).collect();
        let settings = Settings { server, others: Vec::new(), identity: Some(identity), lan };
        let machine = Machine::new(settings, [number; 16]);
        Self {
            machine,
            local,
            server,
            detour,
            late: Duration::ZERO,
            delayed: Vec::new(),
            id,
            ready: false,
            connected: Vec::new(),
            failed: Vec::new(),
            unpunchable: Vec::new(),
            closed_paths: 0,
            closed: false,
            heard: Vec::new(),
        }
    }

    pub(crate) fn nat(&self) -> NatKind {
        self.machine.standing().nat
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.machine.standing().address
    }

    pub(crate) fn is_registered(&self) -> bool {
        self.machine.standing().registered
    }

    pub(crate) fn is_legacy(&self) -> bool {
        self.machine.standing().legacy
    }

    pub(crate) fn start(&mut self, now: Duration, actions: &mut Actions) {
        self.machine.start(now);
        self.perform(now, actions);
    }

    pub(crate) fn connect(&mut self, now: Duration, target: Target, actions: &mut Actions) -> RequestId {
        let request = self.machine.connect(now, target).expect("there is room");
        self.perform(now, actions);
        request
    }

    pub(crate) fn close(&mut self, now: Duration, actions: &mut Actions) {
        self.machine.close(now);
        self.perform(now, actions);
    }

    /// The next datagram that comes in comes so much later.
    pub(crate) fn delay_next(&mut self, late: Duration) {
        self.late = late;
    }

    /// Says something by the newest path.
    pub(crate) fn say(&self, bytes: &[u8], actions: &mut Actions) {
        let (_, path) = self.connected.last().expect("a path");
        actions.send(self.address_of(path.socket), path.peer, bytes);
    }

    pub(crate) fn on_datagram(
        &mut self,
        now: Duration,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        let back = self.detour.back + std::mem::take(&mut self.late);
        if from == self.server && !back.is_zero() {
            self.delayed.push((now + back, Delayed::Back { to, bytes: bytes.to_vec() }));
        } else {
            self.take(now, to, from, bytes);
        }
        self.perform(now, actions);
    }

    pub(crate) fn on_timer(&mut self, now: Duration, actions: &mut Actions) {
        let due;
        (due, self.delayed) = std::mem::take(&mut self.delayed).into_iter().partition(|(at, _)| *at <= now);
        for (_, delayed) in due {
            match delayed {
                Delayed::Out { from, bytes } => actions.send(from, self.server, bytes),
                Delayed::Back { to, bytes } => self.take(now, to, self.server, &bytes),
            }
        }
        self.machine.tick(now);
        self.perform(now, actions);
    }

    fn take(&mut self, now: Duration, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        let Some(socket) = self.machine.sockets().find(|socket| self.address_of(*socket) == to) else {
            return;
        };
        if let Whose::Path(_) = self.machine.handle(now, socket, from, bytes) {
            self.heard.push(bytes.to_vec());
        }
    }

    fn perform(&mut self, now: Duration, actions: &mut Actions) {
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Ready => self.ready = true,
                Event::Connected(connected) => self.connected.push((now, connected)),
                Event::Failed { error, .. } => self.failed.push((now, error)),
                Event::Unpunchable { .. } => self.unpunchable.push(now),
                Event::PathClosed(_) => self.closed_paths += 1,
                Event::Closed => self.closed = true,
                Event::Standing(_) | Event::Unavailable(_) | Event::SocketClosed(_) => {}
            }
        }
        while let Some(transmit) = self.machine.poll_transmit() {
            let from = self.address_of(transmit.socket);
            if transmit.to == self.server && !self.detour.out.is_zero() {
                self.delayed.push((now + self.detour.out, Delayed::Out { from, bytes: transmit.bytes }));
            } else {
                actions.send(from, transmit.to, transmit.bytes);
            }
        }
        let delayed = self.delayed.iter().map(|(at, _)| *at).min();
        if let Some(due) = self.machine.next_timeout().into_iter().chain(delayed).min() {
            actions.wake_at(due);
        }
    }

    fn address_of(&self, socket: SocketId) -> SocketAddr {
        let number = u16::try_from(socket.number()).expect("few");
        let port = self.machine.port_of(socket).unwrap_or(self.local.port() + number);
        SocketAddr::new(self.local.ip(), port)
    }
}
