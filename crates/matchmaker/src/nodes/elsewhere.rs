//! A connect for a peer that another node hears.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use peer_core::NodeId;
use peer_core::datagram::Reply as LegacyReply;
use peer_core::datagram::v2::{ErrorCode, LanAddrs, NatKind, PairId, Reply};
use registry::nodes::HomeAt;

use super::asks::{Ask, Asker, Look, NewAsk};
use super::choosing::choose;
use super::message::{Answer, Ask as AskMessage, Message, Moved, RELAY_MAX_US, Side, Verdict};
use super::{MESSAGES, NodeEvent, NodeOutcome, Nodes, RETRY_MS, SEEKS, charge};
use crate::outbox::Outbox;
use crate::v2::Asked;
use crate::{Engine, Outcome};

/// Bytes that a legacy connect may make other nodes send, beside the answer: what a peer of version 2 is told.
pub(crate) const ELSEWHERE_BYTES: usize = 300;

impl Engine {
    /// The same, asking other nodes for peers that are not here. `id` is its own name among them.
    #[must_use]
    pub fn with_nodes(mut self, id: NodeId) -> Self {
        self.nodes = Some(Nodes::new(id));
        self
    }

    /// Whether other nodes can be asked from now on. At first they cannot. What is asked for while they cannot waits for it.
    pub fn set_linked(&self, is_linked: bool) {
        if let Some(nodes) = &self.nodes {
            nodes.is_linked.store(is_linked, Ordering::Relaxed);
            if !is_linked {
                nodes.asks.lock().put_off_all();
            }
        }
    }

    /// Redis was away, or a part of it: until then other nodes may not have said again whom they hear.
    pub fn doubt_nodes_until(&self, until_us: u64) {
        if let Some(nodes) = &self.nodes {
            nodes.doubt_until_us.fetch_max(until_us, Ordering::Relaxed);
        }
    }

    /// Asks for a target that is not here. `limit` is where there is no room for it.
    pub(crate) fn seek(
        &self,
        nodes: &Nodes,
        now_us: u64,
        new: NewAsk,
        [sought, again, limit]: [Outcome; 3],
        out: &mut Outbox,
    ) -> Outcome {
        let Some(v2) = &self.v2 else { return limit };
        let mut asks = nodes.asks.lock();
        if asks.is_under_way(new.repeat) {
            return again;
        }
        if !asks.has_room() || !charge(&nodes.seeks, SEEKS, now_us) {
            return limit;
        }
        let (pair, key) = v2.new_pair(now_us);
        let target = new.target;
        // With the lock held, so that one is put off by the end of a link or knows of it.
        let look = if nodes.is_linked() { Look::UnderWay } else { Look::PutOff };
        asks.add(pair, NewAsk { key, ..new }, look, now_us);
        if look == Look::UnderWay {
            out.push_event(NodeEvent::Find { pair, target });
        }
        sought
    }

    /// These nodes say that they hear the target of an ask, the last that said so first.
    pub fn node_homes(
        &self,
        now_us: u64,
        pair: PairId,
        homes: &[HomeAt],
        out: &mut Outbox,
    ) -> Option<NodeOutcome> {
        let nodes = self.nodes.as_ref()?;
        let chosen = {
            let mut asks = nodes.asks.lock();
            let ask = asks.get_mut(pair)?;
            if ask.told.is_some() {
                // It was looked up twice, since it had been put off in between.
                return None;
            }
            ask.look = Look::Done;
            let chosen = choose(ask, homes, nodes.id);
            if let Ok(chosen) = &chosen {
                ask.further.clone_from(chosen);
            }
            chosen.map(drop)
        };
        match chosen {
            Ok(()) => nodes.ask_next(now_us, pair, None, out),
            Err(code) => {
                let ask = nodes.asks.lock().take(pair)?;
                refuse(&ask, code, None, out);
                Some(NodeOutcome::Declined)
            }
        }
    }

    /// Nobody listens at the node that was told of an ask.
    pub fn node_unheard(
        &self,
        now_us: u64,
        pair: PairId,
        node: NodeId,
        out: &mut Outbox,
    ) -> Option<NodeOutcome> {
        self.nodes.as_ref()?.ask_next(now_us, pair, Some(node), out)
    }

