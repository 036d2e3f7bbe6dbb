use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::SocketAddr;

use hashbrown::HashTable;
use peer_core::datagram::v2::{Introduction, PairId, Tid};
use peer_core::limits::V2_START_MAX_MS;
use slab::Slab;

use super::memory::Memory;
use crate::outbox::Via;

/// How long after the first time a side is told again, as long as it has not said that it heard, in us.
const RESEND_AFTER_US: [u64; 3] = [200_000, 500_000, 1_000_000];
/// How long a pair counts as asked for again, in us: longer than an attempt of a client takes.
const AGAIN_US: u64 = 10_000_000;
/// How long an equal transaction id is the same request, and so how long a side can be told the same again, in us.
const REPEAT_US: u64 = 5_000_000;
/// How long a result is waited for, in us.
const RESULT_US: u64 = 30_000_000;
/// Sides that can be told again at a time: 3,200 pairs a second for [`REPEAT_US`]. With more the oldest are forgotten.
const SIDES_MAX: usize = 32_768;
/// Resends that are due at a time. With more there are none for those that come.
const RESENDS_MAX: usize = 65_536;
/// Transaction ids, and results to come, that are remembered at a time.
const REPEATS_MAX: usize = 32_768;
const RESULTS_MAX: usize = 131_072;
/// Who asked for whom, remembered at a time.
const ASKED_MAX: usize = 32_768;
/// What is remembered of who unregistered, where else the number of a pair stands.
const LEFT: u64 = u64::MAX;

/// Peers that were told of each other lately: to tell them again, and to know what they say of it.
#[derive(Debug)]
pub(super) struct Pairs {
    sides: Slab<Side>,
    /// Numbers of sides by pair and address.
    by_pair: HashTable<usize>,
    /// Sides in the order in which they came, with their serials. All stay equally long.
    order: VecDeque<Ticket>,
    due: BinaryHeap<Reverse<(u64, Ticket)>>,
    repeats: Memory,
    results: Memory,
    asked: Memory,
    /// Pairs that were asked for and reached each other.
    reached: Memory,
    serial: u64,
    hasher: RandomState,
}

/// One side of a pair, and what it was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(super) to: SocketAddr,
    pub(super) via: Via,
    pub(super) introduction: Introduction,
    /// When both sides are to begin, in us.
    pub(super) start_us: u64,
    /// Half of its round trip, in us: what is sent now is there after that.
    pub(super) way_us: u64,
}

impl Told {
    /// What to tell it now.
    pub(super) fn introduction(&self, now_us: u64) -> Introduction {
        let wait_ms = self.start_us.saturating_sub(now_us + self.way_us) / 1_000;
        let start_ms = u16::try_from(wait_ms).unwrap_or(V2_START_MAX_MS).min(V2_START_MAX_MS);
        Introduction { start_ms, ..self.introduction }
    }
}

#[derive(Debug)]
struct Side {
    told: Told,
    made_us: u64,
    /// How often it was told again, and how often it will be.
    resent: usize,
    acked: bool,
    serial: u64,
}

/// A number of a side, and its serial: another one may have the number by now.
type Ticket = (usize, u64);

impl Pairs {
    pub(super) fn new(hasher: RandomState) -> Self {
        Self {
            sides: Slab::new(),
            by_pair: HashTable::new(),
            order: VecDeque::new(),
            due: BinaryHeap::new(),
            repeats: Memory::new(REPEATS_MAX),
            results: Memory::new(RESULTS_MAX),
            asked: Memory::new(ASKED_MAX),
            reached: Memory::new(ASKED_MAX),
            serial: 0,
            hasher,
        }
    }

    /// A side was told. It is told again until it acknowledges, if that is wanted, and its result counts.
    pub(super) fn add(&mut self, told: &Told, resend: bool, now_us: u64) {
        let (pair, to) = (told.introduction.pair, told.to);
        let hash = self.hash(pair, to);
        self.results.keep(hash, 1, now_us + RESULT_US);
        self.forget_old(now_us);
        if let Some(tid) = told.introduction.tid {
            let key = self.repeat_key(to, tid);
            self.repeats.keep(key, pair.to_bits(), now_us + REPEAT_US);
        }
        self.serial += 1;
        let serial = self.serial;
        let number =
            self.sides.insert(Side { told: *told, made_us: now_us, resent: 0, acked: !resend, serial });
        let (sides, hasher) = (&self.sides, &self.hasher);
        self.by_pair.insert_unique(hash, number, |number| {
            sides.get(*number).map_or(0, |side| hash_of(hasher, side.told.introduction.pair, side.told.to))
        });
        self.order.push_back((number, serial));
        if resend {
            self.schedule((number, serial), now_us);
        }
    }

    /// What the sender of a request with this `tid` was told for it lately.
    pub(super) fn repeated(&mut self, from: SocketAddr, tid: Tid, now_us: u64) -> Option<Told> {
        let key = self.repeat_key(from, tid);
        let pair = PairId::from_bits(self.repeats.recall(key, now_us)?);
        let number = self.find(pair, from)?;
        self.sides.get(number).map(|side| side.told)
    }

