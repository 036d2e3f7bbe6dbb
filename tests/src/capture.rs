//! What truly arrives at a host, whether or not a socket waits for it.

use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};

use crate::namespace::Namespace;

/// `AF_PACKET` (packet(7)).
const PACKET: i32 = 17;
/// `ETH_P_IP` of `linux/if_ether.h`: what comes in of IPv4, and not what goes out.
const IPV4: u16 = 0x0800;
/// The number of UDP.
const UDP: u8 = 17;
/// Room for what is not read yet, in bytes.
const BUFFER_BYTES: usize = 8 << 20;
const FRAME_MAX_BYTES: usize = 65_536;

/// All datagrams of UDP that come to an IPv4 address of a namespace from now on.
#[derive(Debug)]
pub struct Capture {
    socket: Socket,
    address: Ipv4Addr,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// Where it says that it comes from.
    pub from: SocketAddr,
    /// Where it went.
    pub to: SocketAddr,
    /// Its content.
    pub payload: Vec<u8>,
}

impl Capture {
    /// Of this address in this namespace, on all of its interfaces. A bridge that does not know yet where a host is shows frames
    /// for it to all others: those are not for us.
    pub fn of(address: Ipv4Addr, host: &Namespace) -> Self {
        let protocol = Protocol::from(i32::from(IPV4.to_be()));
        let open =
            || Socket::new(Domain::from(PACKET), Type::DGRAM, Some(protocol)).expect("root may capture");
        let socket = host.run(open);
        socket.set_nonblocking(true).expect("of any socket");
        socket.set_recv_buffer_size(BUFFER_BYTES).expect("of any socket");
        Self { socket, address }
    }

    /// What has come since this was asked the last time.
    pub fn take(&self) -> Vec<Captured> {
        let mut captured = Vec::new();
        let mut packet = vec![0; FRAME_MAX_BYTES];
        loop {
            match (&self.socket).read(&mut packet) {
                Ok(length) => {
                    captured.extend(udp(&packet[..length]).filter(|got| got.to.ip() == self.address));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return captured,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The datagram in a packet of IPv4 (RFC 791 section 3.1), if it holds one.
fn udp(packet: &[u8]) -> Option<Captured> {
    let header_bytes = usize::from(packet.first()? & 0x0f) * 4;
    if *packet.get(9)? != UDP {
        return None;
    }
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let field = |at: usize| -> Option<u16> {
        let bytes = packet.get(header_bytes + at..header_bytes + at + 2)?;
        Some(u16::from_be_bytes(bytes.try_into().ok()?))
    };
    let end = header_bytes + usize::from(field(4)?);
    Some(Captured {
        from: SocketAddrV4::new(address(12)?, field(0)?).into(),
        to: SocketAddrV4::new(address(16)?, field(2)?).into(),
        payload: packet.get(header_bytes + 8..end)?.to_vec(),
    })
}
