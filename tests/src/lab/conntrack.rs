//! Forgetting the flows of a network namespace, as `conntrack --flush` does.

use std::io::{self, Read as _, Write as _};

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
    (&socket).write_all(&message)?;
    // The answer comes when it is done: a header, and an error number that is 0 or negative.
    let mut answer = [0; 256];
    let length = (&socket).read(&mut answer)?;
    let error = answer[..length].get(16..20).and_then(|bytes| bytes.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error.saturating_neg())),
        None => Err(io::Error::other("a short answer of netfilter")),
    }
}
