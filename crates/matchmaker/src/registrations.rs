mod records;

use std::net::{IpAddr, SocketAddr};

use hashbrown::HashTable;

use crate::buckets;
use crate::limits::Rate;
use crate::outbox::Via;
use records::{LocalId, Record, Records, Slot, Standing, octets};

/// Who was silent for so long may have to make room for a newcomer even if it was heard more than once, in us. The
/// NAT of a peer that is there would have forgotten us by now, many do after 30 s.
const LIVE_US: u64 = 30_000_000;

/// How many are kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Registrations, 1 at least.
    pub(crate) most: u32,
    /// Of those, the last part to be filled: whoever comes then may have to make room for the next.
    pub(crate) newcomers: u32,
    /// How long a peer stays after it was last heard, in us.
    pub(crate) ttl_us: u64,
}

impl Room {
    /// Kept without the fear of having to make room while they are live.
    fn settled(&self) -> u32 {
        self.most.saturating_sub(self.newcomers)
    }

    /// So many newcomers are kept before one that was heard again and then was silent for [`LIVE_US`]: most of their
    /// part, and half of a small table, which is all their part.
    fn newcomers_least(&self) -> u32 {
        (self.newcomers / 5 * 4).min(self.most / 2).max(1)
    }
}

/// The registered peers, one an address, bounded.
///
/// A flood of forged addresses must not push out those who are there. What tells them apart is that a forger gets
/// no answers and is gone, while a peer is heard again. So there are three lists, each from the longest silent to the
/// last heard: *known* are those that were heard again, *settled* those that were heard once, before the last part of
/// the table began to fill, and *fresh* those that were heard once and came later. When the table is full, a newcomer
/// takes the place of
///
/// 1. whoever expired,
/// 2. the oldest settled one, if it was silent for [`LIVE_US`],
/// 3. the oldest known one, if it was silent as long and there are few fresh ones,
/// 4. the oldest fresh one,
/// 5. nobody's: where all others are live, it is not kept.
///
/// So a peer that came before a flood and is heard within every [`LIVE_US`] stays, and one that comes during a flood
/// stays if it is heard again before the fresh were all replaced. A forger who sends twice from each address fills what
/// room is left until he pauses, but takes nobody's.
///
/// Records are found by address through a hash table of their numbers. Finding, hearing, expiry and making room each
/// cost the same whatever the number. The hash of an address is handed in: its owner needs it for other things too.
#[derive(Debug)]
pub(crate) struct Registrations {
    records: Records,
    by_ip: HashTable<Slot>,
    /// Our own addresses that peers talk to: a handful, which a record names by number.
    locals: Vec<IpAddr>,
    room: Room,
}

/// Where a registered peer is, and how to talk to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) via: Via,
}

/// What became of a register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is kept, and was not there before.
    Anew,
    /// It was there.
    Again,
    /// There is no room.
    No,
}

impl Registrations {
    pub(crate) fn new(room: Room) -> Self {
        Self { records: Records::new(), by_ip: HashTable::new(), locals: Vec::new(), room }
    }

    /// How many there are, with those that expired and were not taken away yet.
    pub(crate) fn len(&self) -> usize {
        self.by_ip.len()
    }

    /// Where the peer at `ip` was last heard, and by which way.
    pub(crate) fn find(&self, hash: u64, ip: IpAddr, now_us: u64) -> Option<Target> {
        let record = self.records.get(self.slot_of(hash, ip)?)?;
        if !self.is_live(record, now_us) {
            return None;
        }
        let via = Via { socket: record.socket, local: self.local(record.local) };
        Some(Target { addr: SocketAddr::new(ip, record.port), via })
    }

