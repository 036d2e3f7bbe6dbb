//! Ways to peers that are open.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::event::{Event, PathId, SocketId};
use super::punch::Says;
use super::{Machine, PATHS_MAX};

/// How often a path is used in any case, so that the NATs keep it: they forget what was silent for 30 seconds.
const ALIVE_EVERY: Duration = Duration::from_secs(15);
/// After so long without a word of the peer a path has ended: four of its words were lost.
const SILENT_MAX: Duration = Duration::from_secs(65);
/// Addresses that datagrams of one peer come from at most.
const ROUTES_MAX: usize = 8;

/// Pairs of one path whose keys are known. With more the oldest is forgotten.
const PAIRS_OF_PATH_MAX: usize = 4;

/// A way to a peer.
#[derive(Debug)]
pub(super) struct PathState {
    pub(super) socket: SocketId,
    /// When the peer was heard last.
    pub(super) heard: Duration,
    addr: SocketAddr,
    /// The pairs that it came of: one, and one for each time that the peers asked for each other again.
    pairs: VecDeque<u64>,
    /// Addresses that its datagrams come from, and the sockets that they come to.
    from: Vec<(SocketId, SocketAddr)>,
    /// `None` of a legacy peer, which would not know what to make of our words.
    alive_at: Option<Duration>,
}

impl PathState {
    /// Whether it needs this socket of ours.
    pub(super) fn uses(&self, socket: SocketId) -> bool {
        self.socket == socket || self.from.iter().any(|(other, _)| *other == socket)
    }

    pub(super) fn due(&self) -> Option<Duration> {
        self.alive_at.map(|alive_at| alive_at.min(self.heard + SILENT_MAX))
    }
}

impl Machine {
    /// The path of a pair by this address, a new one or the one that is there. `None` where there are too many.
    pub(super) fn open_path(
        &mut self,
        now: Duration,
        number: u64,
        socket: SocketId,
        addr: SocketAddr,
    ) -> Option<PathId> {
        let has_key = self.pairs.get(&number)?.key.is_some();
        if let Some(known) = self.routes.get(&(socket, addr)).copied()
            && let Some(path) = self.paths.get_mut(&known)
        {
            path.heard = now;
            path.pairs.push_back(number);
            let oldest = if path.pairs.len() > PAIRS_OF_PATH_MAX { path.pairs.pop_front() } else { None };
            if let Some(oldest) = oldest {
                self.forget_pair(oldest);
            }
            return Some(known);
        }
        if self.paths.len() >= PATHS_MAX {
            return None;
        }
        let id = PathId(self.next_number());
        let alive_at = has_key.then(|| now + ALIVE_EVERY);
        let path = PathState {
            socket,
            heard: now,
            addr,
            pairs: VecDeque::from([number]),
            from: Vec::new(),
            alive_at,
        };
        self.paths.insert(id, path);
        self.add_route(id, socket, addr);
        Some(id)
    }

    /// Datagrams of a path's peer come to that socket from there as well.
    pub(super) fn add_route(&mut self, id: PathId, socket: SocketId, from: SocketAddr) {
        let Some(path) = self.paths.get_mut(&id) else { return };
        if path.from.len() < ROUTES_MAX && !self.routes.contains_key(&(socket, from)) {
            path.from.push((socket, from));
            self.routes.insert((socket, from), id);
        }
    }

    pub(super) fn tick_paths(&mut self, now: Duration) {
        let due: Vec<PathId> = self
            .paths
            .iter()
            .filter(|(_, path)| path.due().is_some_and(|due| due <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let Some(path) = self.paths.get_mut(&id) else { continue };
            if path.heard + SILENT_MAX <= now {
                self.end_path(id);
            } else {
                path.alive_at = Some(now + ALIVE_EVERY);
                self.say(id, Says::Alive);
            }
        }
    }

    /// Closes a path and tells the peer.
    pub fn close_path(&mut self, _now: Duration, id: PathId) {
        self.say(id, Says::Bye);
        self.remove_path(id);
    }

    /// A path has ended without us.
    pub(super) fn end_path(&mut self, id: PathId) {
        if self.remove_path(id) {
            self.out.events.push_back(Event::PathClosed(id));
        }
    }

    fn say(&mut self, id: PathId, says: Says) {
        let Some(path) = self.paths.get(&id) else { return };
        let word = path.pairs.iter().rev().find_map(|number| self.pairs.get(number)?.says(says));
        if let Some(word) = word {
            self.out.send(path.socket, path.addr, word);
        }
    }

    fn remove_path(&mut self, id: PathId) -> bool {
        let Some(path) = self.paths.remove(&id) else { return false };
        for number in path.pairs {
            self.forget_pair(number);
        }
        for route in path.from {
            self.routes.remove(&route);
        }
        true
    }
}
