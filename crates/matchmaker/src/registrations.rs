use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use hashbrown::HashTable;

use crate::buckets;
use crate::limits::Rate;
use crate::outbox::Via;

/// Number of a record; also the end of a list.
type Slot = u32;
const NONE: Slot = Slot::MAX;

/// The array of records grows by this part of itself, so that a large one does not stand half empty.
const GROWTH: usize = 8;

/// A registered peer. Small, since there may be millions.
#[derive(Debug, Clone, Copy)]
struct Record {
    /// IPv4 addresses are mapped into IPv6.
    ip: [u8; 16],
    heard_us: u64,
    /// Buckets of the connects that it is told of.
    asked_until_us: u64,
    asked_unregistered_until_us: u64,
    /// Neighbours in the list from the longest silent to the last heard; in a free record `newer` is the next free.
    older: Slot,
    newer: Slot,
    port: u16,
    socket: u8,
    local: LocalId,
}

/// What a registration costs is this and its number in the hash table.
const _: () = assert!(size_of::<Record>() <= 56);

/// Number of one of our own addresses; 0 is "the kernel did not say".
type LocalId = u8;

/// The registered peers, one an address, bounded.
///
/// Records stand in one array, found by address through a hash table of their numbers and linked in the order in
/// which they were heard. So finding, hearing, expiry and making room each cost the same whatever the number.
/// The hash of an address is handed in: its owner needs it for other things too.
#[derive(Debug)]
pub(crate) struct Registrations {
    records: Vec<Record>,
    by_ip: HashTable<Slot>,
    /// Our own addresses that peers talk to: a handful, which a record names by number.
    locals: Vec<IpAddr>,
    oldest: Slot,
    newest: Slot,
    free: Slot,
    most: u32,
    ttl_us: u64,
}

/// Where a registered peer is, and how to talk to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) via: Via,
}

impl Registrations {
    /// At most `most` peers, each for `ttl_us` after it was last heard.
    pub(crate) fn new(most: u32, ttl_us: u64) -> Self {
        Self {
            records: Vec::new(),
            by_ip: HashTable::new(),
            locals: Vec::new(),
            oldest: NONE,
            newest: NONE,
            free: NONE,
            most: most.clamp(1, NONE),
            ttl_us,
        }
    }

    /// How many there are, with those that expired and were not taken away yet.
    pub(crate) fn len(&self) -> usize {
        self.by_ip.len()
    }

    /// Where the peer at `ip` was last heard, and by which way.
    pub(crate) fn find(&self, hash: u64, ip: IpAddr, now_us: u64) -> Option<Target> {
        let record = self.record(self.slot_of(hash, ip)?)?;
        if !self.is_live(record, now_us) {
            return None;
        }
        let via = Via { socket: record.socket, local: self.local(record.local) };
        Some(Target { addr: SocketAddr::new(ip, record.port), via })
    }

    /// Whether the peer at `ip` may be told of one more connect. It is asked after [`Self::find`].
    pub(crate) fn may_be_asked(
        &mut self,
        hash: u64,
        ip: IpAddr,
        now_us: u64,
        all: Rate,
        unregistered: Option<Rate>,
    ) -> bool {
        let record = self.slot_of(hash, ip).and_then(|slot| self.records.get_mut(slot as usize));
        let Some(record) = record else { return false };
        let charge = |until, rate: Rate| buckets::charge(until, now_us, rate.cost_us(), rate.burst_us());
        let of_all = charge(record.asked_until_us, all);
        let of_unregistered = match unregistered {
            Some(rate) => charge(record.asked_unregistered_until_us, rate),
            None => Some(record.asked_unregistered_until_us),
        };
        let (Some(of_all), Some(of_unregistered)) = (of_all, of_unregistered) else { return false };
        record.asked_until_us = of_all;
        record.asked_unregistered_until_us = of_unregistered;
        true
    }

    /// The peer at `from` registers. When there is no room, the one that was silent longest makes it; `rehash` gives
    /// the hash of an address.
    pub(crate) fn register(
        &mut self,
        hash: u64,
        from: SocketAddr,
        via: Via,
        now_us: u64,
        rehash: impl Fn(IpAddr) -> u64,
    ) {
        if let Some(slot) = self.slot_of(hash, from.ip()) {
            self.hear(slot, from.port(), via, now_us);
            return;
        }
        if self.len() >= self.most as usize {
            self.remove(self.oldest, &rehash);
        }
        let record = Record {
            ip: octets(from.ip()),
            heard_us: now_us,
            asked_until_us: 0,
            asked_unregistered_until_us: 0,
            older: NONE,
            newer: NONE,
            port: from.port(),
            socket: via.socket,
            local: self.local_id(via.local),
        };
        let slot = self.store(record);
        let records = &self.records;
        self.by_ip.insert_unique(hash, slot, |slot| {
            records.get(*slot as usize).map_or(0, |record| rehash(address(record.ip)))
        });
        self.link_newest(slot);
    }

