//! Which nodes are asked for a target, and in which order.

use std::net::IpAddr;

use peer_core::datagram::v2::{ErrorCode, Target};
use peer_core::{NodeId, Owner, Peer};
use registry::nodes::{HomeAt, HomeKind};

use super::asks::{Ask, Asker};

/// Other nodes that are asked for one target, one after the other.
const NODES_PER_ASK_MAX: usize = 4;

/// Where Redis has what it knows of a target.
pub(crate) fn owner_of(target: Target) -> Option<Owner> {
    let of_ip = |ip: IpAddr| Peer::new(ip).ok().map(Owner::from);
    match target {
        Target::Id(id) => Some(id.into()),
        Target::Ip(ip) => of_ip(ip),
        Target::Addr(addr) => of_ip(addr.ip()),
    }
}

/// Whom to ask, the last one first; an error where that is not for us to say. This node itself comes last where it is among those
/// that hear the target: it was not here when it was asked for, and may have come since.
pub(super) fn choose(ask: &Ask, homes: &[HomeAt], this: NodeId) -> Result<Vec<NodeId>, ErrorCode> {
    let of = |wanted: &[HomeKind]| {
        let mut nodes: Vec<NodeId> = Vec::new();
        for kind in wanted {
            for home in homes.iter().filter(|home| home.kind == *kind && home.node != this) {
                if !nodes.contains(&home.node) {
                    nodes.push(home.node);
                }
            }
        }
        nodes
    };
    let kinds: &[HomeKind] = match (&ask.asker, ask.target) {
        (Asker::V2 { peer, .. }, Target::Id(_)) if peer.addr.is_ipv4() => &[HomeKind::IdV4],
        (Asker::V2 { .. }, Target::Id(_)) => &[HomeKind::IdV6],
        _ => &[HomeKind::Address, HomeKind::Legacy],
    };
    let mut chosen = match (&ask.asker, ask.target) {
        (Asker::V2 { .. }, Target::Id(_) | Target::Addr(_)) => of(kinds),
        (Asker::V2 { .. }, Target::Ip(_)) => {
            let of_v2 = of(&[HomeKind::Address]);
            match of_v2.len() {
                0 => of(&[HomeKind::Legacy]),
                1 => of_v2,
                _ => return Err(ErrorCode::Ambiguous),
            }
        }
        // Whoever was heard last, of either version.
        (Asker::Legacy { .. }, _) => {
            let mut nodes = Vec::new();
            for home in homes.iter().filter(|home| home.node != this) {
                if kinds.contains(&home.kind) && !nodes.contains(&home.node) {
                    nodes.push(home.node);
                }
            }
            nodes
        }
    };
    chosen.truncate(NODES_PER_ASK_MAX);
    if homes.iter().any(|home| home.node == this && kinds.contains(&home.kind)) {
        chosen.push(this);
    }
    chosen.reverse();
    Ok(chosen)
}
