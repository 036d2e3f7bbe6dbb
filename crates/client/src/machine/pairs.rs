//! With whom this peer punches.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_core::datagram::v2::{Introduction, LanAddrs, PairId, Path, PunchKey, Request as Message, Verdict};

use super::event::{Connected, Event, SocketId, Whose};
use super::punch::{Punch, Says};
use super::punching::{Pair, Plan, State};
use super::{Machine, PAIRS_MAX, PathId, legacy};
use crate::error::ConnectError;

/// From one punch to the next, where a legacy server does not say.
const LEGACY_INTERVAL: Duration = Duration::from_millis(100);
/// First of the ports that nobody is given for good (RFC 6335, section 6).
const DYNAMIC_PORTS: u16 = 49_152;

impl Machine {
    /// The server tells of another peer.
    pub(super) fn introduced(&mut self, now: Duration, socket: SocketId, introduction: &Introduction) {
        let ack = Message::Ack { pair: introduction.pair };
        let is_known = |pair: &Pair| pair.socket == socket && pair.name == Some(introduction.pair);
        if self.pairs.values().any(is_known) {
            self.out.request(socket, self.servers.current(), &ack);
            return;
        }
        let request = self.answered(socket, introduction);
        if introduction.tid.is_some() != request.is_some() || !self.has_room_for_pair() {
            return;
        }
        self.out.request(socket, self.servers.current(), &ack);
        let server = self.servers.current();
        if let Some(registration) = self.further.get_mut(&socket) {
            // It was for this one question, and would make our IP address ambiguous for others.
            registration.leave(now, server, &mut self.out);
        }
        let mut pair = Pair::new(socket, introduction.peer, now);
        pair.name = Some(introduction.pair);
        pair.key = introduction.key;
        pair.asker = introduction.tid.is_some();
        pair.request = request;
        pair.id = introduction.id;
        pair.cold = introduction.cold;
        let plan = Plan {
            lan: introduction.lan,
            mapped: introduction.punch,
            agreed: self.agreed_way(now, socket, introduction),
            start: now + Duration::from_millis(introduction.start_ms.into()),
            interval: Duration::from_millis(introduction.interval_ms.into()),
        };
        self.begin_pair(now, pair, &plan);
    }

    /// A legacy server tells of another peer.
    pub(super) fn introduced_by_legacy(&mut self, now: Duration, socket: SocketId, peer: SocketAddr) {
        let request = self.answered_by_legacy(peer);
        let is_known = |pair: &Pair| pair.key.is_none() && pair.peer == peer && pair.state == State::Punching;
        if let Some(pair) = self.pairs.values_mut().find(|pair| is_known(pair)) {
            // Both asked for each other, or it was asked twice.
            pair.request = pair.request.or(request);
            return;
        }
        if self.has_room_for_pair() {
            let mut pair = Pair::new(socket, peer, now);
            pair.request = request;
            let plan = Plan {
                lan: LanAddrs::EMPTY,
                mapped: true,
                agreed: None,
                start: now,
                interval: LEGACY_INTERVAL,
            };
            self.begin_pair(now, pair, &plan);
        }
    }

    /// Where an attempt came to nothing, a NAT may have given the port of the side that was asked to another flow, and its
    /// next choice to all that follow. So in a further attempt that side punches from a fresh port as well, which both
    /// read off the key: there is mostly none in the way outside that is not there inside.
    fn agreed_way(
        &mut self,
        now: Duration,
        socket: SocketId,
        introduction: &Introduction,
    ) -> Option<(SocketId, SocketAddr)> {
        let port = agreed_port(introduction.key.filter(|_| introduction.punch)?);
        let peer = introduction.peer;
        if introduction.tid.is_some() {
            return (socket != SocketId::MAIN).then(|| (socket, SocketAddr::new(peer.ip(), port)));
        }
        let was_asked_in_vain =
            |pair: &Pair, ip: IpAddr| !pair.asker && pair.peer.ip() == ip && pair.is_vain(now);
        let again = self.pairs.values().any(|pair| was_asked_in_vain(pair, peer.ip()));
        again.then(|| (self.open_socket_at(port), peer))
    }

    fn has_room_for_pair(&self) -> bool {
        let is_open = |pair: &&Pair| !matches!(pair.state, State::Connected(_));
        !self.closing && self.pairs.values().filter(is_open).count() < PAIRS_MAX
    }

    fn begin_pair(&mut self, now: Duration, mut pair: Pair, plan: &Plan) {
        if !pair.plan(plan, &self.lan) {
            self.report(pair.socket, pair.name, None);
            match pair.request {
                Some(request) => self.fail(request, ConnectError::BothHard),
                None => self.out.events.push_back(Event::Unpunchable { peer: pair.peer }),
            }
            return;
        }
        let number = self.next_number();
        if let Some(key) = pair.key {
            self.by_key.insert(key, number);
        }
        pair.tick(now, &mut self.out);
        self.pairs.insert(number, pair);
    }

