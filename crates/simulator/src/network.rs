use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::simulation::{HostId, RouterId};

/// Where a host or a router is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The wide area network.
    Wan,
    /// The network behind a router.
    Behind(RouterId),
}

/// A host, or a router by its outer side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Host(HostId),
    Router(RouterId),
}

/// Members that reach each other directly.
#[derive(Debug, Default)]
pub(crate) struct Network {
    members: BTreeMap<IpAddr, Member>,
}

impl Network {
    /// Panics where the address is taken: two members in one would hide what each shows.
    #[track_caller]
    pub(crate) fn add(&mut self, ip: IpAddr, member: Member) {
        let former = self.members.insert(ip, member);
        assert!(former.is_none(), "{ip} is taken");
    }

    pub(crate) fn find(&self, ip: IpAddr) -> Option<Member> {
        self.members.get(&ip).copied()
    }
}
