//! A laboratory of network namespaces: a wide area network, a server on it, and households behind routers.
//!
//! ```text
//!   host 10.N.0.2 --- lan  router  wan ---------------------------+
//!                                                                 +--- bridge 203.0.113.0/24 --- server 203.0.113.1
//!   host 10.M.0.2 --- lan  router  wan --- lan  carrier  wan -----+           2001:db8::/64             2001:db8::1
//!                                          100.64.0.0/10
//! ```
//!
//! The addresses are those of documentation (RFC 5737, RFC 3849), of private networks and of carriers (RFC 6598), and
//! exist inside the namespaces only.

mod conntrack;
mod household;
mod line;
pub mod matrix;
pub mod trials;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use nat_simulator::Link;
use nix::unistd::geteuid;

pub use household::Household;
use line::Line;

use crate::deadline::{PATIENCE, eventually};
use crate::namespace::{Namespace, succeed, sweep};
use crate::router::{self, RouterKind};
use crate::skip::skipped;

/// Where the server is on the wide area network.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// The same for IPv6.
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The wide area network's own address, by which households with a [`RouterKind::Firewall`] reach each other.
const WAN_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff);

/// Where a [`MaskedServer`] is in the network of its container engine.
pub const MASKED_SERVER: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 2);

/// What a [`MaskedServer`] takes everybody for.
pub const MASK: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);

/// What every bridge is called in its own network. One without a name has that of its lowest port, and so another one as soon as
/// a lower port is added; who knows it by the former one is then not heard any more.
const BRIDGE_MAC: &str = "02:00:00:00:00:01";

/// A port of [`WAN_V6`] that nobody listens on.
const CLOSED_PORT: u16 = 9;

/// The last number of the first household's public address.
const FIRST_HOUSEHOLD: u8 = 10;

/// What a machine must have for a lab.
const NEEDS: &str = "root and nftables";

/// A wide area network, empty at first. All that was made goes when it is dropped, households before it.
#[derive(Debug)]
pub struct Lab {
    wan: Namespace,
    ports: AtomicU8,
    households: AtomicU8,
}

/// The router of a provider that has no public address for each customer (RFC 6598).
#[derive(Debug)]
pub struct Carrier {
    kind: RouterKind,
    number: u8,
    // Before the router, which has an end of it.
    _line: Option<Line>,
    router: Namespace,
    customers: AtomicU8,
}

/// A server in the network of a container engine that shows it the same source for everybody.
#[derive(Debug)]
pub struct MaskedServer {
    /// Where to start it, listening at [`MASKED_SERVER`].
    pub namespace: Namespace,
    // Held so that it lives as long as the server.
    _engine: Namespace,
}

impl Lab {
    /// A new lab. None where the machine cannot make one, which is then said loudly.
    pub fn open() -> Option<Self> {
        match Self::try_open() {
            Ok(lab) => Some(lab),
            Err(reason) => {
                skipped(NEEDS, &reason);
                None
            }
        }
    }

    fn try_open() -> Result<Self, String> {
        if !geteuid().is_root() {
            return Err("not root".to_owned());
        }
        succeed(Command::new("nft").arg("--version"))?;
        sweep();
        let wan = Namespace::make("wan")?;
        wan.run(|| succeed(Command::new("nft").args(["list", "ruleset"])))?;
        wan.ip(&format!("link add bridge address {BRIDGE_MAC} type bridge"));
        wan.ip("link set bridge up");
        Ok(Self { wan, ports: AtomicU8::new(0), households: AtomicU8::new(0) })
    }

    /// A namespace for a server, which has the address [`SERVER`] and nothing between it and the wide area network.
    pub fn server(&self) -> Namespace {
        let server = Namespace::make("server").expect("a lab is open");
        self.attach(&server, SERVER);
        server
    }

    /// Gives a namespace, which may be that of a container, an interface on the wide area network.
    pub fn attach(&self, namespace: &Namespace, address: Ipv4Addr) {
        let port = self.new_port();
        namespace.join("wan", &self.wan, &port);
        self.wan.ip(&format!("link set {port} master bridge"));
        namespace.ip(&format!("addr add {address}/24 dev wan"));
    }

    /// Gives a [`Lab::server`] the address [`SERVER_V6`], and later households with a [`RouterKind::Firewall`] a way to it.
    pub fn speak_ipv6(&self, server: &Namespace) {
        self.wan.kernel_setting("net/ipv6/conf/all/forwarding", "1").expect("the kernel has IPv6");
        self.wan.add_v6_address(WAN_V6, "bridge");
        server.add_v6_address(SERVER_V6, "wan");
        server.ip(&format!("-6 route add default via {WAN_V6}"));
    }

    /// A server behind a container engine's network address translation, which is reached at [`SERVER`] and `port`.
    pub fn masked_server(&self, port: u16) -> MaskedServer {
        let engine = Namespace::make("engine").expect("a lab is open");
        let namespace = Namespace::make("server").expect("a lab is open");
        self.attach(&engine, SERVER);
        engine.join("lan", &namespace, "lan");
        engine.ip(&format!("addr add {MASK}/16 dev lan"));
        namespace.ip(&format!("addr add {MASKED_SERVER}/16 dev lan"));
        namespace.ip(&format!("route add default via {MASK}"));
        engine.kernel_setting("net/ipv4/ip_forward", "1").expect("a router may forward");
        engine.filter(&router::publish(port, MASKED_SERVER.into()));
        MaskedServer { namespace, _engine: engine }
    }

    /// A household with a router of this kind.
    pub fn household(&self, kind: RouterKind) -> Household {
        self.new_household(kind, |router, number| {
            self.attach(router, Ipv4Addr::new(203, 0, 113, number));
            None
        })
    }

