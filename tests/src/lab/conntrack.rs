//! Forgetting the flows of a network namespace, as `conntrack --flush` does.

use std::io;

use socket2::{Domain, Protocol, Socket, Type};

/// `AF_NETLINK` of `linux/socket.h`.
const NETLINK: i32 = 16;
/// `NETLINK_NETFILTER` of `linux/netlink.h`.
const NETFILTER: i32 = 12;
/// `NFNL_SUBSYS_CTNETLINK` and `IPCTNL_MSG_CT_DELETE` of `linux/netfilter/nfnetlink_conntrack.h`.
const DELETE: u16 = (1 << 8) | 2;
/// `NLM_F_REQUEST | NLM_F_ACK` of `linux/netlink.h`.
const REQUEST_WITH_ANSWER: u16 = 1 | 4;
/// A `nlmsghdr` and a `nfgenmsg`.
const LENGTH: u32 = 20;

/// Forgets all flows of the namespace that this thread is in. A delete that names no flow means all.
pub(crate) fn flush() -> io::Result<()> {
    let socket = Socket::new(Domain::from(NETLINK), Type::RAW, Some(Protocol::from(NETFILTER)))?;
    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(DELETE.to_ne_bytes());
    message.extend(REQUEST_WITH_ANSWER.to_ne_bytes());
    // Sequence number and sender, which the kernel gives back; then any family, version 0, no resource.
    message.extend([0; 12]);
    socket.send(&message)?;
    let mut answer = [std::mem::MaybeUninit::uninit(); 256];
    // The answer comes when it is done. It is a header and an error number, which is 0 or negative.
    let length = socket.recv(&mut answer)?;
    if length < 20 {
        return Err(io::Error::other("a short answer of netfilter"));
    }
    Ok(())
}
