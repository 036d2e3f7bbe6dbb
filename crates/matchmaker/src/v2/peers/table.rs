use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, SocketAddr};

use hashbrown::HashTable;
use peer_core::datagram::v2::NatKind;
use slab::Slab;

use super::records::{List, NONE, Order, Packed, Record, Slot};
use super::{AtIp, Before, Gone, LIVE_US, NetworkKey, PER_NETWORK_MAX, PeerView, Registration, TTL_US};
use crate::buckets;
use crate::limits::Rate;
use crate::outbox::Via;

/// A part of the registered peers, bounded: all those of a network are in one part.
#[derive(Debug)]
pub(super) struct Table {
    records: Slab<Record>,
    by_addr: HashTable<Slot>,
    networks: HashTable<Members>,
    all: List,
    /// Records by kind of NAT, as in [`NatKind::ALL`].
    nats: [usize; NatKind::ALL.len()],
    most: usize,
    hasher: RandomState,
}

/// The peers of a network, of which there is one at least.
#[derive(Debug)]
struct Members {
    network: u128,
    list: List,
    len: u32,
}

impl Table {
    pub(super) fn new(most: u32, hasher: RandomState) -> Self {
        Self {
            records: Slab::new(),
            by_addr: HashTable::new(),
            networks: HashTable::new(),
            all: List::EMPTY,
            nats: [0; NatKind::ALL.len()],
            most: most as usize,
            hasher,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Records by kind of NAT, as in [`NatKind::ALL`].
    pub(super) fn nats(&self) -> [usize; NatKind::ALL.len()] {
        self.nats
    }

    /// The live peer at `addr`.
    pub(super) fn view(&self, addr: SocketAddr, now_us: u64) -> Option<PeerView> {
        self.live(addr, now_us).and_then(|slot| self.records.get(slot as usize)).map(view)
    }

    /// Live peers of `ip` but the one at `except`.
    pub(super) fn at_ip(&self, ip: IpAddr, except: Option<SocketAddr>, now_us: u64) -> AtIp {
        let mut found: Option<&Record> = None;
        let mut slot = self.members(ip).map_or(NONE, |members| members.list.newest);
        while let Some(record) = self.records.get(slot as usize) {
            slot = record.older(Order::Network);
            if !is_live(record, now_us) {
                break;
            }
            let addr = record.addr();
            if addr.ip() == ip && Some(addr) != except {
                match found {
                    Some(newest) => return AtIp::Several { newest: view(newest) },
                    None => found = Some(record),
                }
            }
        }
        found.map_or(AtIp::Nobody, |record| AtIp::One(view(record)))
    }

    /// A register: `Err` where there is no room for a newcomer. Gives what had to go, and what id the address had before.
    pub(super) fn register(
        &mut self,
        registration: &Registration,
        network: NetworkKey,
        now_us: u64,
        gone: &mut [Option<Gone>; 2],
    ) -> Result<Before, ()> {
        let from = registration.from;
        let live = self.live(from, now_us);
        let slot = if let Some(slot) = live { slot } else { self.insert(registration, now_us, gone)? };
        self.hear(slot, network, registration.via, now_us);
        let Some(record) = self.records.get_mut(slot as usize) else { return Err(()) };
        let before = Before { was_there: live.is_some(), id: record.id };
        record.id = registration.id;
        record.set_lan(&registration.lan);
        if let Some(rtt_ms) = registration.rtt_ms {
            record.measured(rtt_ms);
        }
        Ok(before)
    }

    /// Places of records, used or free.
    pub(super) fn places(&self) -> usize {
        self.records.capacity()
    }

    /// The peers in `most` places from `first` on.
    pub(super) fn in_places(&self, first: usize, most: usize) -> impl Iterator<Item = PeerView> {
        (first..first.saturating_add(most)).filter_map(|place| self.records.get(place)).map(view)
    }

    /// A sign of life of the live peer at `addr`.
    pub(super) fn touch(&mut self, addr: SocketAddr, network: NetworkKey, via: Via, now_us: u64) {
        if let Some(slot) = self.live(addr, now_us) {
            self.hear(slot, network, via, now_us);
        }
    }

    /// Charges one answer to the live peer at `addr`; `None` where there is no such peer.
    pub(super) fn may_answer(&mut self, addr: SocketAddr, now_us: u64, rate: Rate) -> Option<bool> {
        let slot = self.live(addr, now_us)?;
        let record = self.records.get_mut(slot as usize)?;
        let charged = charge(record.answered_until_us, now_us, rate);
        record.answered_until_us = charged.unwrap_or(record.answered_until_us);
        Some(charged.is_some())
    }

    /// Charges one connect that the peer at `addr` is told of.
    pub(super) fn may_be_asked(
        &mut self,
        addr: SocketAddr,
        now_us: u64,
        all: Rate,
        unregistered: Option<Rate>,
    ) -> bool {
        let record = self.live(addr, now_us).and_then(|slot| self.records.get_mut(slot as usize));
        let Some(record) = record else { return false };
        let of_all = charge(record.asked_until_us, now_us, all);
        let of_unregistered = match unregistered {
            Some(rate) => charge(record.asked_unregistered_until_us, now_us, rate),
            None => Some(record.asked_unregistered_until_us),
        };
        let (Some(of_all), Some(of_unregistered)) = (of_all, of_unregistered) else { return false };
        record.asked_until_us = of_all;
        record.asked_unregistered_until_us = of_unregistered;
        true
    }

    pub(super) fn set_nat(&mut self, addr: SocketAddr, nat: NatKind, now_us: u64) {
        if let Some(slot) = self.live(addr, now_us)
            && let Some(record) = self.records.get_mut(slot as usize)
        {
            let before = std::mem::replace(&mut record.nat, nat);
            self.count(before, usize::saturating_sub);
            self.count(nat, usize::saturating_add);
        }
    }

    /// Forgets the peer at `addr`.
    pub(super) fn remove_at(&mut self, addr: SocketAddr) -> Option<Gone> {
        self.slot_of(addr).and_then(|slot| self.remove(slot))
    }

    /// Forgets one that expired.
    pub(super) fn expire_one(&mut self, now_us: u64) -> Option<Gone> {
        let oldest = self.all.oldest;
        let expired = self.records.get(oldest as usize).is_some_and(|record| !is_live(record, now_us));
        if expired { self.remove(oldest) } else { None }
    }

    fn insert(
        &mut self,
        registration: &Registration,
        now_us: u64,
        gone: &mut [Option<Gone>; 2],
    ) -> Result<Slot, ()> {
        let from = registration.from;
        let [of_table, of_network] = gone;
        // It may be there and have expired.
        if let Some(slot) = self.slot_of(from) {
            *of_table = self.remove(slot);
        }
        if let Some(members) = self.members(from.ip()).filter(|members| members.len >= PER_NETWORK_MAX) {
            *of_network = self.remove(members.list.oldest);
        } else if self.records.len() >= self.most {
            let oldest = self.all.oldest;
            let silent = |record: &Record| now_us.saturating_sub(record.heard_us) >= LIVE_US;
            if !self.records.get(oldest as usize).is_some_and(silent) {
                return Err(());
            }
            *of_network = self.remove(oldest);
        }
        let slot = self.records.insert(Record::new(from, registration.via, now_us));
        let slot = Slot::try_from(slot).map_err(|_| ())?;
        self.count(NatKind::Unknown, usize::saturating_add);
        self.all.link_newest(&mut self.records, Order::All, slot);
        self.join(slot, from.ip());
        let (hash, records, hasher) = (self.hasher.hash_one(Packed::of(from)), &self.records, &self.hasher);
        self.by_addr.insert_unique(hash, slot, |slot| {
            records.get(*slot as usize).map_or(0, |record| hasher.hash_one(record.packed()))
        });
        Ok(slot)
    }

    /// Puts a record among those of its network.
    fn join(&mut self, slot: Slot, ip: IpAddr) {
        let network = NetworkKey::bits_of(ip);
        let (hash, hasher) = (self.hasher.hash_one(network), &self.hasher);
        let mut members = self
            .networks
            .entry(hash, |members| members.network == network, |members| hasher.hash_one(members.network))
            .or_insert(Members { network, list: List::EMPTY, len: 0 });
        let members = members.get_mut();
        members.list.link_newest(&mut self.records, Order::Network, slot);
        members.len += 1;
    }

    fn hear(&mut self, slot: Slot, network: NetworkKey, via: Via, now_us: u64) {
        self.all.renew(&mut self.records, Order::All, slot);
        let Some(record) = self.records.get_mut(slot as usize) else { return };
        record.via = via;
        record.heard_us = record.heard_us.max(now_us);
        let NetworkKey { bits, hash } = network;
        if let Some(members) = self.networks.find_mut(hash, |members| members.network == bits) {
            members.list.renew(&mut self.records, Order::Network, slot);
        }
    }

    fn remove(&mut self, slot: Slot) -> Option<Gone> {
        let addr = self.records.get(slot as usize)?.addr();
        self.all.unlink(&mut self.records, Order::All, slot);
        let network = NetworkKey::bits_of(addr.ip());
        let hash = self.hasher.hash_one(network);
        if let Ok(mut entry) = self.networks.find_entry(hash, |members| members.network == network) {
            let members = entry.get_mut();
            members.list.unlink(&mut self.records, Order::Network, slot);
            members.len -= 1;
            if members.len == 0 {
                entry.remove();
            }
        }
        if let Ok(entry) =
            self.by_addr.find_entry(self.hasher.hash_one(Packed::of(addr)), |other| *other == slot)
        {
            entry.remove();
        }
        let record = self.records.try_remove(slot as usize)?;
        self.count(record.nat, usize::saturating_sub);
        Some(Gone { addr, id: record.id })
    }

    fn count(&mut self, nat: NatKind, change: fn(usize, usize) -> usize) {
        if let Some(count) = self.nats.get_mut(nat as usize) {
            *count = change(*count, 1);
        }
    }

    fn live(&self, addr: SocketAddr, now_us: u64) -> Option<Slot> {
        let slot = self.slot_of(addr)?;
        self.records.get(slot as usize).filter(|record| is_live(record, now_us)).map(|_| slot)
    }

    fn slot_of(&self, addr: SocketAddr) -> Option<Slot> {
        let addr = Packed::of(addr);
        let is_it = |slot: &Slot| self.records.get(*slot as usize).is_some_and(|it| it.packed() == addr);
        self.by_addr.find(self.hasher.hash_one(addr), is_it).copied()
    }

    fn members(&self, ip: IpAddr) -> Option<&Members> {
        let network = NetworkKey::bits_of(ip);
        self.networks.find(self.hasher.hash_one(network), |members| members.network == network)
    }
}

fn view(record: &Record) -> PeerView {
    PeerView {
        addr: record.addr(),
        via: record.via,
        id: record.id,
        lan: record.lan(),
        nat: record.nat,
        heard_us: record.heard_us,
        rtt_ms: record.rtt_ms(),
    }
}

fn is_live(record: &Record, now_us: u64) -> bool {
    now_us.saturating_sub(record.heard_us) < TTL_US
}

fn charge(until_us: u64, now_us: u64, rate: Rate) -> Option<u64> {
    buckets::charge(until_us, now_us, rate.cost_us(), rate.burst_us())
}
