use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::http::{Answer, Connection, Request};
use crate::lab::line::Line;
use crate::lab::{forget, v6};
use crate::namespace::Namespace;
use crate::process::{Launch, Process};
use crate::router::RouterKind;
use crate::udp::UdpPeer;

/// A router and the hosts behind it: one at first.
#[derive(Debug)]
pub struct Household {
    /// What its router does.
    pub kind: RouterKind,
    /// What the wide area network sees its first host by: the outer address of the outermost router, or the host's own
    /// address where nothing is translated.
    pub public: IpAddr,
    pub(crate) number: u8,
    pub(crate) hosts: Vec<Namespace>,
    // Before the router, which has an end of it.
    pub(crate) line: Option<Line>,
    pub(crate) router: Namespace,
}

impl Household {
    /// Connects one more host to the router's network.
    pub(crate) fn move_in(&mut self) {
        let place = self.hosts.len() + 2;
        let host = Namespace::make("host").expect("a lab is open");
        let port = format!("lan{place}");
        self.router.join(&port, &host, "lan");
        self.router.ip(&format!("link set {port} master lan"));
        let number = self.number;
        if self.kind == RouterKind::Firewall {
            host.add_v6_address(v6(&format!("2001:db8:{number}::{place}")), "lan");
            host.ip(&format!("-6 route add default via 2001:db8:{number}::1"));
        } else {
            host.ip(&format!("addr add 10.{number}.0.{place}/24 dev lan"));
            host.ip(&format!("route add default via 10.{number}.0.1"));
        }
        self.hosts.push(host);
    }

    /// With one more host.
    #[must_use]
    pub fn with_another_host(mut self) -> Self {
        self.move_in();
        self
    }

    /// Runs `work` on host number `host`, from 0. Sockets and processes that it makes stay there.
    pub fn run<T: Send>(&self, host: usize, work: impl FnOnce() -> T + Send) -> T {
        self.hosts[host].run(work)
    }

    /// A socket of host number `host`, on a free port of its address.
    pub fn socket_of(&self, host: usize) -> UdpSocket {
        let address = self.address_of(host);
        self.run(host, || UdpSocket::bind((address, 0))).expect("a free port")
    }

    /// The address of host number `host`, as it sees it.
    pub fn address_of(&self, host: usize) -> IpAddr {
        let (number, place) = (self.number, host + 2);
        let text = match self.kind {
            RouterKind::Firewall => format!("2001:db8:{number}::{place}"),
            _ => format!("10.{number}.0.{place}"),
        };
        text.parse().expect("an address")
    }

    /// What it is made of.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.hosts.iter().chain([&self.router])
    }

    /// A socket of its first host.
    pub fn socket(&self) -> UdpSocket {
        self.socket_of(0)
    }

    /// A peer on its first host.
    pub fn peer(&self, server: SocketAddr) -> UdpPeer {
        UdpPeer::over(self.socket(), server)
    }

    /// Starts a program on its first host and waits for nothing.
    pub fn spawn(&self, launch: &Launch) -> Process {
        self.run(0, || launch.spawn())
    }

    /// From now on, the server is so much farther from it than all others are, each way. It needs a line for that.
    pub fn keep_server_away(&self, detour: Duration) {
        self.line.as_ref().expect("a household on a line").keep_server_away(detour);
    }

    /// Makes its router forget every flow, as one that has just been switched on.
    pub fn forget(&self) {
        forget(&self.router, self.kind);
    }

    /// An HTTP request of its first host.
    #[track_caller]
    pub fn send(&self, server: SocketAddr, request: &Request) -> Answer {
        self.run(0, || TcpStream::connect(server))
            .and_then(Connection::over)
            .and_then(|mut connection| connection.exchange(request))
            .expect("the server answers through the router")
    }

    /// Its public address, as a text.
    pub fn public_text(&self) -> String {
        self.public.to_string()
    }
}
