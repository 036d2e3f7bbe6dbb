use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

use hashbrown::HashTable;

use crate::outbox::Via;

/// Number of a record; also the end of a list.
type Slot = u32;
const NONE: Slot = Slot::MAX;

/// A registered peer.
#[derive(Debug, Clone, Copy)]
struct Record {
    ip: IpAddr,
    port: u16,
    via: Via,
    heard_ms: u64,
    /// Neighbours in the list from the longest silent to the last heard; in a free record `newer` is the next free.
    older: Slot,
    newer: Slot,
}

/// The registered peers, one an address, bounded.
///
/// Records stand in one array, found by address through a hash table of their numbers and linked in the order in
/// which they were heard. So finding, hearing, expiry and making room each cost the same whatever the number.
#[derive(Debug)]
pub(crate) struct Registrations {
    records: Vec<Record>,
    by_ip: HashTable<Slot>,
    hasher: RandomState,
    oldest: Slot,
    newest: Slot,
    free: Slot,
    most: u32,
    ttl_ms: u64,
}

impl Registrations {
    /// At most `most` peers, each for `ttl_ms` after it was last heard.
    pub(crate) fn new(most: u32, ttl_ms: u64) -> Self {
        Self {
            records: Vec::new(),
            by_ip: HashTable::new(),
            hasher: RandomState::new(),
            oldest: NONE,
            newest: NONE,
            free: NONE,
            most: most.clamp(1, NONE),
            ttl_ms,
        }
    }

    /// How many there are, with those that expired and were not taken away yet.
    pub(crate) fn len(&self) -> usize {
        self.by_ip.len()
    }

    /// Where the peer at `ip` was last heard, and by which way.
    pub(crate) fn find(&self, ip: IpAddr, now_ms: u64) -> Option<(SocketAddr, Via)> {
        let record = self.record(self.slot_of(ip)?)?;
        self.is_live(record, now_ms).then(|| (SocketAddr::new(record.ip, record.port), record.via))
    }

    /// The peer at `from` registers. When there is no room, the one that was silent longest makes it.
    pub(crate) fn register(&mut self, from: SocketAddr, via: Via, now_ms: u64) {
        if let Some(slot) = self.slot_of(from.ip()) {
            self.hear(slot, from.port(), via, now_ms);
            return;
        }
        if self.len() >= self.most as usize {
            self.remove(self.oldest);
        }
        let record =
            Record { ip: from.ip(), port: from.port(), via, heard_ms: now_ms, older: NONE, newer: NONE };
        let slot = self.store(record);
        let Self { records, by_ip, hasher, .. } = self;
        by_ip.insert_unique(hasher.hash_one(from.ip()), slot, |slot| {
            records.get(*slot as usize).map_or(0, |record| hasher.hash_one(record.ip))
        });
        self.link_newest(slot);
    }

    /// A sign of life from `from`: it keeps a registration alive, and moves it when its port changed.
    pub(crate) fn touch(&mut self, from: SocketAddr, via: Via, now_ms: u64) {
        let Some(slot) = self.slot_of(from.ip()) else { return };
        if self.record(slot).is_some_and(|record| self.is_live(record, now_ms)) {
            self.hear(slot, from.port(), via, now_ms);
        }
    }

    /// Takes away those that expired, at most `most` of them.
    pub(crate) fn expire(&mut self, most: usize, now_ms: u64) -> usize {
        let mut expired = 0;
        while expired < most
            && let Some(record) = self.record(self.oldest)
            && !self.is_live(record, now_ms)
        {
            self.remove(self.oldest);
            expired += 1;
        }
        expired
    }

    fn is_live(&self, record: &Record, now_ms: u64) -> bool {
        now_ms.saturating_sub(record.heard_ms) < self.ttl_ms
    }

    fn record(&self, slot: Slot) -> Option<&Record> {
        self.records.get(slot as usize)
    }

