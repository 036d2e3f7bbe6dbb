use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use nat_simulator::{Actions, Attach, HostId, Link, Node, RouterKind, Simulation};

use crate::legacy_peer::{LegacyPeer, ROUND};
use crate::server::Server;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 12_345);
const PUBLIC: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 10)), IpAddr::V4(Ipv4Addr::new(203, 0, 113, 11))];

/// The outer address of every router that is behind another one.
const CUSTOMER: IpAddr = IpAddr::V4(Ipv4Addr::new(100, 64, 0, 2));

/// Enough for any answer of the server on any link here.
const ANSWERED: Duration = Duration::from_secs(1);

/// A program of these tests.
#[derive(Debug)]
pub(crate) enum Program {
    Server(Server),
    Peer(LegacyPeer),
}

impl Node for Program {
    fn on_datagram(
        &mut self,
        now: Duration,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        match self {
            Self::Server(server) => server.on_datagram(now, to, from, bytes, actions),
            Self::Peer(peer) => peer.on_datagram(now, from, bytes, actions),
        }
    }

    fn on_timer(&mut self, now: Duration, actions: &mut Actions) {
        match self {
            Self::Server(_) => {}
            Self::Peer(peer) => peer.on_timer(now, actions),
        }
    }
}

/// One server, and two peers each behind routers of its own.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) simulation: Simulation<Program>,
    peers: [HostId; 2],
}

impl World {
    /// Each peer is behind one router or several, the outermost of which, the first, has a line like `line`. In each
    /// round the second peer sends `lag` after the first one.
    pub(crate) fn new(seed: u64, kinds: [&[RouterKind]; 2], line: Link, lag: Duration) -> Self {
        let mut simulation = Simulation::new(seed);
        simulation.host(Attach::Wan, SERVER.ip(), Program::Server(Server::new()), Link::default());
        let mut number = 0_u8;
        let peers = kinds.map(|kinds| {
            let mut attach = (Attach::Wan, PUBLIC[usize::from(number)], line);
            for kind in kinds {
                let (network, address, uplink) = attach;
                let router = simulation.router(network, address, *kind, uplink);
                attach = (Attach::Behind(router), CUSTOMER, Link::default());
            }
            let at_home = SocketAddr::from(([10, number, 0, 2], 40_000 + u16::from(number)));
            let peer = LegacyPeer::new(at_home, SERVER, lag * u32::from(number));
            number += 1;
            simulation.host(attach.0, at_home.ip(), Program::Peer(peer), Link::default())
        });
        Self { simulation, peers }
    }

    pub(crate) fn peer(&self, index: usize) -> &LegacyPeer {
        peer_of(&self.simulation, self.peers[index]).expect("a peer")
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.simulation.now() + time;
        self.simulation.run_until(until);
    }

    /// Says `register` until the server has answered.
    pub(crate) fn register(&mut self, index: usize) {
        while self.peer(index).mapped.is_none() {
            self.act(index, LegacyPeer::register);
            self.pass(ANSWERED);
        }
    }

    /// Has a peer send something.
    pub(crate) fn act(&mut self, index: usize, work: impl FnOnce(&LegacyPeer, &mut Actions)) {
        self.simulation.act(self.peers[index], |program, _, actions| match program {
            Program::Peer(peer) => work(peer, actions),
            Program::Server(_) => panic!("no peer"),
        });
    }

    /// The first peer asks for the second one.
    pub(crate) fn connect(&mut self) {
        self.act(0, |peer, actions| peer.connect(PUBLIC[1], actions));
    }

    /// Both register, the first asks for the second until both know, and they punch. Gives the rounds until both have
    /// heard the other, or none where that takes more than `rounds_max`.
    pub(crate) fn rounds_until_both_heard(&mut self, rounds_max: u32) -> Option<u32> {
        self.register(0);
        self.register(1);
        while !self.both(LegacyPeer::was_told) {
            self.connect();
            self.pass_until_both(ANSWERED, LegacyPeer::was_told);
        }
        self.pass_until_both(ROUND * rounds_max, |peer| peer.heard_in_round().is_some());
        let [first, second] = [0, 1].map(|index| self.peer(index).heard_in_round());
        first.zip(second).map(|(first, second)| first.max(second))
    }

    fn both(&self, holds: impl Fn(&LegacyPeer) -> bool) -> bool {
        self.peers.iter().all(|id| peer_of(&self.simulation, *id).is_some_and(&holds))
    }

    fn pass_until_both(&mut self, limit: Duration, holds: impl Fn(&LegacyPeer) -> bool) {
        let (until, peers) = (self.simulation.now() + limit, self.peers);
        self.simulation.run_until_or(until, |simulation| {
            peers.iter().all(|id| peer_of(simulation, *id).is_some_and(&holds))
        });
    }
}

fn peer_of(simulation: &Simulation<Program>, id: HostId) -> Option<&LegacyPeer> {
    match simulation.node(id) {
        Program::Peer(peer) => Some(peer),
        Program::Server(_) => None,
    }
}
