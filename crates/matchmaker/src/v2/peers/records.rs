use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use peer_core::PeerId;
use peer_core::datagram::v2::{LanAddrs, NatKind};
use peer_core::limits::V2_LAN_MAX;
use slab::Slab;

use crate::outbox::Via;

/// Number of a record; also the end of a list.
pub(super) type Slot = u32;
pub(super) const NONE: Slot = Slot::MAX;

/// Round trips that are not known.
const UNKNOWN_RTT: u16 = u16::MAX;

/// A registered peer.
#[derive(Debug, Clone)]
pub(super) struct Record {
    addr: Packed,
    lan: [Packed; V2_LAN_MAX],
    lan_len: u8,
    rtt_ms: u16,
    pub(super) id: Option<PeerId>,
    pub(super) via: Via,
    pub(super) nat: NatKind,
    pub(super) heard_us: u64,
    /// Buckets: of the answers to it, of the connects that it is told of, and of those that legacy peers made which are not
    /// registered.
    pub(super) answered_until_us: u64,
    pub(super) asked_until_us: u64,
    pub(super) asked_unregistered_until_us: u64,
    /// Among all, and among those of its network.
    all: Link,
    network: Link,
}

/// What a registration costs is this and its numbers in the tables.
const _: () = assert!(size_of::<Record>() <= 264);

/// An address in 18 bytes, which are compared and hashed as one; IPv4 is mapped into IPv6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Packed([u8; Self::BYTES]);

impl Packed {
    const IP_BYTES: usize = 16;
    const BYTES: usize = Self::IP_BYTES + 2;

    pub(super) fn of(addr: SocketAddr) -> Self {
        let ip = match addr.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut bytes = [0; Self::BYTES];
        let (of_ip, of_port) = bytes.split_at_mut(Self::IP_BYTES);
        of_ip.copy_from_slice(&ip.octets());
        of_port.copy_from_slice(&addr.port().to_be_bytes());
        Self(bytes)
    }

    fn addr(self) -> SocketAddr {
        let [ip @ .., high, low] = self.0;
        let ip = IpAddr::V6(Ipv6Addr::from(ip)).to_canonical();
        SocketAddr::new(ip, u16::from_be_bytes([high, low]))
    }
}

impl Hash for Packed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // In one piece: an array as such is hashed with its length, and a `SocketAddr` in five.
        state.write(&self.0);
    }
}

impl Record {
    /// Of a peer that nobody has asked for and whose network is not known.
    pub(super) fn new(addr: SocketAddr, via: Via, now_us: u64) -> Self {
        let end = Link { older: NONE, newer: NONE };
        Self {
            addr: Packed::of(addr),
            lan: [Packed::default(); V2_LAN_MAX],
            lan_len: 0,
            rtt_ms: UNKNOWN_RTT,
            id: None,
            via,
            nat: NatKind::Unknown,
            heard_us: now_us,
            answered_until_us: 0,
            asked_until_us: 0,
            asked_unregistered_until_us: 0,
            all: end,
            network: end,
        }
    }

    /// In canonical form.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr.addr()
    }

    pub(super) fn packed(&self) -> Packed {
        self.addr
    }

    pub(super) fn lan(&self) -> LanAddrs {
        self.lan.iter().take(usize::from(self.lan_len)).map(|addr| addr.addr()).collect()
    }

    pub(super) fn set_lan(&mut self, lan: &LanAddrs) {
        for (place, addr) in self.lan.iter_mut().zip(lan.as_slice()) {
            *place = Packed::of(*addr);
        }
        self.lan_len = u8::try_from(lan.as_slice().len()).unwrap_or(0);
    }

    /// In milliseconds, where it is known.
    pub(super) fn rtt_ms(&self) -> Option<u16> {
        Some(self.rtt_ms).filter(|rtt_ms| *rtt_ms != UNKNOWN_RTT)
    }

    /// One more round trip. The shortest is the truest: a client that takes its time makes it longer.
    pub(super) fn measured(&mut self, rtt_ms: u16) {
        self.rtt_ms = self.rtt_ms.min(rtt_ms);
    }

    fn link_mut(&mut self, which: Order) -> &mut Link {
        match which {
            Order::All => &mut self.all,
            Order::Network => &mut self.network,
        }
    }

    /// The next in a list, towards the longer silent.
    pub(super) fn older(&self, which: Order) -> Slot {
        match which {
            Order::All => self.all.older,
            Order::Network => self.network.older,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Link {
    older: Slot,
    newer: Slot,
}

/// Which of the lists that a record is in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    All,
    Network,
}

/// Ends of a list from the longest silent to the last heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) oldest: Slot,
    pub(super) newest: Slot,
}

impl List {
    pub(super) const EMPTY: Self = Self { oldest: NONE, newest: NONE };

    pub(super) fn link_newest(&mut self, records: &mut Slab<Record>, which: Order, slot: Slot) {
        let before = self.newest;
        if let Some(record) = records.get_mut(slot as usize) {
            *record.link_mut(which) = Link { older: before, newer: NONE };
        }
        match records.get_mut(before as usize) {
            Some(record) => record.link_mut(which).newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }

    pub(super) fn unlink(&mut self, records: &mut Slab<Record>, which: Order, slot: Slot) {
        let Some(Link { older, newer }) =
            records.get_mut(slot as usize).map(|record| *record.link_mut(which))
        else {
            return;
        };
        match records.get_mut(older as usize) {
            Some(record) => record.link_mut(which).newer = newer,
            None => self.oldest = newer,
        }
        match records.get_mut(newer as usize) {
            Some(record) => record.link_mut(which).older = older,
            None => self.newest = older,
        }
    }

    pub(super) fn renew(&mut self, records: &mut Slab<Record>, which: Order, slot: Slot) {
        if slot != self.newest {
            self.unlink(records, which, slot);
            self.link_newest(records, which, slot);
        }
    }
}
