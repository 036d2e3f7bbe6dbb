//! Linux: up to 32 datagrams with one system call, each way.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
    setsockopt, sockopt,
};

use super::{BATCH, BUFFER_BYTES, Sent};
use crate::Outbox;

/// Takes datagrams from the kernel.
pub(super) struct Receiver {
    headers: MultiHeaders<SockaddrStorage>,
    buffers: Box<[[u8; BUFFER_BYTES]; BATCH]>,
}

impl Receiver {
    /// Makes the kernel say which of our addresses a datagram was sent to.
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        if socket.local_addr()?.is_ipv4() {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        let space = cmsg_space!(libc::in6_pktinfo);
        Ok(Self { headers: MultiHeaders::preallocate(BATCH, Some(space)), buffers: buffers()? })
    }

    /// Waits for one datagram, takes what else is there, and gives each to `each`.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<()> {
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let batch =
            recvmmsg(socket.as_raw_fd(), &mut self.headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
        for datagram in batch {
            let Some(from) = datagram.address.as_ref().and_then(socket_addr) else { continue };
            let local = datagram
                .cmsgs()
                .ok()
                .and_then(|mut messages| messages.find_map(|message| destination(&message)));
            let bytes = datagram.iovs().next().unwrap_or_default();
            each(from, local, bytes);
        }
        Ok(())
    }
}

/// On the heap from the start: a thread's stack is not made for so much.
fn buffers() -> io::Result<Box<[[u8; BUFFER_BYTES]; BATCH]>> {
    let buffers = vec![[0; BUFFER_BYTES]; BATCH].into_boxed_slice();
    buffers.try_into().map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Gives datagrams to the kernel.
pub(super) struct Sender {
    ipv4: bool,
    headers: MultiHeaders<SockaddrStorage>,
    /// For datagrams whose address of ours we do not know.
    headers_without_local: MultiHeaders<SockaddrStorage>,
}

impl Sender {
    /// For the sockets that are bound to `addr`.
    pub(super) fn new(addr: SocketAddr) -> Self {
        let space =
            if addr.is_ipv4() { cmsg_space!(libc::in_pktinfo) } else { cmsg_space!(libc::in6_pktinfo) };
        Self {
            ipv4: addr.is_ipv4(),
            headers: MultiHeaders::preallocate(BATCH, Some(space)),
            headers_without_local: MultiHeaders::preallocate(BATCH, None),
        }
    }

    /// Sends a run of at most [`BATCH`] datagrams that all leave from one address.
    pub(super) fn send(&mut self, socket: &UdpSocket, outbox: &Outbox, mut run: Range<usize>) -> Sent {
        let mut sent = Sent { taken: 0, refused: 0 };
        while !run.is_empty() {
            match self.try_send(socket, outbox, run.clone()) {
                Ok(taken) if taken > 0 => {
                    sent.taken += taken;
                    run.start += taken;
                }
                Err(Errno::EINTR) => {}
                // The first of them cannot be sent; those behind it may go elsewhere.
                Ok(_) | Err(_) => {
                    sent.refused += 1;
                    run.start += 1;
                }
            }
        }
        sent
    }

    fn try_send(&mut self, socket: &UdpSocket, outbox: &Outbox, run: Range<usize>) -> nix::Result<usize> {
        let count = run.len().min(BATCH);
        let datagram = |index: usize| outbox.get(run.start + index).filter(|_| index < count);
        let slices: [_; BATCH] = std::array::from_fn(|index| {
            [IoSlice::new(datagram(index).map_or(&[][..], |datagram| datagram.bytes))]
        });
        let receivers: [_; BATCH] =
            std::array::from_fn(|index| datagram(index).map(|datagram| SockaddrStorage::from(datagram.to)));
        let receivers = receivers.get(..count).unwrap_or_default();
        let local = datagram(0).and_then(|datagram| datagram.local).map(|ip| ip.to_canonical());
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        // Each arm counts for itself, since its results borrow its address.
        match local {
            Some(IpAddr::V4(ip)) if self.ipv4 => {
                let info = from_ipv4(ip);
                let from = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmmsg(fd, &mut self.headers, &slices, receivers, from, flags).map(Iterator::count)
            }
            Some(IpAddr::V6(ip)) if !self.ipv4 => {
                let info = from_ipv6(ip);
                let from = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmmsg(fd, &mut self.headers, &slices, receivers, from, flags).map(Iterator::count)
            }
            _ => {
                let headers = &mut self.headers_without_local;
                sendmmsg(fd, headers, &slices, receivers, [], flags).map(Iterator::count)
            }
        }
    }
}

fn socket_addr(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|addr| SocketAddr::V4((*addr).into()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|addr| SocketAddr::V6((*addr).into())))
}

/// Which of our addresses a datagram was sent to (ip(7), ipv6(7)).
fn destination(message: &ControlMessageOwned) -> Option<IpAddr> {
    match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr))))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
        _ => None,
    }
}

fn from_ipv4(ip: Ipv4Addr) -> libc::in_pktinfo {
    libc::in_pktinfo {
        ipi_ifindex: 0,
        ipi_spec_dst: libc::in_addr { s_addr: u32::from(ip).to_be() },
        ipi_addr: libc::in_addr { s_addr: 0 },
    }
}

fn from_ipv6(ip: Ipv6Addr) -> libc::in6_pktinfo {
    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 }
}
