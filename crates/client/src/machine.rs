//! What a peer does with datagrams and times, without socket, clock or random source: all of it is handed in.
//!
//! A [`Machine`] is given datagrams by [`Machine::handle`] and the time by [`Machine::tick`]; what it wants sent is taken
//! from it by [`Machine::poll_transmit`], what happened by [`Machine::poll_event`]. Times count from any start, the same for
//! all calls.
//!
//! Which server it is is in `servers`, how a socket stands with it in `registration`, who was asked for in `requests`, with whom it punches in
//! `pairs` and `punching`, and what came of that in `paths`.

mod event;
mod legacy;
mod names;
mod outbox;
mod pairs;
mod paths;
mod probe;
mod punch;
mod punching;
mod registration;
mod requests;
mod server;
mod servers;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use peer_core::datagram::v2::{LanAddrs, PunchKey};

use crate::Identity;
use outbox::Outbox;
use paths::PathState;
use punch::Punch;
use punching::Pair;
use registration::Registration;
use requests::Request;
use servers::Servers;

pub use event::{Connected, Event, PathId, RequestId, SocketId, Standing, Transmit, Whose};

/// Pairs without a path that are punched, or answered after that, at a time. Of more the server's word is passed over.
const PAIRS_MAX: usize = 256;
/// Paths that are open at a time; the pair that would be one more is not connected.
const PATHS_MAX: usize = 1_024;

/// What a machine has to be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The matchmaker.
    pub server: SocketAddr,
    /// Others that peers of it can be reached by, for when it does not answer. Those of its family of addresses are used.
    pub others: Vec<SocketAddr>,
    /// The key that others may find this peer by.
    pub identity: Option<Identity>,
    /// Addresses of the main socket in the local network.
    pub lan: LanAddrs,
}

/// A peer of the rendezvous, as a function of datagrams and time.
#[derive(Debug)]
pub struct Machine {
    servers: Servers,
    identity: Option<Identity>,
    lan: LanAddrs,
    out: Outbox,
    main: Registration,
    /// Of sockets for further attempts.
    further: BTreeMap<SocketId, Registration>,
    /// Ports of sockets that are to have a certain one. They are never registered.
    agreed: BTreeMap<SocketId, u16>,
    sockets: u32,
    requests: BTreeMap<RequestId, Request>,
    pairs: BTreeMap<u64, Pair>,
    by_key: HashMap<PunchKey, u64>,
    paths: BTreeMap<PathId, PathState>,
    /// Paths by our socket and the address that the peer's datagrams come from.
    routes: HashMap<(SocketId, SocketAddr), PathId>,
    /// Numbers that were given to requests, pairs and paths.
    numbers: u64,
    closing: bool,
}

impl Machine {
    /// A peer that has not done anything yet. Names of requests are made from `seed`, which nobody else may know.
    pub fn new(settings: Settings, seed: [u8; 16]) -> Self {
        let Settings { server, others, identity, lan } = settings;
        Self {
            servers: Servers::new(server, others),
            identity,
            lan,
            out: Outbox::new(seed),
            main: Registration::new(SocketId::MAIN),
            further: BTreeMap::new(),
            agreed: BTreeMap::new(),
            sockets: 0,
            requests: BTreeMap::new(),
            pairs: BTreeMap::new(),
            by_key: HashMap::new(),
            paths: BTreeMap::new(),
            routes: HashMap::new(),
            numbers: 0,
            closing: false,
        }
    }

    /// Begins to register.
    pub fn start(&mut self, now: Duration) {
        self.register(now, SocketId::MAIN);
    }

    /// How it stands with the server.
    pub fn standing(&self) -> Standing {
        self.main.standing()
    }

    /// Its sockets that are in use.
    pub fn sockets(&self) -> impl Iterator<Item = SocketId> {
        [SocketId::MAIN].into_iter().chain(self.further.keys().copied()).chain(self.agreed.keys().copied())
    }