    /// Redis did not do what an ask needs. It is tried again at the next tick.
    pub fn put_off_ask(&self, pair: PairId) {
        if let Some(nodes) = &self.nodes {
            nodes.asks.lock().put_off(pair);
        }
    }

    /// Goes on with asks that were put off or take too long, and gives what became of those whose time is over. To be called
    /// several times a second while there are some.
    pub fn node_tick(&self, now_us: u64, out: &mut Outbox) -> Vec<NodeOutcome> {
        let Some(nodes) = &self.nodes else { return Vec::new() };
        // Before others are begun anew: whose time is over is not asked for again.
        let expired = nodes.asks.lock().expired(now_us);
        let outcomes = expired.iter().map(|ask| nodes.not_found(now_us, ask, out)).collect();
        if nodes.is_linked() {
            for (pair, target) in nodes.asks.lock().resume() {
                out.push_event(NodeEvent::Find { pair, target });
            }
            let late = nodes.asks.lock().unanswered(now_us);
            for (pair, node) in late {
                nodes.ask_next(now_us, pair, Some(node), out);
            }
        }
        outcomes
    }

    /// Asks that are under way.
    pub fn asks_len(&self) -> usize {
        self.nodes.as_ref().map_or(0, |nodes| nodes.asks.lock().len())
    }

    /// Takes a message of another node.
    pub fn node_message(&self, now_us: u64, message: &[u8], out: &mut Outbox) -> Option<NodeOutcome> {
        let nodes = self.nodes.as_ref()?;
        if !charge(&nodes.messages, MESSAGES, now_us) {
            return Some(NodeOutcome::Flood);
        }
        match Message::decode(message) {
            Ok(Message::Ask(ask)) => Some(self.asked(now_us, &ask, out)),
            Ok(Message::Answer(answer)) => self.answered(nodes, now_us, &answer, out),
            Ok(Message::Moved(moved)) => {
                self.forget_moved(moved);
                Some(NodeOutcome::Moved)
            }
            Err(bad) => Some(bad.into()),
        }
    }

    /// Another node asks for a peer here.
    fn asked(&self, now_us: u64, ask: &AskMessage, out: &mut Outbox) -> NodeOutcome {
        let verdict = match self.tell_asked(now_us, ask, out) {
            Asked::Told { target, start_in_us } => {
                let start_in_us = u32::try_from(start_in_us).unwrap_or(u32::MAX).min(2 * RELAY_MAX_US);
                Verdict::Told { target, start_in_us }
            }
            Asked::Refused(ErrorCode::Ambiguous) => Verdict::Ambiguous,
            Asked::Refused(ErrorCode::Rate) => Verdict::Rate,
            Asked::Refused(_) => Verdict::NotFound,
        };
        let outcome =
            if matches!(verdict, Verdict::Told { .. }) { NodeOutcome::Told } else { NodeOutcome::Refused };
        let message = Message::Answer(Answer { pair: ask.pair, verdict }).encode();
        out.push_event(NodeEvent::Tell { to: ask.from, pair: None, message });
        outcome
    }

    /// Another node answers an ask of ours.
    fn answered(&self, nodes: &Nodes, now_us: u64, answer: &Answer, out: &mut Outbox) -> Option<NodeOutcome> {
        let pair = answer.pair;
        let told = nodes.asks.lock().get_mut(pair).and_then(|ask| ask.told);
        let Some((node, told_us)) = told else { return Some(NodeOutcome::Stray) };
        let way_us = u32::try_from(now_us.saturating_sub(told_us) / 2).unwrap_or(u32::MAX).min(RELAY_MAX_US);
        // An eighth of the newest, so that one that took long for its own reasons does not delay all that follow.
        let relay_us = nodes.relay_us.load(Ordering::Relaxed);
        let smoothed_us = if relay_us == 0 { way_us } else { relay_us - relay_us / 8 + way_us / 8 };
        nodes.relay_us.store(smoothed_us, Ordering::Relaxed);
        let code = match answer.verdict {
            Verdict::Told { target, start_in_us } => {
                let ask = nodes.asks.lock().take(pair)?;
                let begin_us = (now_us + u64::from(start_in_us)).saturating_sub(way_us.into());
                match &ask.asker {
                    Asker::V2 { peer, tid } => {
                        self.tell_asker(
                            now_us,
                            (pair, ask.key),
                            (peer, *tid, ask.reply_to),
                            &target,
                            begin_us,
                            out,
                        );
                    }
                    Asker::Legacy { .. } => out.push(ask.reply_to, ask.via, LegacyReply::Peer(target.addr)),
                }
                return Some(NodeOutcome::Matched);
            }
            Verdict::NotFound => return nodes.ask_next(now_us, pair, Some(node), out),
            Verdict::Ambiguous => ErrorCode::Ambiguous,
            Verdict::Rate => ErrorCode::Rate,
        };
        let ask = nodes.asks.lock().take(pair)?;
        refuse(&ask, code, None, out);
        Some(NodeOutcome::Declined)
    }

