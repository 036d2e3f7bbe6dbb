use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use fastrand::Rng;

use crate::behaviour::{Behaviour, Filtering, Mapping, Strays};
use crate::flow::{Flows, Holder, Side, Tuple};

/// The ports that a router chooses from.
const PORTS: std::ops::RangeInclusive<u16> = 1_024..=u16::MAX;

/// Random ports that are tried before a datagram is dropped for want of one (`NF_NAT_MAX_ATTEMPTS` of the kernel).
const ATTEMPTS_MAX: u32 = 128;

/// A router's state: who talks to whom through it.
#[derive(Debug)]
pub(crate) struct Router {
    behaviour: Behaviour,
    outer_ip: IpAddr,
    flows: Flows,
    /// By inner address; of endpoint-independent mapping only.
    mappings: BTreeMap<SocketAddr, Cone>,
    /// Who has which outer port; may name one whose mapping has expired.
    owners: BTreeMap<u16, SocketAddr>,
}

/// The one outer port of an inner address and port. It lives as long as any flow through it.
#[derive(Debug)]
struct Cone {
    port: u16,
    expires: Duration,
    /// Whom the host has written to, and until when that counts.
    contacted: BTreeMap<IpAddr, Duration>,
}

impl Router {
    pub(crate) fn new(behaviour: Behaviour, outer_ip: IpAddr) -> Self {
        Self {
            behaviour,
            outer_ip,
            flows: Flows::default(),
            mappings: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        self.behaviour
    }

    pub(crate) fn outer_ip(&self) -> IpAddr {
        self.outer_ip
    }

    /// A datagram of a host behind it, to be sent on. Gives the source that it leaves with; `None` where it is dropped.
    pub(crate) fn outbound(
        &mut self,
        now: Duration,
        inside: SocketAddr,
        remote: SocketAddr,
        rng: &mut Rng,
    ) -> Option<SocketAddr> {
        let known = self.flows.tuple_of(now, inside, remote);
        let tuple = known.or_else(|| {
            let tuple = Tuple { remote, outer: self.choose(now, inside, remote, rng)? };
            self.flows.open(now, tuple, Holder::Inside(inside), Side::Inside).then_some(tuple)
        })?;
        let expires = self.flows.pass(now, tuple, Side::Inside)?.expires;
        if self.behaviour.mapping == Mapping::EndpointIndependent {
            self.owners.insert(tuple.outer.port(), inside);
            let cone = self.mappings.entry(inside).or_insert_with(|| Cone {
                port: tuple.outer.port(),
                expires,
                contacted: BTreeMap::new(),
            });
            cone.port = tuple.outer.port();
            cone.expires = cone.expires.max(expires);
            cone.contacted.insert(remote.ip(), expires);
        }
        Some(tuple.outer)
    }

    /// A datagram from the other side. Gives the host that it is for; `None` where it is not let in.
    pub(crate) fn inbound(
        &mut self,
        now: Duration,
        remote: SocketAddr,
        outer: SocketAddr,
    ) -> Option<SocketAddr> {
        let tuple = Tuple { remote, outer };
        if let Some(flow) = self.flows.pass(now, tuple, Side::Outside) {
            let Holder::Inside(inside) = flow.holder else { return None };
            let expires = flow.expires;
            if let Some(cone) = self.mappings.get_mut(&inside) {
                cone.expires = cone.expires.max(expires);
            }
            return Some(inside);
        }
        if let Some(inside) = self.expected_by(now, remote, outer.port()) {
            return self.flows.open(now, tuple, Holder::Inside(inside), Side::Outside).then_some(inside);
        }
        if self.behaviour.strays == Strays::TakeThePort {
            self.flows.open(now, tuple, Holder::Router, Side::Outside);
        }
        None
    }

    /// The host that a datagram without a flow of its own is for, where the filter lets it in.
    fn expected_by(&self, now: Duration, remote: SocketAddr, port: u16) -> Option<SocketAddr> {
        let inside = *self.owners.get(&port)?;
        let cone = self.cone_of(now, inside).filter(|cone| cone.port == port)?;
        let expected = match self.behaviour.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => cone.contacted.get(&remote.ip()).is_some_and(|until| *until > now),
            // Whom the host has written to has a flow.
            Filtering::AddressAndPortDependent => false,
        };
        expected.then_some(inside)
    }

    fn cone_of(&self, now: Duration, inside: SocketAddr) -> Option<&Cone> {
        self.mappings.get(&inside).filter(|cone| cone.expires > now)
    }

    /// The outer address for a new flow.
    fn choose(
        &self,
        now: Duration,
        inside: SocketAddr,
        remote: SocketAddr,
        rng: &mut Rng,
    ) -> Option<SocketAddr> {
        let own = SocketAddr::new(self.outer_ip, inside.port());
        let unused = |outer: &SocketAddr| !self.flows.has(now, Tuple { remote, outer: *outer });
        let unowned = |outer: &SocketAddr| {
            let owner = self.owners.get(&outer.port());
            owner.is_none_or(|owner| *owner == inside || self.cone_of(now, *owner).is_none())
        };
        match self.behaviour.mapping {
            Mapping::None => Some(inside),
            Mapping::EndpointIndependent => match self.cone_of(now, inside) {
                Some(cone) => Some(SocketAddr::new(self.outer_ip, cone.port)),
                None => self.first([own], rng, unowned),
            },
            Mapping::PortPreserving => {
                let newest = self.flows.newest_of(now, inside);
                self.first(newest.into_iter().chain([own]), rng, unused)
            }
            Mapping::AddressAndPortDependent => self.first([], rng, unused),
        }
    }

    /// A preferred address or a random one, whichever is free first.
    fn first(
        &self,
        preferred: impl IntoIterator<Item = SocketAddr>,
        rng: &mut Rng,
        is_free: impl Fn(&SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let random = (0..ATTEMPTS_MAX).map(|_| SocketAddr::new(self.outer_ip, rng.u16(PORTS)));
        preferred.into_iter().chain(random).find(is_free)
    }
}
