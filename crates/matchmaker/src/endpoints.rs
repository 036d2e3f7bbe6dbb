use std::net::{IpAddr, SocketAddr};

use crate::Arrival;

/// Our sockets as the engine has to know them: by their number, and which of them is the same address on the other
/// port. Without an alternate port none has another.
#[derive(Debug, Default)]
pub struct Endpoints {
    sockets: Vec<Endpoint>,
}

#[derive(Debug, Clone, Copy)]
struct Endpoint {
    addr: SocketAddr,
    is_alt: bool,
    /// The same address on the other port.
    other: Option<u8>,
}

impl Endpoints {
    /// The sockets in the order of their numbers ([`Arrival::socket`]), by the addresses that they are bound to: first
    /// those on main ports, then those on the alternate port.
    pub fn new(main: &[SocketAddr], alt: &[SocketAddr]) -> Self {
        let of = |addrs: &[SocketAddr], ip: IpAddr| addrs.iter().position(|addr| addr.ip() == ip);
        let number = |index: usize| u8::try_from(index).ok();
        let mains = main.iter().map(|addr| Endpoint {
            addr: *addr,
            is_alt: false,
            other: of(alt, addr.ip()).and_then(|index| number(main.len() + index)),
        });
        let alts = alt.iter().map(|addr| Endpoint {
            addr: *addr,
            is_alt: true,
            other: of(main, addr.ip()).and_then(number),
        });
        Self { sockets: mains.chain(alts).collect() }
    }

    /// The address of ours that a datagram was sent to, where it is known.
    pub(crate) fn asked(&self, arrival: &Arrival) -> Option<SocketAddr> {
        let bound = self.get(arrival.socket).map(|endpoint| endpoint.addr.ip());
        let ip = arrival.local.or_else(|| bound.filter(|ip| !ip.is_unspecified()))?;
        Some(SocketAddr::new(ip.to_canonical(), arrival.local_port))
    }

    /// The number and the port of the socket on the other port of the address that a datagram came in on: the alternate
    /// port of a main one, the main port of an alternate one.
    pub(crate) fn other_port(&self, arrival: &Arrival) -> Option<(u8, u16)> {
        let number = self.get(arrival.socket)?.other?;
        Some((number, self.get(number)?.addr.port()))
    }

    /// Whether a datagram came in on the alternate port.
    pub(crate) fn is_alt(&self, arrival: &Arrival) -> bool {
        self.get(arrival.socket).is_some_and(|endpoint| endpoint.is_alt)
    }

    /// The alternate port of the address that a datagram came in on, on its main port.
    pub(crate) fn alt_port(&self, arrival: &Arrival) -> Option<u16> {
        self.other_port(arrival).filter(|_| !self.is_alt(arrival)).map(|(_, port)| port)
    }

    /// Whether this is the address that a datagram was sent to, or that on the other port: what seems to come from there
    /// was forged to make us talk to ourselves.
    pub(crate) fn is_ourselves(&self, from: SocketAddr, arrival: &Arrival) -> bool {
        let other = self.other_port(arrival).map(|(_, port)| port);
        let ports = [Some(arrival.local_port), other];
        ports.contains(&Some(from.port())) && self.asked(arrival).is_some_and(|asked| asked.ip() == from.ip())
    }

    /// The number and the port of the first socket that serves `ip`, on a main port or on the alternate one.
    pub(crate) fn serving(&self, ip: IpAddr, is_alt: bool) -> Option<(u8, u16)> {
        let serves = |endpoint: &Endpoint| {
            let bound = endpoint.addr.ip();
            endpoint.is_alt == is_alt
                && (bound == ip || bound.is_unspecified() && bound.is_ipv4() == ip.is_ipv4())
        };
        let index = self.sockets.iter().position(serves)?;
        Some((u8::try_from(index).ok()?, self.sockets.get(index)?.addr.port()))
    }

    fn get(&self, socket: u8) -> Option<&Endpoint> {
        self.sockets.get(usize::from(socket))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn arrival(socket: u8, local: Option<&str>, local_port: u16) -> Arrival {
        let local = local.map(|ip| ip.parse().unwrap());
        Arrival { from: addr("203.0.113.1:5"), socket, local, local_port }
    }

    #[test]
    fn each_port_has_the_other_one_of_its_address() {
        let main = [addr("0.0.0.0:1"), addr("[::]:1"), addr("192.0.2.1:3")];
        let endpoints = Endpoints::new(&main, &[addr("[::]:2"), addr("0.0.0.0:2")]);
        let others = [(0, 1), (1, 1), (2, 3), (3, 2), (4, 2), (5, 2)]
            .map(|(socket, port)| endpoints.other_port(&arrival(socket, None, port)));
        assert_eq!(others, [Some((4, 2)), Some((3, 2)), None, Some((1, 1)), Some((0, 1)), None]);
        assert_eq!(endpoints.serving(addr("198.51.100.1:0").ip(), true), Some((4, 2)));
        assert_eq!(endpoints.serving(addr("[2001:db8::1]:0").ip(), false), Some((1, 1)));
        assert_eq!(Endpoints::new(&main, &[]).other_port(&arrival(0, None, 1)), None);
    }

    #[test]
    fn the_address_that_was_asked_is_what_the_kernel_says_or_the_only_one() {
        let endpoints = Endpoints::new(&[addr("0.0.0.0:1"), addr("192.0.2.1:1")], &[]);
        assert_eq!(endpoints.asked(&arrival(0, None, 1)), None);
        assert_eq!(endpoints.asked(&arrival(1, None, 1)), Some(addr("192.0.2.1:1")));
        assert_eq!(endpoints.asked(&arrival(0, Some("::ffff:192.0.2.9"), 1)), Some(addr("192.0.2.9:1")));
    }

    #[test]
    fn both_ports_of_the_address_that_was_asked_are_ourselves() {
        let endpoints = Endpoints::new(&[addr("0.0.0.0:1")], &[addr("0.0.0.0:2")]);
        let asked = arrival(0, Some("192.0.2.1"), 1);
        let ours = ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.2:1"]
            .map(|from| endpoints.is_ourselves(addr(from), &asked));
        assert_eq!(ours, [true, true, false, false]);
        assert!(Endpoints::default().is_ourselves(addr("192.0.2.1:1"), &asked));
    }
}
