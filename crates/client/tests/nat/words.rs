//! What a server may say, word by word.

use std::net::SocketAddr;
use std::time::Duration;

use peer_client::machine::{Event, Machine, Settings, SocketId};
use peer_client::{BindError, ConnectError, Identity, Refusal, Target};
use peer_core::datagram::v2::{
    Decoded, ErrorCode, Introduction, LanAddrs, MoveTargets, NatKind, PairId, PunchKey, Register, Reply,
    Request, Status, Token, YourAddr,
};

const SECOND: Duration = Duration::from_secs(1);

/// A machine, and the time.
struct Bench {
    machine: Machine,
    now: Duration,
}

impl Bench {
    fn new() -> Self {
        Self::knowing(&[])
    }

    /// It knows others as well.
    fn knowing(others: &[&str]) -> Self {
        let settings = Settings {
            server: addr("203.0.113.1:1"),
            others: others.iter().map(|other| addr(other)).collect(),
            identity: Some(Identity::from_bytes(&[1; 32])),
            lan: LanAddrs::EMPTY,
        };
        let mut machine = Machine::new(settings, [1; 16]);
        machine.start(Duration::ZERO);
        Self { machine, now: Duration::ZERO }
    }

    /// What it sent last, and where.
    fn sent(&mut self) -> (SocketAddr, Request) {
        let transmit = std::iter::from_fn(|| self.machine.poll_transmit()).last().expect("something is sent");
        let Decoded::Request(request) = Request::decode(&transmit.bytes) else { panic!("{transmit:?}") };
        (transmit.to, request)
    }

    /// What it asked of servers, by which sockets and where. What it says to peers is passed over.
    fn requests(&mut self) -> impl Iterator<Item = (SocketId, SocketAddr, Request)> {
        std::iter::from_fn(|| self.machine.poll_transmit()).filter_map(|transmit| {
            let Decoded::Request(request) = Request::decode(&transmit.bytes) else { return None };
            Some((transmit.socket, transmit.to, request))
        })
    }

    /// What it asked of a server by this socket last, and where.
    fn sent_by(&mut self, socket: SocketId) -> (SocketAddr, Request) {
        let asked = self.requests().filter(|(by, ..)| *by == socket).last();
        asked.map(|(_, to, request)| (to, request)).expect("something is asked")
    }

    fn register(&mut self) -> Register {
        match self.sent() {
            (_, Request::Register(register)) => register,
            other => panic!("{other:?}"),
        }
    }

    fn hear(&mut self, from: &str, reply: &Reply) {
        self.hear_at(SocketId::MAIN, from, reply);
    }

    fn hear_at(&mut self, socket: SocketId, from: &str, reply: &Reply) {
        let mut bytes = Vec::new();
        reply.encode(&mut bytes);
        self.machine.handle(self.now, socket, addr(from), &bytes);
    }

    /// The server has answered every step.
    fn join(&mut self, server: &str) {
        self.join_by(SocketId::MAIN, server);
        assert!(self.machine.standing().registered);
    }

