//! Whom this peer asked the server for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use peer_core::datagram::v2::{Connect, ErrorCode, Introduction, Request as Message, Target, Tid};

use super::event::{Event, RequestId, SocketId};
use super::registration::RETRY_FIRST;
use super::{Machine, legacy};
use crate::error::{ConnectError, Refusal};

/// Requests that are under way at a time.
const REQUESTS_MAX: usize = 64;
/// Attempts to reach a peer, the first one among them.
pub(super) const ATTEMPTS_MAX: u32 = 3;
/// Datagrams without an answer until the server counts as silent. All are sent within the 5 seconds in which the server
/// knows an equal request again.
const TRIES_MAX: u32 = 4;
/// Datagrams without an answer until it is asked whether it is there at all.
const TRIES_TO_DOUBT: u32 = 2;
/// How often the server may ask for patience or for a new registration.
const SETBACKS_MAX: u32 = 3;
/// The wait that `rate` asks for.
const RATE_WAIT: Duration = Duration::from_secs(1);
/// How long a server that cannot reach others is asked again, from the first time that it says so: a Redis Cluster fails over
/// within a few seconds.
const UNREACHABLE_MAX: Duration = Duration::from_secs(10);
/// The least wait until then, whatever the server says.
const UNREACHABLE_WAIT_MIN: Duration = Duration::from_millis(100);

/// A peer that is asked for.
#[derive(Debug)]
pub(super) struct Request {
    target: Target,
    pub(super) started: Duration,
    /// The socket of the attempt that is under way.
    pub(super) socket: SocketId,
    attempt: u32,
    setbacks: u32,
    /// When the server first said that it cannot reach others.
    unreachable_since: Option<Duration>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Until its socket is registered.
    Waiting,
    /// For the server's answer.
    Asked { tid: Tid, retry_at: Duration, wait: Duration, tries: u32 },
    /// Until it may ask again.
    Pausing { until: Duration },
    /// The server has answered.
    Punching,
}

impl Request {
    pub(super) fn due(&self) -> Option<Duration> {
        match self.state {
            State::Asked { retry_at, .. } => Some(retry_at),
            State::Pausing { until } => Some(until),
            State::Waiting | State::Punching => None,
        }
    }

    fn is_called(&self, name: Tid) -> bool {
        matches!(self.state, State::Asked { tid, .. } if tid == name)
    }
}

impl Machine {
    /// Asks for a peer. [`Event::Connected`] or [`Event::Failed`] follows.
    pub fn connect(&mut self, now: Duration, target: Target) -> Result<RequestId, ConnectError> {
        if self.closing {
            return Err(ConnectError::Closed);
        }
        if self.requests.len() >= REQUESTS_MAX {
            return Err(ConnectError::Busy);
        }
        let request = RequestId(self.next_number());
        self.requests.insert(
            request,
            Request {
                target,
                started: now,
                socket: SocketId::MAIN,
                attempt: 1,
                setbacks: 0,
                unreachable_since: None,
                state: State::Waiting,
            },
        );
        self.ask_where_registered(now);
        Ok(request)
    }

    /// Sends requests whose sockets are registered by now.
    pub(super) fn ask_where_registered(&mut self, now: Duration) {
        let waiting: Vec<(RequestId, SocketId)> = self
            .requests
            .iter()
            .filter(|(_, request)| request.state == State::Waiting)
            .map(|(id, request)| (*id, request.socket))
            .collect();
        for (id, socket) in waiting {
            if self.registration(socket).is_some_and(|registration| registration.has_joined()) {
                self.ask(now, id);
            }
        }
    }

    /// What the former server was asked for, the next one is, as soon as it knows us.
    pub(super) fn ask_elsewhere(&mut self) {
        for request in self.requests.values_mut() {
            if matches!(request.state, State::Asked { .. } | State::Pausing { .. }) {
                request.state = State::Waiting;
            }
        }
    }

    fn ask(&mut self, now: Duration, id: RequestId) {
        let tid = self.out.next_tid();
        let Some(request) = self.requests.get_mut(&id) else { return };
        let wait = self.main.patience().min(4 * RETRY_FIRST);
        request.state = State::Asked { tid, retry_at: now + wait, wait, tries: 0 };
        self.send_request(now, id);
    }

    fn send_request(&mut self, now: Duration, id: RequestId) {
        let Some(Request { target, socket, state, .. }) = self.requests.get_mut(&id) else { return };
        let State::Asked { tid, retry_at, wait, tries } = state else { return };
        *tries += 1;
        *retry_at = now + *wait * (1 << (*tries - 1));
        let (tid, target, socket) = (*tid, *target, *socket);
        let token = self.registration(socket).and_then(|registration| registration.token());
        match (token, target) {
            (Some(token), target) => {
                self.out.request(
                    socket,
                    self.servers.current(),
                    &Message::Connect(Connect { tid, token, target }),
                );
            }
            (None, Target::Id(_)) => self.fail(id, ConnectError::LegacyServer),
            (None, Target::Ip(ip)) => self.out.send(socket, self.servers.current(), legacy::connect(ip)),
            (None, Target::Addr(addr)) => {
                self.out.send(socket, self.servers.current(), legacy::connect(addr.ip()));
            }
        }
    }