    fn slot_of(&self, ip: IpAddr) -> Option<Slot> {
        let is_it = |slot: &Slot| self.record(*slot).is_some_and(|record| record.ip == ip);
        self.by_ip.find(self.hasher.hash_one(ip), is_it).copied()
    }

    fn hear(&mut self, slot: Slot, port: u16, via: Via, now_ms: u64) {
        if let Some(record) = self.records.get_mut(slot as usize) {
            record.port = port;
            record.via = via;
            record.heard_ms = record.heard_ms.max(now_ms);
        }
        self.unlink(slot);
        self.link_newest(slot);
    }

    fn store(&mut self, record: Record) -> Slot {
        let slot = self.free;
        if let Some(place) = self.records.get_mut(slot as usize) {
            self.free = place.newer;
            *place = record;
            return slot;
        }
        self.records.push(record);
        // `most` keeps the numbers below NONE.
        Slot::try_from(self.records.len() - 1).unwrap_or(NONE)
    }

    fn remove(&mut self, slot: Slot) {
        let Some(ip) = self.record(slot).map(|record| record.ip) else { return };
        if let Ok(found) = self.by_ip.find_entry(self.hasher.hash_one(ip), |other| *other == slot) {
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

/// The fixed record and its number in the hash table, at the table's worst load, are what a registration costs.
const _: () = assert!(size_of::<Record>() <= 72);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VIA: Via = Via { socket: 0, local: None };

    fn addr(id: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, id], port))
    }

    #[derive(Debug, Clone)]
    enum Step {
        Register(u8, u16),
        Touch(u8, u16),
        Expire(usize),
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..12_u8, 1..4_u16).prop_map(|(id, port)| Step::Register(id, port)),
            4 => (0..12_u8, 1..4_u16).prop_map(|(id, port)| Step::Touch(id, port)),
            1 => (0..3_usize).prop_map(Step::Expire),
            2 => (0..60_u64).prop_map(Step::Wait),
        ]
    }

    /// The promise in its plainest form: a list from the longest silent to the last heard.
    #[derive(Default)]
    struct Model(Vec<(SocketAddr, u64)>);

    impl Model {
        fn find(&self, id: u8, now_ms: u64) -> Option<SocketAddr> {
            let found = self.0.iter().find(|(addr, _)| addr.ip() == super::tests::addr(id, 0).ip());
            found.filter(|(_, heard_ms)| now_ms - heard_ms < 100).map(|(addr, _)| *addr)
        }

        fn hear(&mut self, from: SocketAddr, now_ms: u64, most: usize) {
            self.0.retain(|(addr, _)| addr.ip() != from.ip());
            if self.0.len() == most {
                self.0.remove(0);
            }
            self.0.push((from, now_ms));
        }
    }

    proptest! {
        #[test]
        fn it_answers_like_the_model_after_any_steps(steps in prop::collection::vec(step(), 1..300)) {
            let (mut table, mut model, mut now_ms) = (Registrations::new(8, 100), Model::default(), 1_000);
            for step in steps {
                match step {
                    Step::Register(id, port) => {
                        table.register(addr(id, port), VIA, now_ms);
                        model.hear(addr(id, port), now_ms, 8);
                    }
                    Step::Touch(id, port) => {
                        table.touch(addr(id, port), VIA, now_ms);
                        if model.find(id, now_ms).is_some() {
                            model.hear(addr(id, port), now_ms, 8);
                        }
                    }
                    Step::Expire(most) => {
                        let expired = table.expire(most, now_ms);
                        prop_assert!(expired <= most);
                        model.0.drain(..expired);
                    }
                    Step::Wait(ms) => now_ms += ms,
                }
                prop_assert_eq!(table.len(), model.0.len());
                for id in 0..12 {
                    let found = table.find(addr(id, 0).ip(), now_ms).map(|(addr, _)| addr);
                    prop_assert_eq!(found, model.find(id, now_ms));
                }
            }
            while table.expire(3, now_ms + 100) > 0 {}
            prop_assert_eq!(table.len(), 0);
            prop_assert!(table.records.len() <= 8);
        }
    }
}
