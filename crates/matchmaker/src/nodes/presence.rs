//! Whom this node hears, as the others are to know it.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use peer_core::limits::HOME_RENEW_MS;
use peer_core::{Peer, PeerId};
use registry::nodes::{Home, HomeKind};

use super::{LEGACY_ARRIVALS, NodeEvent, charge};
use crate::Engine;
use crate::outbox::Outbox;
use crate::v2::AtIp;

/// Places of a table that one step looks at, so that it never makes a datagram wait.
const PLACES: usize = 256;
/// Who was heard within this time is said to be here, in us: a walk through all may take a little longer than it should.
const HEARD_US: u64 = (HOME_RENEW_MS + HOME_RENEW_MS / 4) * 1_000;

/// A place in a walk through all registrations.
#[derive(Debug, Clone, Copy, Default)]
pub struct PresenceCursor {
    pub(super) part: usize,
    pub(super) place: usize,
}

impl PresenceCursor {
    /// On by `step`, and into the next part at the end of one of `places`.
    pub(super) fn advance(&mut self, step: usize, places: usize) {
        self.place += step;
        if self.place >= places {
            *self = Self { part: self.part + 1, place: 0 };
        }
    }
}

impl Engine {
    /// A peer of version 2 is here that was not, or not with this id.
    pub(crate) fn v2_arrived(&self, addr: SocketAddr, id: Option<PeerId>, out: &mut Outbox) {
        if self.nodes.is_none() {
            return;
        }
        for home in homes_of(addr, id) {
            out.push_event(NodeEvent::Arrived { home, addr });
        }
    }

    /// A peer of version 2 has left.
    pub(crate) fn v2_left(&self, now_us: u64, addr: SocketAddr, id: Option<PeerId>, out: &mut Outbox) {
        let (Some(v2), true) = (&self.v2, self.nodes.is_some()) else { return };
        let is_last = matches!(v2.peers().at_ip(addr.ip(), None, now_us), AtIp::Nobody);
        for home in homes_of(addr, id).filter(|home| is_last || home.kind != HomeKind::Address) {
            out.push_event(NodeEvent::Left(home));
        }
    }

    /// A legacy peer is here that was not.
    pub(crate) fn legacy_arrived(&self, now_us: u64, addr: SocketAddr, out: &mut Outbox) {
        let Some(nodes) = &self.nodes else { return };
        if let Some(home) = legacy_home(addr.ip())
            && charge(&nodes.legacy_arrivals, LEGACY_ARRIVALS, now_us)
        {
            out.push_event(NodeEvent::Arrived { home, addr });
        }
    }

    /// One step of a walk through all that are heard, which go into `homes`, each once. False at the end. A legacy peer
    /// is among them when it was heard again: forged ones are not.
    pub fn presence_step(&self, now_us: u64, cursor: &mut PresenceCursor, homes: &mut Vec<Home>) -> bool {
        let since_us = now_us.saturating_sub(HEARD_US);
        let mut seen = HashSet::new();
        let places = if let Some(shard) = self.shards().get(cursor.part) {
            let shard = shard.lock();
            let heard = shard.registrations.heard_since(cursor.place, PLACES, since_us, |ip| self.hash(ip));
            seen.extend(heard.filter_map(legacy_home));
            Some(shard.registrations.places())
        } else {
            let part = cursor.part - self.shards().len();
            let hear = |peer: crate::v2::PeerView| seen.extend(homes_of(peer.addr, peer.id));
            self.v2.as_ref().and_then(|v2| v2.peers().heard_since(part, cursor.place, PLACES, since_us, hear))
        };
        homes.extend(seen);
        let Some(places) = places else { return false };
        cursor.advance(PLACES, places);
        true
    }

    /// Steps that a walk takes.
    pub fn presence_steps(&self) -> usize {
        let legacy = self.shards().iter().map(|shard| shard.lock().registrations.places());
        let places = |part| self.v2.as_ref().and_then(|v2| v2.peers().heard_since(part, 0, 0, 0, drop));
        let v2 = (0..).map_while(places);
        legacy.chain(v2).map(|places| places.div_ceil(PLACES).max(1)).sum()
    }
}

fn homes_of(addr: SocketAddr, id: Option<PeerId>) -> impl Iterator<Item = Home> {
    let at = Peer::new(addr.ip()).ok().map(|peer| Home { owner: peer.into(), kind: HomeKind::Address });
    let kind = if addr.is_ipv4() { HomeKind::IdV4 } else { HomeKind::IdV6 };
    at.into_iter().chain(id.map(|id| Home { owner: id.into(), kind }))
}

fn legacy_home(ip: IpAddr) -> Option<Home> {
    Peer::new(ip).ok().map(|peer| Home { owner: peer.into(), kind: HomeKind::Legacy })
}