    fn join_by(&mut self, socket: SocketId, server: &str) {
        let ok = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: None };
        for status in [Status::Verify, ok] {
            let (_, Request::Register(Register { tid, .. })) = self.sent_by(socket) else {
                panic!("a register")
            };
            let said =
                YourAddr { tid, addr: addr("198.51.100.7:5"), status, token: Token::from_bytes([2; 16]) };
            self.hear_at(socket, server, &Reply::YourAddr(said));
        }
    }

    /// The server answers what this socket has just asked for with a peer that can be punched.
    fn introduce(&mut self, socket: SocketId, pair: u8) {
        let (server, Request::Connect(connect)) = self.sent_by(socket) else { panic!("a connect") };
        let introduction = Introduction {
            tid: Some(connect.tid),
            pair: PairId::from_bits(pair.into()),
            peer: addr("198.51.100.9:9"),
            id: None,
            lan: LanAddrs::EMPTY,
            nat: NatKind::Unknown,
            punch: true,
            start_ms: 0,
            interval_ms: 100,
            key: Some(PunchKey::from_bytes([pair; 16])),
            cold: false,
        };
        self.hear_at(socket, &server.to_string(), &Reply::Peer(introduction));
    }

    /// Lets time pass from one thing that is due to the next.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.machine.next_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.machine.tick(self.now);
        }
        self.now = until;
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_server_that_says_nothing_is_silent_after_eight_seconds_and_asked_on() {
    let mut bench = Bench::new();
    bench.pass(7 * SECOND);
    assert!(bench.events().is_empty());
    bench.pass(SECOND);
    assert!(matches!(bench.events()[..], [Event::Unavailable(BindError::Silent)]));
    bench.register();
    bench.pass(5 * SECOND);
    bench.join("203.0.113.1:1");
}

/// What is lost on the way is no word of the server.
#[test]
fn a_server_whose_answers_to_tokens_are_lost_is_silent_and_refuses_nothing() {
    let mut bench = Bench::new();
    let mut asked = 0;
    let event = loop {
        if let Some(event) = bench.events().pop() {
            break event;
        }
        let tid = bench.register().tid;
        asked += 1;
        let said = YourAddr {
            tid,
            addr: addr("198.51.100.7:5"),
            status: Status::Verify,
            token: Token::from_bytes([2; 16]),
        };
        bench.hear("203.0.113.1:1", &Reply::YourAddr(said));
        // It shows the token, and hears nothing for that.
        assert!(bench.register().token.is_some());
        let due = bench.machine.next_timeout().unwrap();
        bench.pass(due.saturating_sub(bench.now));
    };
    assert!(matches!(event, Event::Unavailable(BindError::Silent)), "{event:?}");
    assert_eq!(asked, 6);
    bench.join("203.0.113.1:1");
}

#[test]
fn a_registration_is_kept_and_made_anew_where_the_server_has_forgotten_it() {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    bench.pass(20 * SECOND);
    let keep = bench.register();
    assert_eq!((keep.token, keep.sig), (Some(Token::from_bytes([2; 16])), None));
    let error = Reply::error(Some(keep.tid), ErrorCode::BadToken);
    bench.hear("203.0.113.9:1", &error);
    assert!(bench.machine.poll_transmit().is_none(), "only the server is believed");
    bench.hear("203.0.113.1:1", &error);
    bench.join("203.0.113.1:1");
}

#[test]
fn what_a_server_refuses_is_told() {
    let mut bench = Bench::new();
    let tid = Some(bench.register().tid);
    bench.hear("203.0.113.1:1", &Reply::error(tid, ErrorCode::Full));
    assert!(matches!(bench.events()[..], [Event::Unavailable(BindError::Refused(Refusal(ErrorCode::Full)))]));
}

