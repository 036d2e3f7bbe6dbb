use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nat_simulator::{Actions, Attach, HostId, Link, Node, RouterId, RouterKind, Simulation};
use peer_client::{ConnectError, Target, Via};

use crate::legacy::LegacyPeer;
use crate::peer::{Detour, Peer};
use crate::server::{MAIN_PORT, Server};

/// Long enough for a peer to register, however much is lost.
const REGISTERS_WITHIN: Duration = Duration::from_mins(2);
/// Long enough for three attempts.
const CONNECTS_WITHIN: Duration = Duration::from_secs(30);

/// A program of these tests.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few")]
pub(crate) enum Program {
    Server(Server),
    Peer(Peer),
    Legacy { server: SocketAddr, peer: LegacyPeer },
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
            Self::Peer(peer) => peer.on_datagram(now, to, from, bytes, actions),
            Self::Legacy { server, peer } => peer.on_datagram([to, from, *server], bytes, actions),
        }
    }

    fn on_timer(&mut self, now: Duration, actions: &mut Actions) {
        match self {
            Self::Server(server) => server.on_timer(now, actions),
            Self::Peer(peer) => peer.on_timer(now, actions),
            Self::Legacy { .. } => {}
        }
    }
}

/// What came of a connect, as the one that asked sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reached {
    pub(crate) via: Via,
    pub(crate) took: Duration,
}