    pub(super) fn tick_pairs(&mut self, now: Duration) {
        let mut over = Vec::new();
        for (number, pair) in &mut self.pairs {
            pair.tick(now, &mut self.out);
            if pair.is_over(now) {
                over.push(*number);
            }
        }
        for number in over {
            let Some(pair) = self.pairs.get_mut(&number) else { continue };
            if pair.state == State::Over {
                self.forget_pair(number);
                continue;
            }
            pair.give_up();
            let (request, cold, name, socket) = (pair.request, pair.cold, pair.name, pair.socket);
            self.report(socket, name, None);
            if let Some(request) = request {
                self.attempt_failed(now, request, cold);
            }
        }
    }

    pub(super) fn forget_pair(&mut self, number: u64) {
        if let Some(key) = self.pairs.remove(&number).and_then(|pair| pair.key) {
            self.by_key.remove(&key);
        }
    }

    /// Something that shows a key.
    pub(super) fn hear_punch(&mut self, now: Duration, socket: SocketId, from: SocketAddr, punch: Punch) {
        let Some(number) = self.by_key.get(&punch.key).copied() else { return };
        let Some(pair) = self.pairs.get_mut(&number) else { return };
        // What we said ourselves shows the key as well.
        if !pair.uses(socket) || pair.asker == punch.from_asker {
            return;
        }
        if punch.says == Says::Bye {
            if let State::Connected(path) = pair.state {
                self.end_path(path);
            }
            return;
        }
        if !pair.hear(now, socket, from) {
            return;
        }
        if let State::Connected(path) = pair.state
            && let Some(path) = self.paths.get_mut(&path)
        {
            path.heard = now;
        }
        if punch.says != Says::Hello {
            self.confirmed(now, number, socket, from);
        }
        if matches!(punch.says, Says::Hello | Says::Heard)
            && let Some(pair) = self.pairs.get(&number)
        {
            pair.answer(socket, from, &mut self.out);
        }
    }

    /// Something else, from an address that no path has.
    pub(super) fn hear_unmarked(
        &mut self,
        now: Duration,
        socket: SocketId,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Whose {
        let is_of = |pair: &Pair| {
            pair.uses(socket)
                && !matches!(pair.state, State::Connected(_))
                && match pair.key {
                    // It says more to us than punches: it knows that the way is open.
                    Some(_) => pair.has_heard(socket, from),
                    // Where a NAT gave it another port, only its address is known.
                    None => pair.peer.ip() == from.ip(),
                }
        };
        let Some((number, pair)) = self.pairs.iter_mut().find(|(_, pair)| is_of(pair)) else {
            return Whose::Stranger;
        };
        let number = *number;
        pair.hear(now, socket, from);
        match self.confirmed(now, number, socket, from) {
            Some(path) if datagram != legacy::PUNCH => Whose::Path(path),
            _ => Whose::Ours,
        }
    }

    /// A way is open in both directions.
    fn confirmed(
        &mut self,
        now: Duration,
        number: u64,
        socket: SocketId,
        from: SocketAddr,
    ) -> Option<PathId> {
        let pair = self.pairs.get_mut(&number)?;
        let (via, is_new) = pair.confirm(socket, from)?;
        if let State::Connected(path) = pair.state {
            if is_new {
                self.add_route(path, socket, from);
            }
            return Some(path);
        }
        let started =
            pair.request.map(|request| self.requests.remove(&request).map(|request| request.started));
        if started == Some(None) {
            // It was met by another attempt meanwhile.
            if let Some(bye) = pair.says(Says::Bye) {
                self.out.send(socket, from, bye);
            }
            self.forget_pair(number);
            return None;
        }
        let Some(path) = self.open_path(now, number, socket, from) else {
            if let Some(request) = self.pairs.get(&number).and_then(|pair| pair.request) {
                self.out.events.push_back(Event::Failed { request, error: ConnectError::Busy });
            }
            self.forget_pair(number);
            return None;
        };
        let pair = self.pairs.get_mut(&number)?;
        pair.connected(now, path);
        let took = now.saturating_sub(started.flatten().unwrap_or(pair.told));
        let ms = u32::try_from(now.saturating_sub(pair.told).as_millis()).unwrap_or(u32::MAX);
        self.out.events.push_back(Event::Connected(Connected {
            path,
            request: pair.request,
            peer: from,
            socket,
            id: pair.id,
            via,
            took,
        }));
        let (told, name) = (pair.socket, pair.name);
        self.report(told, name, Some((via, ms)));
        Some(path)
    }

    /// Tells the server what came of a pair, where it has a name for it.
    fn report(&mut self, socket: SocketId, pair: Option<PairId>, reached: Option<(Path, u32)>) {
        if let Some(pair) = pair {
            self.out.request(socket, self.servers.current(), &Message::Result(Verdict { pair, reached }));
        }
    }
}

/// The port that both sides of a pair read off its key, of those that nobody is given for good.
fn agreed_port(key: PunchKey) -> u16 {
    let [first, second, ..] = key.to_bytes();
    DYNAMIC_PORTS | u16::from_be_bytes([first, second])
}