    /// A sign of life from `from`: it keeps a registration alive, and moves it when its port changed. Gives whether
    /// there is one.
    pub(crate) fn touch(&mut self, hash: u64, from: SocketAddr, via: Via, now_us: u64) -> bool {
        let Some(slot) = self.slot_of(hash, from.ip()) else { return false };
        let live = self.record(slot).is_some_and(|record| self.is_live(record, now_us));
        if live {
            self.hear(slot, from.port(), via, now_us);
        }
        live
    }

    /// Takes away those that expired, at most `most` of them.
    pub(crate) fn expire(&mut self, most: usize, now_us: u64, rehash: impl Fn(IpAddr) -> u64) -> usize {
        let mut expired = 0;
        while expired < most
            && let Some(record) = self.record(self.oldest)
            && !self.is_live(record, now_us)
        {
            self.remove(self.oldest, &rehash);
            expired += 1;
        }
        expired
    }

    fn is_live(&self, record: &Record, now_us: u64) -> bool {
        now_us.saturating_sub(record.heard_us) < self.ttl_us
    }

    fn record(&self, slot: Slot) -> Option<&Record> {
        self.records.get(slot as usize)
    }

    fn slot_of(&self, hash: u64, ip: IpAddr) -> Option<Slot> {
        let ip = octets(ip);
        self.by_ip.find(hash, |slot| self.record(*slot).is_some_and(|record| record.ip == ip)).copied()
    }

    fn hear(&mut self, slot: Slot, port: u16, via: Via, now_us: u64) {
        let local = self.local_id(via.local);
        if let Some(record) = self.records.get_mut(slot as usize) {
            record.port = port;
            record.socket = via.socket;
            record.local = local;
            record.heard_us = record.heard_us.max(now_us);
        }
        if slot != self.newest {
            self.unlink(slot);
            self.link_newest(slot);
        }
    }

    fn local_id(&mut self, local: Option<IpAddr>) -> LocalId {
        let Some(local) = local else { return 0 };
        let place = self.locals.iter().position(|known| *known == local).or_else(|| {
            // With more addresses than numbers, the kernel chooses for the rest.
            (self.locals.len() < usize::from(LocalId::MAX)).then(|| {
                self.locals.push(local);
                self.locals.len() - 1
            })
        });
        place.and_then(|place| LocalId::try_from(place + 1).ok()).unwrap_or(0)
    }

    fn local(&self, id: LocalId) -> Option<IpAddr> {
        self.locals.get(usize::from(id).checked_sub(1)?).copied()
    }

    fn store(&mut self, record: Record) -> Slot {
        let slot = self.free;
        if let Some(place) = self.records.get_mut(slot as usize) {
            self.free = place.newer;
            *place = record;
            return slot;
        }
        if self.records.len() == self.records.capacity() {
            self.records.reserve_exact(self.records.len() / GROWTH + 16);
        }
        self.records.push(record);
        // `most` keeps the numbers below NONE.
        Slot::try_from(self.records.len() - 1).unwrap_or(NONE)
    }

    fn remove(&mut self, slot: Slot, rehash: impl Fn(IpAddr) -> u64) {
        let Some(ip) = self.record(slot).map(|record| address(record.ip)) else { return };
        if let Ok(found) = self.by_ip.find_entry(rehash(ip), |other| *other == slot) {
            found.remove();
        }
        self.unlink(slot);
        if let Some(record) = self.records.get_mut(slot as usize) {
            record.newer = self.free;
            self.free = slot;
        }
    }

    fn unlink(&mut self, slot: Slot) {
        let Some(&Record { older, newer, .. }) = self.record(slot) else { return };
        match self.records.get_mut(older as usize) {
            Some(record) => record.newer = newer,
            None => self.oldest = newer,
        }
        match self.records.get_mut(newer as usize) {
            Some(record) => record.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, slot: Slot) {
        let older = self.newest;
        if let Some(record) = self.records.get_mut(slot as usize) {
            record.older = older;
            record.newer = NONE;
        }
        match self.records.get_mut(older as usize) {
            Some(record) => record.newer = slot,
            None => self.oldest = slot,
        }
        self.newest = slot;
    }
}

fn octets(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn address(octets: [u8; 16]) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()
}

#[cfg(test)]
#[path = "registrations_tests.rs"]
mod tests;
