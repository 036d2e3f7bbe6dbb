use std::net::IpAddr;
use std::time::Duration;

use fastrand::Rng;

use crate::behaviour::{Mapping, RouterKind};
use crate::link::Link;
use crate::network::{Attach, Member, Network};
use crate::node::{Actions, Datagram, Node};
use crate::router::Router;
use crate::schedule::Schedule;

/// Events of one [`Simulation::run_until`]. Nodes that answer each other without end would otherwise hang a test.
const EVENTS_MAX: u64 = 50_000_000;

/// A host of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostId(usize);

/// A router of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouterId(usize);

/// What became of the datagrams so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Handed to a node.
    pub delivered: u64,
    /// Lost on a link.
    pub lost: u64,
    /// Not let through by a router.
    pub dropped: u64,
    /// Sent to an address that nobody has.
    pub unroutable: u64,
}

/// Hosts, routers and links in virtual time.
///
/// The ids that it takes are those that it gave.
#[derive(Debug)]
pub struct Simulation<N> {
    seed: u64,
    rng: Rng,
    now: Duration,
    schedule: Schedule<Event>,
    wan: Network,
    hosts: Vec<Host<N>>,
    routers: Vec<Gateway>,
    counts: Counts,
}

#[derive(Debug)]
struct Host<N> {
    attach: Attach,
    link: Link,
    addresses: Vec<IpAddr>,
    node: N,
    /// Timers with another number were replaced.
    timer: u64,
}

/// A router and the network behind it.
#[derive(Debug)]
struct Gateway {
    attach: Attach,
    link: Link,
    router: Router,
    inner: Network,
}

#[derive(Debug)]
enum Event {
    /// It has come to a network, which finds out where it goes from there.
    Routed(Attach, Datagram),
    /// It has come to a host, or to the outer side of a router.
    Arrived(Member, Datagram),
    /// A node wanted to be woken.
    Timer { host: HostId, timer: u64 },
}

#[expect(clippy::indexing_slicing, reason = "ids are numbers of what is never removed")]
impl<N: Node> Simulation<N> {
    /// An empty wide area network. All chance comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng::with_seed(seed),
            now: Duration::ZERO,
            schedule: Schedule::new(),
            wan: Network::default(),
            hosts: Vec::new(),
            routers: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Plugs in a router, by a link to the network that its outer side is in.
    ///
    /// # Panics
    ///
    /// Where that network has the address already.
    #[track_caller]
    pub fn router(&mut self, attach: Attach, outer_ip: IpAddr, kind: RouterKind, link: Link) -> RouterId {
        let id = RouterId(self.routers.len());
        self.network(attach).add(outer_ip, Member::Router(id));
        let router = Router::new(kind.behaviour(), outer_ip);
        self.routers.push(Gateway { attach, link, router, inner: Network::default() });
        id
    }