#[test]
fn a_request_waits_where_the_server_says_so_and_fails_where_it_goes_on_saying_so() {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    bench.events();
    bench.machine.connect(bench.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    let mut asked = 0;
    let error = loop {
        let (_, Request::Connect(connect)) = bench.sent() else { panic!("a connect") };
        asked += 1;
        bench.hear("203.0.113.1:1", &Reply::error(Some(connect.tid), ErrorCode::Rate));
        if let Some(Event::Failed { error, .. }) = bench.events().pop() {
            break error;
        }
        bench.pass(SECOND);
    };
    assert_eq!((asked, error), (4, ConnectError::Refused(Refusal(ErrorCode::Rate))));
}

/// Has the server say that it cannot reach others, again and again until the request fails. Gives how often it was asked, and
/// how long it took.
fn ask_one_that_reaches_nobody(retry_ms: u32) -> (u32, Duration, ConnectError) {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    bench.events();
    let start = bench.now;
    bench.machine.connect(bench.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    let (mut asked, mut tids) = (0, Vec::new());
    loop {
        let (_, Request::Connect(connect)) = bench.sent() else { panic!("a connect") };
        assert!(!tids.contains(&connect.tid), "each is a request of its own");
        tids.push(connect.tid);
        asked += 1;
        let (tid, code) = (Some(connect.tid), ErrorCode::NotFound);
        bench.hear("203.0.113.1:1", &Reply::Error { tid, code, retry_ms: Some(retry_ms) });
        if let Some(Event::Failed { error, .. }) = bench.events().pop() {
            return (asked, bench.now.saturating_sub(start), error);
        }
        bench.now = bench.machine.next_timeout().unwrap();
        bench.machine.tick(bench.now);
    }
}

#[test]
fn a_server_that_cannot_reach_others_is_asked_again_for_ten_seconds() {
    assert_eq!(ask_one_that_reaches_nobody(500), (21, 10 * SECOND, ConnectError::NotFound));
    assert_eq!(ask_one_that_reaches_nobody(3_000), (4, 9 * SECOND, ConnectError::NotFound));
    let (asked, took, _) = ask_one_that_reaches_nobody(0);
    assert_eq!((asked, took), (101, 10 * SECOND), "not at once, whatever it says");
    assert_eq!(ask_one_that_reaches_nobody(u32::MAX), (1, Duration::ZERO, ConnectError::NotFound));
}

#[test]
fn a_peer_of_a_server_that_reaches_others_again_is_connected_to() {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    let id = bench.machine.connect(bench.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    for _ in 0..5 {
        let (_, Request::Connect(connect)) = bench.sent() else { panic!("a connect") };
        let (tid, code) = (Some(connect.tid), ErrorCode::NotFound);
        bench.hear("203.0.113.1:1", &Reply::Error { tid, code, retry_ms: Some(500) });
        bench.pass(SECOND / 2);
    }
    bench.introduce(SocketId::MAIN, 1);
    assert!(bench.requests().any(|(_, _, request)| matches!(request, Request::Ack { .. })));
    assert!(!bench.events().iter().any(|event| matches!(event, Event::Failed { .. })), "{id:?}");
    // One that is not there while the others can be reached is not asked for again.
    bench.machine.connect(bench.now, Target::Addr(addr("198.51.100.8:8"))).unwrap();
    let asked = bench.requests().filter_map(|(_, _, request)| match request {
        Request::Connect(connect) => Some(connect.tid),
        _ => None,
    });
    let tid = asked.last();
    bench.hear("203.0.113.1:1", &Reply::error(tid, ErrorCode::NotFound));
    let failed = |event: &Event| matches!(event, Event::Failed { error: ConnectError::NotFound, .. });
    assert!(bench.events().iter().any(failed));
}

#[test]
fn a_server_that_ends_sends_its_peers_to_another() {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    let to: MoveTargets = [addr("[2001:db8::1]:1"), addr("203.0.113.2:2")].into_iter().collect();
    bench.hear("203.0.113.1:1", &Reply::Move { to, within_secs: 20 });
    bench.join("203.0.113.2:2");
    bench.pass(20 * SECOND);
    assert_eq!(bench.sent().0, addr("203.0.113.2:2"));
}

#[test]
fn a_server_that_does_not_answer_is_passed_over_where_others_are_known() {
    let mut bench = Bench::knowing(&["203.0.113.2:2", "203.0.113.3:3"]);
    bench.join("203.0.113.1:1");
    bench.events();
    bench.pass(20 * SECOND);
    assert_eq!(bench.sent().0, addr("203.0.113.1:1"), "a keepalive");
    bench.pass(2 * SECOND);
    assert!(!bench.machine.standing().registered);
    assert_eq!(bench.sent().0, addr("203.0.113.2:2"));
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent().0, addr("203.0.113.3:3"));
    assert!(!bench.events().iter().any(|event| matches!(event, Event::Unavailable(_))), "not all are silent");
    bench.pass(2 * SECOND);
    assert_eq!(bench.sent().0, addr("203.0.113.1:1"), "it may be back");
    assert!(bench.events().iter().any(|event| matches!(event, Event::Unavailable(BindError::Silent))));
    bench.pass(5 * SECOND);
    bench.join("203.0.113.1:1");
}

#[test]
fn of_servers_that_are_named_the_next_is_asked_where_one_does_not_answer() {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    let to: MoveTargets = ["203.0.113.2:2", "203.0.113.3:3"].into_iter().map(addr).collect();
    bench.hear("203.0.113.1:1", &Reply::Move { to, within_secs: 20 });
    assert_eq!(bench.sent().0, addr("203.0.113.2:2"));
    bench.pass(2 * SECOND);
    bench.join("203.0.113.3:3");
    bench.pass(20 * SECOND);
    assert_eq!(bench.sent().0, addr("203.0.113.3:3"));
}

#[test]
fn a_request_that_a_dead_server_was_asked_is_asked_at_the_next() {
    let mut bench = Bench::knowing(&["203.0.113.2:2"]);
    bench.join("203.0.113.1:1");
    bench.machine.connect(bench.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    bench.events();
    bench.pass(3 * SECOND);
    bench.join("203.0.113.2:2");
    let (to, request) = bench.sent();
    assert_eq!(to, addr("203.0.113.2:2"));
    assert!(matches!(request, Request::Connect(_)), "{request:?}");
    assert!(!bench.events().iter().any(|event| matches!(event, Event::Failed { .. })));
}

/// Its socket would make the peer's IP address ambiguous at the next server as well.
#[test]
fn a_socket_of_one_question_that_left_a_server_or_is_about_to_does_not_register_at_the_next() {
    for is_confirmed in [true, false] {
        let mut bench = Bench::knowing(&["203.0.113.2:2"]);
        bench.join("203.0.113.1:1");
        bench.pass(18 * SECOND);
        bench.machine.connect(bench.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
        bench.introduce(SocketId::MAIN, 1);
        // The punches come to nothing, and the next attempt is another socket's.
        bench.pass(2 * SECOND);
        let further = bench.machine.sockets().last().unwrap();
        assert_ne!(further, SocketId::MAIN);
        bench.join_by(further, "203.0.113.1:1");
        bench.pass(SECOND / 2);
        bench.introduce(further, 2);
        let (_, Request::Unregister { tid, .. }) = bench.sent_by(further) else {
            panic!("it is registered on")
        };
        if is_confirmed {
            bench.hear_at(further, "203.0.113.1:1", &Reply::Unregistered { tid });
        }
        // The keepalive of the main one was sent meanwhile, and has no answer.
        bench.pass(3 * SECOND / 2);
        assert!(bench.machine.sockets().any(|socket| socket == further), "it punches still");
        let asked: Vec<_> = bench.requests().collect();
        let at_the_next = |socket| {
            asked.iter().any(|(by, to, request)| {
                *by == socket && *to == addr("203.0.113.2:2") && matches!(request, Request::Register(_))
            })
        };
        assert!(at_the_next(SocketId::MAIN) && !at_the_next(further), "{is_confirmed}: {asked:?}");
    }
}

#[test]
fn a_peer_that_closes_does_not_follow_its_server_to_another() {
    let mut bench = Bench::new();
    bench.join("203.0.113.1:1");
    bench.machine.close(bench.now);
    let to: MoveTargets = std::iter::once(addr("203.0.113.2:2")).collect();
    bench.hear("203.0.113.1:1", &Reply::Move { to, within_secs: 20 });
    bench.pass(2 * SECOND);
    assert!(bench.requests().all(|(_, to, _)| to == addr("203.0.113.1:1")));
    assert!(bench.events().iter().any(|event| matches!(event, Event::Closed)));
}
