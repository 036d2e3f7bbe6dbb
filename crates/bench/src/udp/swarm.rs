//! Any number of peers behind one socket: each datagram leaves from an address of its own choice.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};
use nix::{cmsg_space, libc};

use super::datagram::{DATAGRAM_BYTES, v4};

/// Room for answers while this program is not on a core; the kernel may give less.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// A socket on all addresses and one port, which never blocks. Whose address a datagram leaves from is told to the
/// kernel with it, and whom an answer went to comes with the answer (`IP_PKTINFO`, ip(7)). So a peer costs nothing
/// but its address, of which 127.0.0.0/8 has 16 million.
#[derive(Debug)]
pub(crate) struct Swarm {
    socket: UdpSocket,
    server: SocketAddrV4,
    port: u16,
    buffer: [u8; DATAGRAM_BYTES],
    control: Vec<u8>,
}

impl Swarm {
    /// Opens the socket, to talk to one server.
    pub(crate) fn open(server: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
        Ok(Self {
            server: v4(server)?,
            port: v4(socket.local_addr()?)?.port(),
            buffer: [0; DATAGRAM_BYTES],
            control: cmsg_space!(libc::in_pktinfo),
            socket,
        })
    }

    /// The same socket, for a task to wait until it is ready.
    pub(crate) fn ready(&self) -> io::Result<tokio::net::UdpSocket> {
        tokio::net::UdpSocket::from_std(self.socket.try_clone()?)
    }

    /// Where a server sees the peer at `ip`.
    pub(crate) fn peer(&self, ip: Ipv4Addr) -> SocketAddrV4 {
        SocketAddrV4::new(ip, self.port)
    }

    /// Sends a datagram of the peer at `from`. [`io::ErrorKind::WouldBlock`] where there is no room for it now.
    pub(crate) fn send(&self, from: Ipv4Addr, datagram: &[u8]) -> io::Result<()> {
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: from.to_bits().to_be() },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        let slices = [IoSlice::new(datagram)];
        let source = [ControlMessage::Ipv4PacketInfo(&info)];
        let server = SockaddrIn::from(self.server);
        sendmsg(self.socket.as_raw_fd(), &slices, &source, MsgFlags::MSG_DONTWAIT, Some(&server))?;
        Ok(())
    }

    /// Gives `heard` the next datagram of the server, and the address of the peer that it is for.
    /// [`io::ErrorKind::WouldBlock`] where there is none.
    pub(crate) fn receive<T>(&mut self, mut heard: impl FnMut(Ipv4Addr, &[u8]) -> T) -> io::Result<T> {
        loop {
            let mut slices = [IoSliceMut::new(&mut self.buffer)];
            let (fd, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
            let received = recvmsg::<SockaddrIn>(fd, &mut slices, Some(&mut self.control), flags)?;
            let from = received.address.map(SocketAddrV4::from);
            let to = received.cmsgs()?.find_map(|message| match message {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr)))
                }
                _ => None,
            });
            // As a connected socket does, it takes answers from the address only that it asked.
            if let Some(to) = to
                && from == Some(self.server)
            {
                return Ok(heard(to, received.iovs().next().unwrap_or_default()));
            }
        }
    }
}

impl AsFd for Swarm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    #[test]
    fn each_datagram_leaves_from_its_peer_and_each_answer_is_for_its_peer() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut swarm = Swarm::open(server.local_addr().unwrap()).unwrap();
        let peers = [Ipv4Addr::new(127, 16, 0, 0), Ipv4Addr::new(127, 200, 1, 255)];
        let mut buffer = [0; 16];
        for ip in peers {
            swarm.send(ip, b"question").unwrap();
            let (bytes, from) = server.recv_from(&mut buffer).unwrap();
            assert_eq!((from, bytes), (SocketAddr::V4(swarm.peer(ip)), 8));
            server.send_to(b"answer", from).unwrap();
            let (to, answer) = swarm.receive(|to, datagram| (to, datagram.to_vec())).unwrap();
            assert_eq!((to, answer), (ip, b"answer".to_vec()));
        }
    }

    #[test]
    fn what_a_stranger_says_is_not_heard() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut swarm = Swarm::open(server.local_addr().unwrap()).unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(b"x", swarm.peer(Ipv4Addr::new(127, 16, 0, 0))).unwrap();
        let error = swarm.receive(|_, _| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