    /// The same, on a line that delays, jitters and loses, with chance from `seed`.
    pub fn household_on(&self, kind: RouterKind, link: Link, seed: u64) -> Household {
        self.new_household(kind, |router, number| Some(self.lay_line(router, number, link, seed)))
    }

    /// A provider's router of this kind, with a network for customers behind it.
    pub fn carrier(&self, kind: RouterKind) -> Carrier {
        self.new_carrier(kind, |router, number| {
            self.attach(router, Ipv4Addr::new(203, 0, 113, number));
            None
        })
    }

    /// The same, on a line that delays, jitters and loses, with chance from `seed`.
    pub fn carrier_on(&self, kind: RouterKind, link: Link, seed: u64) -> Carrier {
        self.new_carrier(kind, |router, number| Some(self.lay_line(router, number, link, seed)))
    }

    fn new_carrier(&self, kind: RouterKind, plug_in: impl FnOnce(&Namespace, u8) -> Option<Line>) -> Carrier {
        let number = self.next_number();
        let router = Namespace::make("carrier").expect("a lab is open");
        let line = plug_in(&router, number);
        make_router(&router, kind, Ipv4Addr::new(203, 0, 113, number).into());
        router.ip("addr add 100.64.0.1/10 dev lan");
        Carrier { kind, number, _line: line, router, customers: AtomicU8::new(0) }
    }

    /// Gives a router an interface on the wide area network, and the public address of this number, by a line.
    fn lay_line(&self, router: &Namespace, number: u8, link: Link, seed: u64) -> Line {
        let port = self.new_port();
        let laid = Line::lay([(router, "wan"), (&self.wan, &port)], link, seed).expect("root has TAP");
        self.wan.ip(&format!("link set {port} master bridge"));
        router.ip(&format!("addr add 203.0.113.{number}/24 dev wan"));
        laid
    }

    /// A household whose router, of this kind, has no public address but one of the carrier.
    pub fn customer(&self, carrier: &Carrier, kind: RouterKind) -> Household {
        let mut household = self.new_household(kind, |router, _| {
            let place = 2 + carrier.customers.fetch_add(1, Ordering::Relaxed);
            let port = format!("lan{place}");
            carrier.router.join(&port, router, "wan");
            carrier.router.ip(&format!("link set {port} master lan"));
            router.ip(&format!("addr add 100.64.0.{place}/10 dev wan"));
            router.ip("route add default via 100.64.0.1");
            None
        });
        household.public = Ipv4Addr::new(203, 0, 113, carrier.number).into();
        household
    }

    fn new_household(
        &self,
        kind: RouterKind,
        plug_in: impl FnOnce(&Namespace, u8) -> Option<Line>,
    ) -> Household {
        let number = self.next_number();
        let router = Namespace::make("router").expect("a lab is open");
        let line = plug_in(&router, number);
        let outer = Ipv4Addr::new(203, 0, 113, number).into();
        make_router(&router, kind, outer);
        if kind == RouterKind::Firewall {
            let outer = v6(&format!("2001:db8::{number}"));
            router.add_v6_address(outer, "wan");
            router.ip(&format!("-6 route add default via {WAN_V6}"));
            router.add_v6_address(v6(&format!("2001:db8:{number}::1")), "lan");
            self.wan.ip(&format!("-6 route add 2001:db8:{number}::/64 via {outer}"));
        } else {
            router.ip(&format!("addr add 10.{number}.0.1/24 dev lan"));
        }
        let mut household = Household { kind, public: outer, number, hosts: Vec::new(), line, router };
        household.move_in();
        if kind == RouterKind::Firewall {
            meet_the_wan(&household.router);
            household.public = household.address_of(0);
        }
        household
    }

    fn new_port(&self) -> String {
        format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed))
    }

    fn next_number(&self) -> u8 {
        FIRST_HOUSEHOLD + self.households.fetch_add(1, Ordering::Relaxed)
    }
}

impl Carrier {
    /// What it does.
    pub fn kind(&self) -> RouterKind {
        self.kind
    }

    /// Makes its router forget every flow.
    pub fn forget(&self) {
        forget(&self.router, self.kind);
    }
}

/// Makes a router of this kind forget every flow, as one that has just been switched on.
fn forget(router: &Namespace, kind: RouterKind) {
    router.run(conntrack::flush).expect("root may empty a table of its own");
    let commands = router::forgetting(kind);
    if !commands.is_empty() {
        router.filter(commands);
    }
}

/// Waits until a router and the wide area network have found each other by neighbour discovery, which asks again after a
/// second only. The server is reached without it: the first who needed it would be punches, whose rounds last a second.
fn meet_the_wan(router: &Namespace) {
    eventually(PATIENCE, "the wide area network refuses a router", || {
        let refused = router.run(|| TcpStream::connect((WAN_V6, CLOSED_PORT)));
        refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
}

/// The address that a household's number is written into.
fn v6(text: &str) -> Ipv6Addr {
    text.parse().expect("an address")
}

/// Makes a namespace that has its `wan` forward, with an empty `lan`.
fn make_router(router: &Namespace, kind: RouterKind, outer: IpAddr) {
    router.ip(&format!("link add lan address {BRIDGE_MAC} type bridge"));
    router.ip("link set lan up");
    let family =
        if kind == RouterKind::Firewall { "net/ipv6/conf/all/forwarding" } else { "net/ipv4/ip_forward" };
    router.kernel_setting(family, "1").expect("a router may forward");
    router.filter(&router::rules(kind, outer));
}
