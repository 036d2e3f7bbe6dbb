//! Linux: up to 32 datagrams with one system call, each way.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::os::fd::AsRawFd as _;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike,
    recvmmsg, sendmmsg, setsockopt, sockopt,
};

use super::{BATCH, BUFFER_BYTES, Sent};
use crate::Outbox;

/// From one buffer to the next: no power of two, or all of them would fall into one set of the processor's cache.
const STRIDE_BYTES: usize = BUFFER_BYTES.next_multiple_of(64);
const _: () = assert!(!STRIDE_BYTES.is_multiple_of(128));

/// An address as the sockets of one family have it: much smaller than one that could be of any.
trait Address: SockaddrLike + Copy {
    /// `None` for an address of another family.
    fn of(addr: SocketAddr) -> Option<Self>;
    fn socket_addr(&self) -> SocketAddr;
}

impl Address for SockaddrIn {
    fn of(addr: SocketAddr) -> Option<Self> {
        match addr {
            SocketAddr::V4(addr) => Some(addr.into()),
            SocketAddr::V6(_) => None,
        }
    }

    fn socket_addr(&self) -> SocketAddr {
        SocketAddr::V4((*self).into())
    }
}

impl Address for SockaddrIn6 {
    fn of(addr: SocketAddr) -> Option<Self> {
        match addr {
            SocketAddr::V4(_) => None,
            SocketAddr::V6(addr) => Some(addr.into()),
        }
    }

    fn socket_addr(&self) -> SocketAddr {
        SocketAddr::V6((*self).into())
    }
}

/// What the kernel is told, and tells, of the datagrams of a batch beside their bytes.
enum Headers {
    V4(MultiHeaders<SockaddrIn>),
    V6(MultiHeaders<SockaddrIn6>),
}

impl Headers {
    /// For sockets that are bound to `addr`; `with_local` for batches with the addresses of ours.
    fn new(addr: SocketAddr, with_local: bool) -> Self {
        if addr.is_ipv4() {
            let space = with_local.then(|| cmsg_space!(libc::in_pktinfo));
            Self::V4(MultiHeaders::preallocate(BATCH, space))
        } else {
            let space = with_local.then(|| cmsg_space!(libc::in6_pktinfo));
            Self::V6(MultiHeaders::preallocate(BATCH, space))
        }
    }
}

/// The one address that a socket which is bound to `addr` receives at and sends from, where it is only one.
fn only_local(addr: SocketAddr) -> Option<IpAddr> {
    Some(addr.ip()).filter(|ip| !ip.is_unspecified() && !ip.is_multicast())
}

/// Takes datagrams from the kernel.
pub(super) struct Receiver {
    headers: Headers,
    buffers: Box<[[u8; STRIDE_BYTES]; BATCH]>,
    local: Option<IpAddr>,
}

impl Receiver {
    /// Makes the kernel say which of our addresses a datagram was sent to, where there may be several.
    pub(super) fn new(socket: &UdpSocket) -> io::Result<Self> {
        let addr = socket.local_addr()?;
        let local = only_local(addr);
        let several = local.is_none();
        if addr.is_ipv4() {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &several)?;
        } else {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &several)?;
        }
        Ok(Self { headers: Headers::new(addr, several), buffers: buffers()?, local })
    }

    /// Waits for one datagram, takes what else is there, and gives each to `each`.
    pub(super) fn receive(
        &mut self,
        socket: &UdpSocket,
        each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
    ) -> io::Result<()> {
        match &mut self.headers {
            Headers::V4(headers) => receive(socket, headers, &mut self.buffers, self.local, each),
            Headers::V6(headers) => receive(socket, headers, &mut self.buffers, self.local, each),
        }
    }
}

fn receive<A: Address>(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<A>,
    buffers: &mut [[u8; STRIDE_BYTES]; BATCH],
    local: Option<IpAddr>,
    mut each: impl FnMut(SocketAddr, Option<IpAddr>, &[u8]),
) -> io::Result<()> {
    let mut slices = buffers.each_mut().map(|buffer| {
        let (buffer, _) = buffer.split_at_mut(BUFFER_BYTES);
        [IoSliceMut::new(buffer)]
    });
    let batch = recvmmsg(socket.as_raw_fd(), headers, &mut slices, MsgFlags::MSG_WAITFORONE, None)?;
    for datagram in batch {
        let Some(from) = datagram.address.as_ref().map(Address::socket_addr) else { continue };
        let local = local.or_else(|| datagram.cmsgs().ok()?.find_map(|message| destination(&message)));
        each(from, local, datagram.iovs().next().unwrap_or_default());
    }
    Ok(())
}

/// On the heap from the start: a thread's stack is not made for so much.
fn buffers() -> io::Result<Box<[[u8; STRIDE_BYTES]; BATCH]>> {
    let buffers = vec![[0; STRIDE_BYTES]; BATCH].into_boxed_slice();
    buffers.try_into().map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// Gives datagrams to the kernel.
pub(super) struct Sender {
    headers: Headers,
    /// For datagrams whose address of ours the kernel knows, or we do not.
    plain: Headers,
    only_local: bool,
}

impl Sender {
    /// For the sockets that are bound to `addr`.
    pub(super) fn new(addr: SocketAddr) -> Self {
        Self {
            headers: Headers::new(addr, true),
            plain: Headers::new(addr, false),
            only_local: only_local(addr).is_some(),
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
        let first = outbox.get(run.start).filter(|_| !self.only_local);
        let local = first.and_then(|datagram| datagram.local).map(|ip| ip.to_canonical());
        match (local, &mut self.headers, &mut self.plain) {
            (Some(IpAddr::V4(ip)), Headers::V4(headers), _) => {
                let info = from_ipv4(ip);
                send(socket, headers, outbox, run, Some(ControlMessage::Ipv4PacketInfo(&info)))
            }
            (Some(IpAddr::V6(ip)), Headers::V6(headers), _) => {
                let info = from_ipv6(ip);
                send(socket, headers, outbox, run, Some(ControlMessage::Ipv6PacketInfo(&info)))
            }
            (_, _, Headers::V4(headers)) => send(socket, headers, outbox, run, None),
            (_, _, Headers::V6(headers)) => send(socket, headers, outbox, run, None),
        }
    }
}

fn send<A: Address>(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<A>,
    outbox: &Outbox,
    run: Range<usize>,
    from: Option<ControlMessage<'_>>,
) -> nix::Result<usize> {
    let count = run.len().min(BATCH);
    let datagram = |index: usize| outbox.get(run.start + index).filter(|_| index < count);
    let slices: [_; BATCH] = std::array::from_fn(|index| {
        [IoSlice::new(datagram(index).map_or(&[][..], |datagram| datagram.bytes))]
    });
    let receivers: [_; BATCH] =
        std::array::from_fn(|index| datagram(index).and_then(|datagram| A::of(datagram.to)));
    let receivers = receivers.get(..count).unwrap_or_default();
    sendmmsg(socket.as_raw_fd(), headers, &slices, receivers, from.as_slice(), MsgFlags::MSG_DONTWAIT)
        .map(Iterator::count)
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