    /// Plugs in a host.
    ///
    /// # Panics
    ///
    /// Where that network has the address already.
    #[track_caller]
    pub fn host(&mut self, attach: Attach, ip: IpAddr, node: N, link: Link) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Host { attach, link, addresses: Vec::new(), node, timer: 0 });
        self.add_address(id, ip);
        id
    }

    /// Gives a host one more address.
    ///
    /// # Panics
    ///
    /// Where its network has the address already.
    #[track_caller]
    pub fn add_address(&mut self, host: HostId, ip: IpAddr) {
        let Host { attach, addresses, .. } = &mut self.hosts[host.0];
        addresses.push(ip);
        let mut attach = *attach;
        self.network(attach).add(ip, Member::Host(host));
        // Where nothing is translated, those outside know the way to it.
        while let Attach::Behind(id) = attach
            && self.routers[id.0].router.behaviour().mapping == Mapping::None
        {
            attach = self.routers[id.0].attach;
            self.network(attach).add(ip, Member::Router(id));
        }
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// What became of the datagrams so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The program of a host.
    pub fn node(&self, host: HostId) -> &N {
        &self.hosts[host.0].node
    }

    /// Has a node do something now, as a user does who presses a key.
    pub fn act<T>(&mut self, host: HostId, work: impl FnOnce(&mut N, Duration, &mut Actions) -> T) -> T {
        let mut actions = Actions::default();
        let result = work(&mut self.hosts[host.0].node, self.now, &mut actions);
        self.perform(host, actions);
        result
    }

    /// Lets time pass until then, with all that happens.
    pub fn run_until(&mut self, time: Duration) {
        self.run_until_or(time, |_| false);
    }

    /// Lets time pass until `done` or until then. Says whether it was `done`, which is asked after every event.
    ///
    /// # Panics
    ///
    /// After fifty million events.
    pub fn run_until_or(&mut self, time: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let mut events = 0;
        while !done(self) {
            let Some((at, event)) = self.schedule.next(time) else {
                self.now = self.now.max(time);
                return false;
            };
            self.now = at;
            self.happen(event);
            events += 1;
            assert!(events < EVENTS_MAX, "nodes without end, seed {}", self.seed);
        }
        true
    }

    fn network(&mut self, attach: Attach) -> &mut Network {
        match attach {
            Attach::Wan => &mut self.wan,
            Attach::Behind(id) => &mut self.routers[id.0].inner,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Routed(attach, datagram) => self.route(attach, datagram),
            Event::Arrived(Member::Router(id), datagram) => {
                let (from, to) = (datagram.from, datagram.to);
                match self.routers[id.0].router.inbound(self.now, from, to) {
                    Some(to) => self.deliver(Attach::Behind(id), Datagram { to, ..datagram }),
                    None => self.counts.dropped += 1,
                }
            }
            Event::Arrived(Member::Host(host), datagram) => {
                self.counts.delivered += 1;
                self.act(host, |node, now, actions| {
                    node.on_datagram(now, datagram.to, datagram.from, &datagram.bytes, actions);
                });
            }
            Event::Timer { host, timer } => {
                if self.hosts[host.0].timer == timer {
                    self.act(host, Node::on_timer);
                }
            }
        }
    }

    /// From a network to one of its members, or through its router and out.
    fn route(&mut self, attach: Attach, datagram: Datagram) {
        let Attach::Behind(id) = attach else {
            self.deliver(attach, datagram);
            return;
        };
        let Gateway { attach: outer, link, router, inner } = &mut self.routers[id.0];
        if inner.find(datagram.to.ip()).is_some() {
            self.deliver(attach, datagram);
            return;
        }
        let (outer, link) = (*outer, *link);
        let to_itself = datagram.to.ip() == router.outer_ip();
        let source = if to_itself && !router.behaviour().hairpin {
            None
        } else {
            router.outbound(self.now, datagram.from, datagram.to, &mut self.rng)
        };
        let Some(from) = source else {
            self.counts.dropped += 1;
            return;
        };
        if !to_itself {
            self.over_link(link, Datagram { from, ..datagram }, |datagram| Event::Routed(outer, datagram));
        } else if let Some(to) = router.inbound(self.now, from, datagram.to) {
            self.deliver(attach, Datagram { from, to, ..datagram });
        } else {
            self.counts.dropped += 1;
        }
    }

    /// From a network to one of its members.
    fn deliver(&mut self, attach: Attach, datagram: Datagram) {
        let Some(member) = self.network(attach).find(datagram.to.ip()) else {
            self.counts.unroutable += 1;
            return;
        };
        let link = match member {
            Member::Host(id) => self.hosts[id.0].link,
            Member::Router(id) => self.routers[id.0].link,
        };
        self.over_link(link, datagram, |datagram| Event::Arrived(member, datagram));
    }

    fn perform(&mut self, host: HostId, actions: Actions) {
        let Host { attach, link, addresses, timer, .. } = &mut self.hosts[host.0];
        let (attach, link) = (*attach, *link);
        for Datagram { from, .. } in &actions.sends {
            assert!(addresses.contains(&from.ip()), "a host sends from {from}, and has {addresses:?}");
        }
        if let Some(at) = actions.wake_at {
            *timer += 1;
            let timer = *timer;
            self.schedule.add(at.max(self.now), Event::Timer { host, timer });
        }
        for datagram in actions.sends {
            self.over_link(link, datagram, |datagram| Event::Routed(attach, datagram));
        }
    }

    fn over_link(&mut self, link: Link, datagram: Datagram, event: impl FnOnce(Datagram) -> Event) {
        match link.pass(&mut self.rng) {
            Some(takes) => self.schedule.add(self.now + takes, event(datagram)),
            None => self.counts.lost += 1,
        }
    }
}