    /// Somebody asks for somebody, each by a name that stays from one attempt to the next, and `pair` comes of it. Whether it
    /// did so lately, and they have not reached each other since.
    pub(super) fn asks_again(&mut self, names: impl Hash, pair: PairId, now_us: u64) -> bool {
        let key = self.hasher.hash_one(names);
        let before = self.asked.recall(key, now_us);
        self.asked.keep(key, pair.to_bits(), now_us + AGAIN_US);
        before.is_some_and(|pair| self.reached.recall(self.hasher.hash_one(pair), now_us).is_none())
    }

    /// The sender of a request with this `tid` has unregistered.
    pub(super) fn left(&mut self, from: SocketAddr, tid: Tid, now_us: u64) {
        let key = self.repeat_key(from, tid);
        self.repeats.keep(key, LEFT, now_us + REPEAT_US);
    }

    /// Whether it did so lately.
    pub(super) fn has_left(&mut self, from: SocketAddr, tid: Tid, now_us: u64) -> bool {
        let key = self.repeat_key(from, tid);
        self.repeats.recall(key, now_us) == Some(LEFT)
    }

    /// A side heard. False where it was not told, or not lately.
    pub(super) fn ack(&mut self, pair: PairId, from: SocketAddr) -> bool {
        let side = self.find(pair, from).and_then(|number| self.sides.get_mut(number));
        side.map(|side| side.acked = true).is_some()
    }

    /// A side says what became of a pair. False where it was not told of it, or said so before.
    pub(super) fn result(&mut self, pair: PairId, from: SocketAddr, reached: bool, now_us: u64) -> bool {
        self.ack(pair, from);
        let hash = self.hash(pair, from);
        let counts = self.results.take(hash, now_us).is_some();
        if counts && reached {
            self.reached.keep(self.hasher.hash_one(pair.to_bits()), 1, now_us + AGAIN_US);
        }
        counts
    }

    /// When the next side may have to be told again; `None` while none has.
    pub(super) fn next_due_us(&self) -> Option<u64> {
        self.due.peek().map(|Reverse((due_us, _))| *due_us)
    }

    /// The next side that has to be told again by now.
    pub(super) fn due(&mut self, now_us: u64) -> Option<Told> {
        while self.next_due_us().is_some_and(|due_us| due_us <= now_us) {
            let Reverse((_, ticket)) = self.due.pop()?;
            let (number, serial) = ticket;
            let side = self.sides.get_mut(number).filter(|side| side.serial == serial && !side.acked);
            let Some(side) = side else { continue };
            let (told, made_us) = (side.told, side.made_us);
            // Whoever comes late makes up for nothing.
            let over = |after_us: &&u64| made_us + **after_us <= now_us;
            side.resent = RESEND_AFTER_US.iter().take_while(over).count();
            self.schedule(ticket, made_us);
            return Some(told);
        }
        None
    }

    fn schedule(&mut self, ticket: Ticket, made_us: u64) {
        let resent = self.sides.get(ticket.0).map_or(0, |side| side.resent);
        if let Some(after_us) = RESEND_AFTER_US.get(resent)
            && self.due.len() < RESENDS_MAX
        {
            self.due.push(Reverse((made_us + after_us, ticket)));
        }
    }

    /// Forgets those whose time is over, and the oldest where there are too many.
    fn forget_old(&mut self, now_us: u64) {
        while let Some(&(number, serial)) = self.order.front() {
            let side = self.sides.get(number).filter(|side| side.serial == serial);
            let over = side.is_none_or(|side| now_us.saturating_sub(side.made_us) >= REPEAT_US);
            if !over && self.sides.len() < SIDES_MAX {
                return;
            }
            self.order.pop_front();
            self.remove(number);
        }
    }

    fn remove(&mut self, number: usize) {
        let Some(side) = self.sides.try_remove(number) else { return };
        let hash = self.hash(side.told.introduction.pair, side.told.to);
        if let Ok(entry) = self.by_pair.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
    }

    fn find(&self, pair: PairId, to: SocketAddr) -> Option<usize> {
        let is_it = |number: &usize| {
            let told = self.sides.get(*number).map(|side| &side.told);
            told.is_some_and(|told| told.introduction.pair == pair && told.to == to)
        };
        self.by_pair.find(self.hash(pair, to), is_it).copied()
    }

    fn hash(&self, pair: PairId, to: SocketAddr) -> u64 {
        hash_of(&self.hasher, pair, to)
    }

    fn repeat_key(&self, from: SocketAddr, tid: Tid) -> u64 {
        self.hasher.hash_one((from, tid))
    }
}

fn hash_of(hasher: &RandomState, pair: PairId, to: SocketAddr) -> u64 {
    hasher.hash_one((pair, to))
}