    fn forget_moved(&self, moved: Moved) {
        match moved {
            Moved::Id { id, is_v4 } => self.forget_id(id, is_v4),
            Moved::Addr(addr) => self.forget_v2(addr),
            Moved::Legacy(ip) => self.forget_legacy(ip),
        }
    }
}

impl Nodes {
    /// Nobody hears the target of an ask, or Redis could not say who does.
    fn not_found(&self, now_us: u64, ask: &Ask, out: &mut Outbox) -> NodeOutcome {
        let is_in_doubt = now_us < self.doubt_until_us.load(Ordering::Relaxed);
        let (retry_ms, outcome) = if ask.look == Look::Done && !is_in_doubt {
            (None, NodeOutcome::NotFound)
        } else {
            (Some(RETRY_MS), NodeOutcome::Unreachable)
        };
        refuse(ask, ErrorCode::NotFound, retry_ms, out);
        outcome
    }

    /// Tells the next node of an ask, where the one that was told is still `after`.
    fn ask_next(
        &self,
        now_us: u64,
        pair: PairId,
        after: Option<NodeId>,
        out: &mut Outbox,
    ) -> Option<NodeOutcome> {
        let mut asks = self.asks.lock();
        let ask = asks.get_mut(pair)?;
        if ask.told.map(|(node, _)| node) != after {
            return None;
        }
        let Some(next) = ask.further.pop() else {
            if ask.told.is_some() && !ask.looked_again {
                (ask.looked_again, ask.told, ask.look) = (true, None, Look::UnderWay);
                out.push_event(NodeEvent::Find { pair, target: ask.target });
                return Some(NodeOutcome::Next);
            }
            let ask = asks.take(pair)?;
            drop(asks);
            return Some(self.not_found(now_us, &ask, out));
        };
        ask.told = Some((next, now_us));
        let (asker, registered) = match &ask.asker {
            Asker::V2 { peer, .. } => (peer.side(now_us), true),
            Asker::Legacy { from, registered, .. } => (legacy_side(*from), *registered),
        };
        let relay_us = self.relay_us.load(Ordering::Relaxed);
        let (from, key, target) = (self.id, ask.key, ask.target);
        let message = Message::Ask(AskMessage { from, pair, key, asker, registered, relay_us, target });
        out.push_event(NodeEvent::Tell { to: next, pair: Some(pair), message: message.encode() });
        after.map(|_| NodeOutcome::Next)
    }
}

/// Tells an asker that nothing came of it. A legacy peer has one word for that, and none for asking again, which it does where
/// it hears nothing.
fn refuse(ask: &Ask, code: ErrorCode, retry_ms: Option<u32>, out: &mut Outbox) {
    match &ask.asker {
        Asker::V2 { tid, .. } => {
            let reply = Reply::Error { tid: Some(*tid), code, retry_ms };
            out.push_with(ask.reply_to, ask.via, |bytes| reply.encode(bytes));
        }
        Asker::Legacy { .. } if retry_ms.is_some() => {}
        Asker::Legacy { text, .. } => {
            out.push(ask.reply_to, ask.via, LegacyReply::NotFound { target: text });
        }
    }
}

/// What there is to say of a legacy peer.
pub(crate) fn legacy_side(addr: SocketAddr) -> Side {
    Side {
        addr,
        is_v2: false,
        id: None,
        lan: LanAddrs::EMPTY,
        nat: NatKind::Unknown,
        rtt_ms: None,
        cold: false,
    }
}
