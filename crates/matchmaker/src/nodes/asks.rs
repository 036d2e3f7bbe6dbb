use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use peer_core::NodeId;
use peer_core::datagram::v2::{PairId, PunchKey, Target, Tid};

use crate::outbox::Via;
use crate::v2::PeerView;

/// Asks that are under way at a time. With more the newest is refused.
const ASKS_MAX: usize = 8_192;
/// How long a node may take to answer until the next that may hear the target is asked, in us.
const NODE_PATIENCE_US: u64 = 400_000;
/// Asks that were put off and go on at one tick, so that there is room for others in the queue.
const RESUMED_MAX: usize = 1_024;
/// How long an ask may take in all, in us: by then its peer has asked again.
const ASK_US: u64 = 1_000_000;

/// A peer of ours that asked for one that is not here.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) key: PunchKey,
    pub(crate) asker: Asker,
    pub(crate) target: Target,
    /// As the socket knows the asker.
    pub(crate) reply_to: SocketAddr,
    pub(crate) via: Via,
    /// The node that was told of it last, and when.
    pub(crate) told: Option<(NodeId, u64)>,
    /// Those that may hear the target besides.
    pub(crate) further: Vec<NodeId>,
    /// What is known of who hears the target.
    pub(crate) look: Look,
    /// Whether it was looked up once more: the target may have moved between the look and the ask.
    pub(crate) looked_again: bool,
    /// What makes an equal request known.
    repeat: u64,
}

/// How far it has come with looking up the target of an ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Redis could not be asked, or did not answer: it is to be asked at the next tick.
    PutOff,
    /// Redis is asked.
    UnderWay,
    /// Redis has said.
    Done,
}

/// Who asks.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a box would be an allocation for each")]
pub(crate) enum Asker {
    V2 {
        peer: PeerView,
        tid: Tid,
    },
    /// With the text of its target, which an error repeats.
    Legacy {
        from: SocketAddr,
        text: Box<str>,
        registered: bool,
    },
}

/// What is known of an ask to be.
#[derive(Debug)]
pub(crate) struct NewAsk {
    pub(crate) key: PunchKey,
    pub(crate) asker: Asker,
    pub(crate) target: Target,
    pub(crate) reply_to: SocketAddr,
    pub(crate) via: Via,
    pub(crate) repeat: u64,
}

impl Ask {
    fn put_off(&mut self) {
        (self.look, self.told) = (Look::PutOff, None);
        self.further.clear();
    }
}

/// All asks that are under way, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Asks {
    by_pair: HashMap<PairId, Ask>,
    by_repeat: HashMap<u64, PairId>,
    order: VecDeque<(u64, PairId)>,
}

impl Asks {
    /// Whether an equal request is under way.
    pub(crate) fn is_under_way(&self, repeat: u64) -> bool {
        self.by_repeat.contains_key(&repeat)
    }

    /// Whether there is room for one more.
    pub(crate) fn has_room(&self) -> bool {
        // The order has those that are over as well, until their time.
        self.order.len() < ASKS_MAX
    }

    pub(crate) fn add(&mut self, pair: PairId, new: NewAsk, look: Look, now_us: u64) {
        let NewAsk { key, asker, target, reply_to, via, repeat } = new;
        let ask = Ask {
            key,
            asker,
            target,
            reply_to,
            via,
            told: None,
            further: Vec::new(),
            look,
            looked_again: false,
            repeat,
        };
        self.by_pair.insert(pair, ask);
        self.by_repeat.insert(repeat, pair);
        self.order.push_back((now_us, pair));
    }

    pub(crate) fn get_mut(&mut self, pair: PairId) -> Option<&mut Ask> {
        self.by_pair.get_mut(&pair)
    }

    /// Redis did not do what one needs: it begins anew at the next tick.
    pub(crate) fn put_off(&mut self, pair: PairId) {
        if let Some(ask) = self.by_pair.get_mut(&pair) {
            ask.put_off();
        }
    }

    /// The same for all.
    pub(crate) fn put_off_all(&mut self) {
        self.by_pair.values_mut().for_each(Ask::put_off);
    }

    /// Those that were put off, which are under way again.
    pub(crate) fn resume(&mut self) -> Vec<(PairId, Target)> {
        let put_off = self.by_pair.iter_mut().filter(|(_, ask)| ask.look == Look::PutOff);
        put_off
            .take(RESUMED_MAX)
            .map(|(pair, ask)| {
                ask.look = Look::UnderWay;
                (*pair, ask.target)
            })
            .collect()
    }

    /// One is over.
    pub(crate) fn take(&mut self, pair: PairId) -> Option<Ask> {
        let ask = self.by_pair.remove(&pair)?;
        self.by_repeat.remove(&ask.repeat);
        Some(ask)
    }

    /// Those whose time is over.
    pub(crate) fn expired(&mut self, now_us: u64) -> Vec<Ask> {
        let mut expired = Vec::new();
        while let Some((made_us, pair)) = self.order.front().copied()
            && now_us.saturating_sub(made_us) >= ASK_US
        {
            self.order.pop_front();
            // A pair's number is never given twice.
            expired.extend(self.take(pair));
        }
        expired
    }

    /// Those whose node takes too long.
    pub(crate) fn unanswered(&self, now_us: u64) -> Vec<(PairId, NodeId)> {
        let late = |ask: &Ask| {
            ask.told.filter(|(_, told_us)| {
                !ask.further.is_empty() && now_us.saturating_sub(*told_us) >= NODE_PATIENCE_US
            })
        };
        self.by_pair.iter().filter_map(|(pair, ask)| late(ask).map(|(node, _)| (*pair, node))).collect()
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.by_pair.len()
    }
}