    /// When the peer at `ip` was last heard, live or not.
    pub(crate) fn heard_us(&self, hash: u64, ip: IpAddr) -> Option<u64> {
        self.records.get(self.slot_of(hash, ip)?).map(|record| record.heard_us)
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
        let record = self.slot_of(hash, ip).and_then(|slot| self.records.get_mut(slot));
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

    /// The peer at `from` registers. `rehash` gives the hash of an address. It is not kept where the
    /// table is full of live peers that were there before.
    pub(crate) fn register(
        &mut self,
        hash: u64,
        from: SocketAddr,
        via: Via,
        now_us: u64,
        rehash: impl Fn(IpAddr) -> u64,
    ) -> Kept {
        if let Some(slot) = self.slot_of(hash, from.ip()) {
            if self.records.get(slot).is_some_and(|record| self.is_live(record, now_us)) {
                self.hear(slot, from.port(), via, now_us);
                return Kept::Again;
            }
            // It comes for the first time again.
            self.remove(slot, &rehash);
        }
        if self.len() >= self.room.most as usize {
            let Some(slot) = self.who_makes_room(now_us) else { return Kept::No };
            self.remove(slot, &rehash);
        }
        let stay = self.records.len(Standing::Known) + self.records.len(Standing::Settled);
        let standing = if stay < self.room.settled() { Standing::Settled } else { Standing::Fresh };
        let slot = self.records.insert(Record::new(from.ip(), standing));
        self.locate(slot, from.port(), via, now_us);
        let records = &self.records;
        self.by_ip
            .insert_unique(hash, slot, |slot| records.get(*slot).map_or(0, |record| rehash(record.ip())));
        Kept::Anew
    }

    /// A sign of life from `from`: it keeps a registration alive, and moves it when its port changed. Gives whether
    /// there is one.
    pub(crate) fn touch(&mut self, hash: u64, from: SocketAddr, via: Via, now_us: u64) -> bool {
        let Some(slot) = self.slot_of(hash, from.ip()) else { return false };
        let live = self.records.get(slot).is_some_and(|record| self.is_live(record, now_us));
        if live {
            self.hear(slot, from.port(), via, now_us);
        }
        live
    }

    /// Takes away those that expired, at most `most` of them.
    pub(crate) fn expire(&mut self, most: usize, now_us: u64, rehash: impl Fn(IpAddr) -> u64) -> usize {
        let mut expired = 0;
        while expired < most
            && let Some(slot) = self.expired(now_us)
        {
            self.remove(slot, &rehash);
            expired += 1;
        }
        expired
    }

    /// Takes away the one at `ip`.
    pub(crate) fn forget(&mut self, hash: u64, ip: IpAddr, rehash: impl Fn(IpAddr) -> u64) {
        if let Some(slot) = self.slot_of(hash, ip) {
            self.remove(slot, rehash);
        }
    }

    /// Places of records, used or free.
    pub(crate) fn places(&self) -> usize {
        self.records.places()
    }

    /// The peers in `most` places from `first` on that were heard again, the last time after `since_us`.
    pub(crate) fn heard_since(
        &self,
        first: usize,
        most: usize,
        since_us: u64,
        rehash: impl Fn(IpAddr) -> u64,
    ) -> impl Iterator<Item = IpAddr> {
        let slots = (first..first.saturating_add(most)).filter_map(|place| Slot::try_from(place).ok());
        slots.filter_map(move |slot| {
            let record = self.records.get(slot)?;
            let ip = record.ip();
            let wanted = record.is_known() && record.heard_us > since_us;
            // A free place holds what was there before.
            (wanted && self.slot_of(rehash(ip), ip) == Some(slot)).then_some(ip)
        })
    }

    fn is_live(&self, record: &Record, now_us: u64) -> bool {
        silent_us(record, now_us) < self.room.ttl_us
    }

    /// One that expired. Each list is in the order of time, so that its oldest is the first to.
    fn expired(&self, now_us: u64) -> Option<Slot> {
        let oldest = |standing| self.records.oldest(standing);
        [Standing::Known, Standing::Settled, Standing::Fresh]
            .into_iter()
            .filter_map(oldest)
            .find(|(_, record)| !self.is_live(record, now_us))
            .map(|(slot, _)| slot)
    }

    /// Who goes for a newcomer; see [`Registrations`].
    fn who_makes_room(&self, now_us: u64) -> Option<Slot> {
        let silent = |standing| {
            let oldest = self.records.oldest(standing);
            oldest.filter(|(_, record)| silent_us(record, now_us) >= LIVE_US).map(|(slot, _)| slot)
        };
        let few = self.records.len(Standing::Fresh) < self.room.newcomers_least();
        self.expired(now_us)
            .or_else(|| silent(Standing::Settled))
            .or_else(|| silent(Standing::Known).filter(|_| few))
            .or_else(|| self.records.oldest(Standing::Fresh).map(|(slot, _)| slot))
    }

    fn slot_of(&self, hash: u64, ip: IpAddr) -> Option<Slot> {
        let ip = octets(ip);
        self.by_ip.find(hash, |slot| self.records.get(*slot).is_some_and(|record| record.is_of(ip))).copied()
    }

    /// A registered peer was heard again.
    fn hear(&mut self, slot: Slot, port: u16, via: Via, now_us: u64) {
        self.locate(slot, port, via, now_us);
        self.records.renew(slot, Standing::Known);
    }

    fn locate(&mut self, slot: Slot, port: u16, via: Via, now_us: u64) {
        let local = self.local_id(via.local);
        if let Some(record) = self.records.get_mut(slot) {
            record.port = port;
            record.socket = via.socket;
            record.local = local;
            record.heard_us = record.heard_us.max(now_us);
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

    fn remove(&mut self, slot: Slot, rehash: impl Fn(IpAddr) -> u64) {
        let Some(ip) = self.records.get(slot).map(Record::ip) else { return };
        if let Ok(found) = self.by_ip.find_entry(rehash(ip), |other| *other == slot) {
            found.remove();
        }
        self.records.remove(slot);
    }
}

fn silent_us(record: &Record, now_us: u64) -> u64 {
    now_us.saturating_sub(record.heard_us)
}

#[cfg(test)]
#[path = "registrations_tests.rs"]
mod tests;