/// One server, and peers behind routers.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) simulation: Simulation<Program>,
    server: SocketAddr,
    peers: Vec<HostId>,
    legacy: Vec<HostId>,
    routers: u8,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_server(seed, "203.0.113.1", true)
    }

    /// With a server at this address, that speaks version 2 or the legacy contract only.
    pub(crate) fn with_server(seed: u64, ip: &str, v2: bool) -> Self {
        let server = SocketAddr::new(ip.parse().unwrap(), MAIN_PORT);
        let mut simulation = Simulation::new(seed);
        simulation.host(Attach::Wan, server.ip(), Program::Server(Server::new(server, v2)), Link::default());
        Self { simulation, server, peers: Vec::new(), legacy: Vec::new(), routers: 0 }
    }

    /// Two peers, each behind one router or several, the outermost first, which has a line like `line`.
    pub(crate) fn of_two(seed: u64, kinds: [&[RouterKind]; 2], line: Link, detour: Detour) -> Self {
        let mut world = Self::new(seed);
        for (kinds, detour) in kinds.into_iter().zip([Detour::default(), detour]) {
            world.add_household(kinds, line, detour);
        }
        world
    }

    /// A peer behind routers of its own.
    pub(crate) fn add_household(&mut self, kinds: &[RouterKind], line: Link, detour: Detour) {
        let mut attach = Attach::Wan;
        for kind in kinds {
            let router =
                self.router(attach, *kind, if attach == Attach::Wan { line } else { Link::default() });
            attach = Attach::Behind(router);
        }
        let number = self.routers;
        self.host(attach, format!("10.{number}.0.2:40000").parse().unwrap(), detour);
    }

    /// A router, with an address of the network that it is in.
    pub(crate) fn router(&mut self, attach: Attach, kind: RouterKind, line: Link) -> RouterId {
        self.routers += 1;
        let number = self.routers;
        let outer = match attach {
            Attach::Wan => format!("203.0.113.{}", 9 + number),
            Attach::Behind(_) => format!("100.64.0.{number}"),
        };
        self.simulation.router(attach, outer.parse().unwrap(), kind, line)
    }

    /// A router of IPv6.
    pub(crate) fn firewall(&mut self, line: Link) -> RouterId {
        self.routers += 1;
        let outer: IpAddr = format!("2001:db8::{}", 9 + self.routers).parse().unwrap();
        self.simulation.router(Attach::Wan, outer, RouterKind::Firewall, line)
    }

    /// A peer at this address.
    pub(crate) fn host(&mut self, attach: Attach, local: SocketAddr, detour: Detour) {
        let number = u8::try_from(self.peers.len() + 1).unwrap();
        let peer = Peer::new(local, self.server, number, detour);
        let host = self.simulation.host(attach, local.ip(), Program::Peer(peer), Link::default());
        self.peers.push(host);
    }

    /// A registered legacy peer at a public address of its own.
    pub(crate) fn add_legacy(&mut self, local: SocketAddr) -> SocketAddr {
        let server = self.server;
        let program = Program::Legacy { server, peer: LegacyPeer::default() };
        let host = self.simulation.host(Attach::Wan, local.ip(), program, Link::default());
        self.legacy.push(host);
        self.act_legacy(local, r#"{"type":"register"}"#);
        local
    }

    /// Has the legacy peer say this to the server.
    pub(crate) fn act_legacy(&mut self, local: SocketAddr, words: &str) {
        let (host, server) = (*self.legacy.last().expect("a legacy peer"), self.server);
        self.simulation.act(host, |_, _, actions| actions.send(local, server, words));
    }

    pub(crate) fn peer(&self, index: usize) -> &Peer {
        peer_of(&self.simulation, self.peers[index])
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.simulation.now() + time;
        self.simulation.run_until(until);
    }

    /// Lets time pass until it holds. Says whether it does.
    pub(crate) fn pass_until(&mut self, limit: Duration, holds: impl Fn(&[&Peer]) -> bool) -> bool {
        let until = self.simulation.now() + limit;
        let peers = self.peers.clone();
        self.simulation.run_until_or(until, |simulation| {
            let peers: Vec<&Peer> = peers.iter().map(|host| peer_of(simulation, *host)).collect();
            holds(&peers)
        })
    }

    /// Has a peer do something.
    pub(crate) fn act<T>(
        &mut self,
        index: usize,
        work: impl FnOnce(&mut Peer, Duration, &mut Actions) -> T,
    ) -> T {
        self.simulation.act(self.peers[index], |program, now, actions| match program {
            Program::Peer(peer) => work(peer, now, actions),
            Program::Server(_) | Program::Legacy { .. } => panic!("no peer"),
        })
    }

    /// All peers register and find out their kind of NAT.
    pub(crate) fn register(&mut self) {
        for index in 0..self.peers.len() {
            self.act(index, Peer::start);
        }
        assert!(
            self.pass_until(REGISTERS_WITHIN, |peers| peers.iter().all(|peer| peer.ready)),
            "all register"
        );
    }

    /// One peer asks for another by its id, until it has an answer. Where they connect, each hears what the other says.
    pub(crate) fn connect(&mut self, asker: usize, target: usize) -> Result<Reached, ConnectError> {
        let id = self.peer(target).id;
        self.connect_to(asker, target, Target::Id(id))
    }

    pub(crate) fn connect_to(
        &mut self,
        asker: usize,
        target: usize,
        name: Target,
    ) -> Result<Reached, ConnectError> {
        let start = self.simulation.now();
        let before = [asker, target].map(|index| self.peer(index).connected.len());
        let failures = self.peer(asker).failed.len();
        self.act(asker, |peer, now, actions| peer.connect(now, name, actions));
        self.pass_until(CONNECTS_WITHIN, |peers| {
            peers[asker].failed.len() > failures
                || peers[asker].connected.len() > before[0] && peers[target].connected.len() > before[1]
        });
        if let Some((_, error)) = self.peer(asker).failed.get(failures) {
            return Err(*error);
        }
        let (at, connected) = *self.peer(asker).connected.get(before[0]).expect("an answer in time");
        assert_eq!(start + connected.took, at);
        self.assert_they_talk([asker, target]);
        Ok(Reached { via: connected.via, took: connected.took })
    }

    /// What one says by its newest path the other hears, of 20 tries on a line that loses.
    pub(crate) fn assert_they_talk(&mut self, both: [usize; 2]) {
        let before = both.map(|index| self.peer(index).heard.len());
        for _ in 0..20 {
            for index in both {
                self.act(index, |peer, _, actions| peer.say(b"hello", actions));
            }
            self.pass(Duration::from_secs(1));
            if both.iter().zip(before).all(|(index, before)| self.peer(*index).heard.len() > before) {
                return;
            }
        }
        panic!("one of them heard nothing: {:?}", both.map(|index| self.peer(index)));
    }
}

fn peer_of(simulation: &Simulation<Program>, id: HostId) -> &Peer {
    match simulation.node(id) {
        Program::Peer(peer) => peer,
        Program::Server(_) | Program::Legacy { .. } => panic!("no peer"),
    }
}