    pub(super) fn tick_requests(&mut self, now: Duration) {
        let due = |request: &Request| request.due().is_some_and(|due| due <= now);
        let due: Vec<(RequestId, State)> = self
            .requests
            .iter()
            .filter(|(_, request)| due(request))
            .map(|(id, request)| (*id, request.state))
            .collect();
        for (id, state) in due {
            match state {
                State::Asked { tries, .. } if tries < TRIES_MAX => {
                    if tries == TRIES_TO_DOUBT {
                        self.doubt_server(now);
                    }
                    self.send_request(now, id);
                }
                State::Asked { .. } => self.unanswered(now, id),
                State::Pausing { .. } => self.ask(now, id),
                State::Waiting | State::Punching => {}
            }
        }
    }

    fn unanswered(&mut self, now: Duration, id: RequestId) {
        let has_others = self.servers.has_others();
        match self.requests.get_mut(&id) {
            // Until the keepalive has shown whether this server is there.
            Some(request) if has_others && request.setbacks < SETBACKS_MAX => {
                request.setbacks += 1;
                self.ask(now, id);
            }
            _ => self.fail(id, ConnectError::Silent),
        }
    }

    /// The request that the server's word is the answer to; it is not asked again.
    pub(super) fn answered(&mut self, socket: SocketId, introduction: &Introduction) -> Option<RequestId> {
        let tid = introduction.tid?;
        let found =
            self.requests.iter_mut().find(|(_, request)| request.socket == socket && request.is_called(tid));
        let (id, request) = found?;
        request.state = State::Punching;
        // From another port of ours an IP address might be ambiguous, and this peer is meant.
        if matches!(request.target, Target::Ip(_)) {
            request.target = Target::Addr(introduction.peer);
        }
        Some(*id)
    }

    /// The request that the word of a legacy server is the answer to.
    pub(super) fn answered_by_legacy(&mut self, peer: SocketAddr) -> Option<RequestId> {
        let is_meant = |ip: IpAddr, request: &Request| match request.target {
            Target::Ip(target) => target == ip,
            Target::Addr(target) => target.ip() == ip,
            Target::Id(_) => false,
        };
        let asked = |request: &Request| matches!(request.state, State::Asked { .. });
        let found =
            self.requests.iter_mut().find(|(_, request)| asked(request) && is_meant(peer.ip(), request));
        found.map(|(id, request)| {
            request.state = State::Punching;
            *id
        })
    }

    /// The server does not do what a request asks for. Where it says when to ask again, that is done, as a request of its own.
    pub(super) fn request_refused(
        &mut self,
        now: Duration,
        tid: Tid,
        code: ErrorCode,
        retry_ms: Option<u32>,
    ) {
        let Some((id, request)) = self.requests.iter_mut().find(|(_, request)| request.is_called(tid)) else {
            return;
        };
        let (id, socket) = (*id, request.socket);
        if let (ErrorCode::NotFound, Some(retry_ms)) = (code, retry_ms) {
            let until = now + Duration::from_millis(retry_ms.into()).max(UNREACHABLE_WAIT_MIN);
            let since = *request.unreachable_since.get_or_insert(now);
            if until <= since + UNREACHABLE_MAX {
                request.state = State::Pausing { until };
                return;
            }
        }
        request.setbacks += 1;
        let may_retry = request.setbacks <= SETBACKS_MAX;
        match code {
            ErrorCode::Rate if may_retry => request.state = State::Pausing { until: now + RATE_WAIT },
            ErrorCode::BadToken | ErrorCode::Unregistered if may_retry => {
                request.state = State::Waiting;
                self.register_again(now, socket);
            }
            ErrorCode::NotFound => self.fail(id, ConnectError::NotFound),
            ErrorCode::Ambiguous => self.fail(id, ConnectError::Ambiguous),
            code => self.fail(id, ConnectError::Refused(Refusal(code))),
        }
    }

    /// A legacy server says that a target is not there. It does not say of which request, and there is mostly one.
    pub(super) fn legacy_request_refused(&mut self) {
        let asked = |request: &Request| matches!(request.state, State::Asked { .. });
        if self.main.is_legacy()
            && let Some(id) = self.requests.iter().find(|(_, request)| asked(request)).map(|(id, _)| *id)
        {
            self.fail(id, ConnectError::NotFound);
        }
    }

    /// An attempt came to nothing: the next one, from a fresh port, which no NAT has heard of.
    pub(super) fn attempt_failed(&mut self, now: Duration, id: RequestId, cold: bool) {
        let legacy = self.main.is_legacy();
        let Some(request) = self.requests.get_mut(&id) else { return };
        if request.attempt >= ATTEMPTS_MAX {
            self.fail(id, ConnectError::NoPath { cold });
            return;
        }
        request.attempt += 1;
        request.state = State::Waiting;
        if legacy {
            // A legacy server takes another port for a move of the whole peer.
            self.ask(now, id);
            return;
        }
        let socket = self.open_socket();
        if let Some(request) = self.requests.get_mut(&id) {
            request.socket = socket;
        }
        self.register(now, socket);
    }

    /// A socket will not be registered, so that what waits for that fails.
    pub(super) fn fail_waiting(&mut self, socket: SocketId, error: ConnectError) {
        let waits = |request: &Request| request.socket == socket && request.state == State::Waiting;
        let waiting: Vec<RequestId> =
            self.requests.iter().filter(|(_, request)| waits(request)).map(|(id, _)| *id).collect();
        for id in waiting {
            self.fail(id, error);
        }
    }

    pub(super) fn fail(&mut self, request: RequestId, error: ConnectError) {
        if self.requests.remove(&request).is_some() {
            self.out.events.push_back(Event::Failed { request, error });
        }
    }
}