    /// The port that a socket is to have on this host; any where there is none.
    pub fn port_of(&self, socket: SocketId) -> Option<u16> {
        self.agreed.get(&socket).copied()
    }

    /// Takes a datagram that came to one of its sockets, and says whose it is.
    pub fn handle(&mut self, now: Duration, socket: SocketId, from: SocketAddr, datagram: &[u8]) -> Whose {
        if self.is_server(from) {
            self.hear_server(now, socket, from, datagram);
            return Whose::Ours;
        }
        if let Some(punch) = Punch::decode(datagram) {
            self.hear_punch(now, socket, from, punch);
            return Whose::Ours;
        }
        if let Some(path) = self.routes.get(&(socket, from)).copied() {
            if let Some(state) = self.paths.get_mut(&path) {
                state.heard = now;
            }
            // A legacy peer goes on punching until it hears us.
            return if datagram == legacy::PUNCH { Whose::Ours } else { Whose::Path(path) };
        }
        self.hear_unmarked(now, socket, from, datagram)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        self.tick_registrations(now);
        self.tick_requests(now);
        self.tick_pairs(now);
        self.tick_paths(now);
        self.close_unused_sockets();
    }

    /// When [`Self::tick`] has something to do next; earlier calls do no harm.
    pub fn next_timeout(&self) -> Option<Duration> {
        let registrations = self.further.values().chain([&self.main]).filter_map(Registration::due);
        let requests = self.requests.values().filter_map(Request::due);
        let pairs = self.pairs.values().filter_map(Pair::due);
        let paths = self.paths.values().filter_map(PathState::due);
        registrations.chain(requests).chain(pairs).chain(paths).min()
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// Ends every path, fails every request, and tells the server. [`Event::Closed`] follows, after 1.75 seconds at most.
    pub fn close(&mut self, now: Duration) {
        if self.closing {
            return;
        }
        self.closing = true;
        for request in std::mem::take(&mut self.requests).into_keys() {
            self.out.events.push_back(Event::Failed { request, error: crate::ConnectError::Closed });
        }
        for path in self.paths.keys().copied().collect::<Vec<_>>() {
            self.close_path(now, path);
        }
        self.pairs.clear();
        self.by_key.clear();
        let server = self.servers.current();
        self.further.values_mut().for_each(|registration| registration.leave(now, server, &mut self.out));
        self.main.leave(now, server, &mut self.out);
        if self.main.has_left() {
            self.out.events.push_back(Event::Closed);
        }
    }

    fn next_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn registration(&mut self, socket: SocketId) -> Option<&mut Registration> {
        if socket == SocketId::MAIN { Some(&mut self.main) } else { self.further.get_mut(&socket) }
    }

    /// A socket with a fresh port.
    fn open_socket(&mut self) -> SocketId {
        self.sockets += 1;
        let socket = SocketId(self.sockets);
        self.further.insert(socket, Registration::new(socket));
        socket
    }

    /// A socket with this port.
    fn open_socket_at(&mut self, port: u16) -> SocketId {
        self.sockets += 1;
        let socket = SocketId(self.sockets);
        self.agreed.insert(socket, port);
        socket
    }

    fn close_unused_sockets(&mut self) {
        let used = |socket: &SocketId| {
            self.requests.values().any(|request| request.socket == *socket)
                || self.pairs.values().any(|pair| pair.uses(*socket))
                || self.paths.values().any(|path| path.uses(*socket))
        };
        let is_done = |registration: &Registration| registration.has_left() || !registration.has_joined();
        let unused: Vec<SocketId> = self
            .further
            .iter()
            .filter(|(socket, registration)| is_done(registration) && !used(socket))
            .map(|(socket, _)| *socket)
            .chain(self.agreed.keys().copied().filter(|socket| !used(socket)))
            .collect();
        for socket in unused {
            self.further.remove(&socket);
            self.agreed.remove(&socket);
            self.out.events.push_back(Event::SocketClosed(socket));
        }
    }
}
