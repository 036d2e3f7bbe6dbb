//! A laboratory of network namespaces: a wide area network, a server on it, and households behind routers.
//!
//! ```text
//!   host 10.N.0.2 --- lan  router  wan ---+
//!                                         +--- bridge 203.0.113.0/24 --- server 203.0.113.1
//!   host 10.M.0.2 --- lan  router  wan ---+
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::unistd::geteuid;

use crate::http::{Answer, Connection, Request};
use crate::namespace::{Namespace, succeed, sweep};
use crate::router::RouterKind;
use crate::skip::skipped;
use crate::udp::UdpPeer;

/// Where the server is on the wide area network.
pub const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

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

/// A router and the host behind it.
#[derive(Debug)]
pub struct Household {
    /// What its router does.
    pub kind: RouterKind,
    /// The address of the router that the wide area network sees.
    pub public: Ipv4Addr,
    host: Namespace,
    // Held so that it lives as long as the household.
    _router: Namespace,
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
        wan.ip("link add bridge type bridge");
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
        let port = format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed));
        namespace.join("wan", &self.wan, &port);
        self.wan.ip(&format!("link set {port} master bridge"));
        namespace.ip(&format!("addr add {address}/24 dev wan"));
    }

    /// A household with a router of this kind.
    pub fn household(&self, kind: RouterKind) -> Household {
        let number = FIRST_HOUSEHOLD + self.households.fetch_add(1, Ordering::Relaxed);
        let public = Ipv4Addr::new(203, 0, 113, number);
        let router = Namespace::make("router").expect("a lab is open");
        let host = Namespace::make("host").expect("a lab is open");
        self.attach(&router, public);
        router.join("lan", &host, "lan");
        router.ip(&format!("addr add 10.{number}.0.1/24 dev lan"));
        host.ip(&format!("addr add 10.{number}.0.2/24 dev lan"));
        host.ip(&format!("route add default via 10.{number}.0.1"));
        router.kernel_setting("net/ipv4/ip_forward", "1").expect("a router may forward");
        router.filter(&kind.rules());
        Household { kind, public, host, _router: router }
    }
}

impl Household {
    /// Runs `work` on its host, as [`Namespace::run`] does.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.host.run(work)
    }

    /// A socket of its host.
    pub fn socket(&self) -> UdpSocket {
        self.host.run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))).expect("a free port")
    }

    /// A peer on its host.
    pub fn peer(&self, server: SocketAddr) -> UdpPeer {
        UdpPeer::over(self.socket(), server)
    }

    /// An HTTP request of its host.
    #[track_caller]
    pub fn send(&self, server: SocketAddr, request: &Request) -> Answer {
        self.host
            .run(|| TcpStream::connect(server))
            .and_then(Connection::over)
            .and_then(|mut connection| connection.exchange(request))
            .expect("the server answers through the router")
    }

    /// Its public address, as a text.
    pub fn public_text(&self) -> String {
        IpAddr::from(self.public).to_string()
    }
}
