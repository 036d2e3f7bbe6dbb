//! The flows that a router knows, with the lifetimes of Linux conntrack.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// A flow that was not answered, or was answered once (`nf_conntrack_udp_timeout`).
pub(crate) const UNASSURED: Duration = Duration::from_secs(30);

/// A flow that goes on after both have spoken (`nf_conntrack_udp_timeout_stream`).
pub(crate) const ASSURED: Duration = Duration::from_mins(2);

/// What is younger than this does not count as going on.
const STREAM_AFTER: Duration = Duration::from_secs(2);

/// Flows that a router keeps; beyond that it forwards no new ones.
pub(crate) const FLOWS_MAX: usize = 65_536;

/// Whose a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// That of a host behind the router, by its inner address and port.
    Inside(SocketAddr),
    /// The router's own: somebody wrote to it and was not let in.
    Router,
}

/// Which side a datagram comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Inside,
    Outside,
}

/// The outer tuple of a flow: the other end, and the router's address and port that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tuple {
    pub(crate) remote: SocketAddr,
    pub(crate) outer: SocketAddr,
}

#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) holder: Holder,
    started_by: Side,
    started: Duration,
    /// How many were opened before it.
    number: u64,
    answered: bool,
    pub(crate) expires: Duration,
}

impl Flow {
    /// A datagram of this flow passes. As in the kernel, the first answer itself does not lengthen the life.
    fn pass(&mut self, now: Duration, from: Side) {
        let stream = self.answered && now > self.started + STREAM_AFTER;
        self.expires = now + if stream { ASSURED } else { UNASSURED };
        self.answered |= from != self.started_by;
    }
}

/// All flows of a router, found from either side. No two have the same outer tuple.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    by_tuple: BTreeMap<Tuple, Flow>,
    /// By inner end and other end.
    by_inside: BTreeMap<(SocketAddr, SocketAddr), Tuple>,
    opened: u64,
}

impl Flows {
    /// Whether a living flow has this tuple.
    pub(crate) fn has(&self, now: Duration, tuple: Tuple) -> bool {
        self.by_tuple.get(&tuple).is_some_and(|flow| flow.expires > now)
    }

    /// The tuple by which this host talks to that other end.
    pub(crate) fn tuple_of(&self, now: Duration, inside: SocketAddr, remote: SocketAddr) -> Option<Tuple> {
        self.by_inside.get(&(inside, remote)).copied().filter(|tuple| self.has(now, *tuple))
    }

    /// The outer address of the newest living flow of this host's port.
    pub(crate) fn newest_of(&self, now: Duration, inside: SocketAddr) -> Option<SocketAddr> {
        let first = (inside, SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
        let of_port = self.by_inside.range(first..).take_while(|((owner, _), _)| *owner == inside);
        let living = of_port.filter_map(|(_, tuple)| Some((self.by_tuple.get(tuple)?, tuple)));
        let newest = living.filter(|(flow, _)| flow.expires > now).max_by_key(|(flow, _)| flow.number);
        newest.map(|(_, tuple)| tuple.outer)
    }

    /// Lets a datagram pass on a living flow.
    pub(crate) fn pass(&mut self, now: Duration, tuple: Tuple, from: Side) -> Option<&Flow> {
        let flow = self.by_tuple.get_mut(&tuple).filter(|flow| flow.expires > now)?;
        flow.pass(now, from);
        Some(flow)
    }

    /// A new flow, whose first datagram passes just now. False where there is no room.
    pub(crate) fn open(&mut self, now: Duration, tuple: Tuple, holder: Holder, from: Side) -> bool {
        if self.by_tuple.len() >= FLOWS_MAX {
            self.forget_expired(now);
            if self.by_tuple.len() >= FLOWS_MAX {
                return false;
            }
        }
        let number = self.opened;
        self.opened += 1;
        let expires = now + UNASSURED;
        let flow = Flow { holder, started_by: from, started: now, number, answered: false, expires };
        let former = self.by_tuple.insert(tuple, flow);
        if let Some(Flow { holder: Holder::Inside(inside), .. }) = former {
            self.by_inside.remove(&(inside, tuple.remote));
        }
        if let Holder::Inside(inside) = holder {
            self.by_inside.insert((inside, tuple.remote), tuple);
        }
        true
    }

    fn forget_expired(&mut self, now: Duration) {
        self.by_tuple.retain(|_, flow| flow.expires > now);
        let living = &self.by_tuple;
        self.by_inside.retain(|_, tuple| living.contains_key(tuple));
    }
}
