//! What peers of version 2 are told by a node that is about to end.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use peer_core::datagram::v2::{MoveTargets, Reply};
use peer_core::limits::V2_MOVE_MAX;

use super::PresenceCursor;
use crate::Engine;
use crate::outbox::Outbox;

/// Peers that one step tells at most.
const PEERS: usize = 64;

/// Where peers are told to move.
#[derive(Debug, Clone)]
pub(crate) struct Moving {
    to: Vec<SocketAddr>,
    until_us: u64,
}

impl Engine {
    /// From now on peers of version 2 are told to move to one of `to`, until when this node ends.
    pub fn set_moving(&self, to: &[SocketAddr], until_us: u64) {
        if let Some(nodes) = &self.nodes {
            *nodes.moving.write() = Some(Moving { to: to.to_vec(), until_us });
            nodes.is_moving.store(!to.is_empty(), Ordering::Relaxed);
        }
    }

    /// What a peer is told that is to move; `None` where it may stay.
    pub(crate) fn moving(&self, now_us: u64, peer: SocketAddr) -> Option<Reply> {
        let nodes = self.nodes.as_ref().filter(|nodes| nodes.is_moving.load(Ordering::Relaxed))?;
        let moving = nodes.moving.read();
        let moving = moving.as_ref()?;
        let of_family = || moving.to.iter().filter(|addr| addr.is_ipv4() == peer.is_ipv4());
        let count = of_family().count();
        // Each begins with another one, so that they are spread.
        let first = usize::try_from(self.hash_of(&peer) >> 32).unwrap_or(0).checked_rem(count)?;
        let to: MoveTargets =
            of_family().skip(first).chain(of_family().take(first)).take(V2_MOVE_MAX).copied().collect();
        let left_us = moving.until_us.saturating_sub(now_us);
        let within_secs = u32::try_from(left_us.div_ceil(1_000_000)).unwrap_or(u32::MAX);
        Some(Reply::Move { to, within_secs })
    }

    /// One step of a walk through all peers of version 2, which are told to move. False at the end.
    pub fn move_step(&self, now_us: u64, cursor: &mut PresenceCursor, out: &mut Outbox) -> bool {
        let Some(v2) = &self.v2 else { return false };
        let tell = |peer: crate::v2::PeerView| {
            if let Some(reply) = self.moving(now_us, peer.addr) {
                out.push_with(peer.addr, peer.via, |bytes| reply.encode(bytes));
            }
        };
        let Some(places) = v2.peers().heard_since(cursor.part, cursor.place, PEERS, 0, tell) else {
            return false;
        };
        cursor.advance(PEERS, places);
        true
    }
}
