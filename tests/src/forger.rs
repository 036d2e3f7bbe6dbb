//! Datagrams that name others as their source, by a raw socket.

use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::Namespace;

/// `IPPROTO_RAW` (raw(7)): the header is ours.
const RAW: i32 = 255;
/// Of an IPv4 header without options, and of that with the one of UDP.
const IP_BYTES: u16 = 20;
const HEADERS_BYTES: usize = 28;
/// The number of UDP.
const UDP: u8 = 17;

/// A host from which datagrams leave for a server that name others as their source.
#[derive(Debug)]
pub struct Forger {
    raw: Socket,
    server: SocketAddr,
}

impl Forger {
    /// In this namespace, which has a way to the server, by IPv4.
    pub fn on(host: &Namespace, server: SocketAddr) -> Self {
        let raw = host.run(|| {
            let raw = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(RAW))).expect("root may");
            raw.set_header_included_v4(true).expect("of a raw socket");
            raw
        });
        Self { raw, server }
    }

    /// Whom it writes to.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Sends a datagram to the server in the name of `source`.
    pub fn send(&self, source: SocketAddr, payload: &[u8]) {
        self.send_to(source, self.server, payload);
    }

    /// Sends one to another port or address of the server.
    pub fn send_to(&self, source: SocketAddr, server: SocketAddr, payload: &[u8]) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), server.ip()) else {
            unreachable!("the lab speaks IPv4")
        };
        let length = u16::try_from(HEADERS_BYTES + payload.len()).expect("a small datagram");
        // RFC 791 section 3.1; the kernel fills in the checksum. No checksum of UDP (RFC 768).
        let mut packet = vec![0x45, 0];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 0, 64, UDP, 0, 0]);
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&to.octets());
        for field in [source.port(), server.port(), length - IP_BYTES, 0] {
            packet.extend_from_slice(&field.to_be_bytes());
        }
        packet.extend_from_slice(payload);
        self.raw.send_to(&packet, &server.into()).expect("sent");
    }
}
