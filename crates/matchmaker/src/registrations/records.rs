use std::net::{IpAddr, Ipv6Addr};

/// Number of a record; also the end of a list.
pub(super) type Slot = u32;
pub(super) const NONE: Slot = Slot::MAX;

/// The array of records grows by this part of itself, so that a large one does not stand half empty.
const GROWTH: usize = 8;

/// Number of one of our own addresses; 0 is "the kernel did not say".
pub(super) type LocalId = u8;

/// What is known of a peer, and so the list that its record is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It was heard again.
    Known,
    /// It was heard once, when there was room.
    Settled,
    /// It was heard once, when there was little room left.
    Fresh,
}

/// A registered peer. Small, since there may be millions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// IPv4 addresses are mapped into IPv6.
    ip: [u8; 16],
    pub(super) heard_us: u64,
    /// Buckets of the connects that it is told of.
    pub(super) asked_until_us: u64,
    pub(super) asked_unregistered_until_us: u64,
    /// Neighbours in its list; in a free record `newer` is the next free.
    older: Slot,
    newer: Slot,
    pub(super) port: u16,
    pub(super) socket: u8,
    pub(super) local: LocalId,
    standing: Standing,
}

/// What a registration costs is this and its number in the hash table.
const _: () = assert!(size_of::<Record>() <= 56);

impl Record {
    /// Of a peer that nobody has asked for. Where it was heard is still to be written.
    pub(super) fn new(ip: IpAddr, standing: Standing) -> Self {
        Self {
            ip: octets(ip),
            heard_us: 0,
            asked_until_us: 0,
            asked_unregistered_until_us: 0,
            older: NONE,
            newer: NONE,
            port: 0,
            socket: 0,
            local: 0,
            standing,
        }
    }

    pub(super) fn is_of(&self, ip: [u8; 16]) -> bool {
        self.ip == ip
    }

    /// Whether it was heard again.
    pub(super) fn is_known(&self) -> bool {
        self.standing == Standing::Known
    }

    /// In canonical form.
    pub(super) fn ip(&self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self.ip)).to_canonical()
    }
}

/// An address as records have it.
pub(super) fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// Ends of a list from the longest silent to the last heard.
#[derive(Debug, Clone, Copy)]
struct List {
    oldest: Slot,
    newest: Slot,
    len: u32,
}

const EMPTY: List = List { oldest: NONE, newest: NONE, len: 0 };

/// Records in one array, each linked into the list of its standing. Every step costs the same whatever the number.
#[derive(Debug)]
pub(super) struct Records {
    array: Vec<Record>,
    free: Slot,
    known: List,
    settled: List,
    fresh: List,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { array: Vec::new(), free: NONE, known: EMPTY, settled: EMPTY, fresh: EMPTY }
    }

    /// Places in the array, in use or free.
    pub(super) fn places(&self) -> usize {
        self.array.len()
    }

    /// Records of this standing.
    pub(super) fn len(&self, standing: Standing) -> u32 {
        self.list(standing).len
    }

    pub(super) fn get(&self, slot: Slot) -> Option<&Record> {
        self.array.get(slot as usize)
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> Option<&mut Record> {
        self.array.get_mut(slot as usize)
    }

    /// The one of this standing that was silent longest.
    pub(super) fn oldest(&self, standing: Standing) -> Option<(Slot, &Record)> {
        let slot = self.list(standing).oldest;
        self.get(slot).map(|record| (slot, record))
    }

    /// Keeps `record`, the newest of its standing. There are never [`NONE`] or more.
    pub(super) fn insert(&mut self, record: Record) -> Slot {
        let mut slot = self.free;
        if let Some(place) = self.array.get_mut(slot as usize) {
            self.free = place.newer;
            *place = record;
        } else {
            if self.array.len() == self.array.capacity() {
                self.array.reserve_exact(self.array.len() / GROWTH + 16);
            }
            self.array.push(record);
            slot = Slot::try_from(self.array.len() - 1).unwrap_or(NONE);
        }
        self.link_newest(slot, record.standing);
        slot
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        self.unlink(slot);
        if let Some(record) = self.array.get_mut(slot as usize) {
            record.newer = self.free;
            self.free = slot;
        }
    }

    /// Makes it the newest of `standing`.
    pub(super) fn renew(&mut self, slot: Slot, standing: Standing) {
        if slot != self.list(standing).newest {
            self.unlink(slot);
            self.link_newest(slot, standing);
        }
    }

    fn list(&self, standing: Standing) -> &List {
        match standing {
            Standing::Known => &self.known,
            Standing::Settled => &self.settled,
            Standing::Fresh => &self.fresh,
        }
    }

    fn list_mut(&mut self, standing: Standing) -> &mut List {
        match standing {
            Standing::Known => &mut self.known,
            Standing::Settled => &mut self.settled,
            Standing::Fresh => &mut self.fresh,
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(&Record { older, newer, standing, .. }) = self.get(slot) else { return };
        match self.array.get_mut(older as usize) {
            Some(record) => record.newer = newer,
            None => self.list_mut(standing).oldest = newer,
        }
        match self.array.get_mut(newer as usize) {
            Some(record) => record.older = older,
            None => self.list_mut(standing).newest = older,
        }
        self.list_mut(standing).len -= 1;
    }

    fn link_newest(&mut self, slot: Slot, standing: Standing) {
        let older = self.list(standing).newest;
        if let Some(record) = self.array.get_mut(slot as usize) {
            record.older = older;
            record.newer = NONE;
            record.standing = standing;
        }
        match self.array.get_mut(older as usize) {
            Some(record) => record.newer = slot,
            None => self.list_mut(standing).oldest = slot,
        }
        let list = self.list_mut(standing);
        list.newest = slot;
        list.len += 1;
    }
}
