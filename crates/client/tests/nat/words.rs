//! What a server may say, word by word.

use std::time::Duration;

use peer_client::machine::{Event, SocketId};
use peer_client::{BindError, ConnectError, Refusal, Target};
use peer_core::datagram::v2::{ErrorCode, MoveTargets, Reply, Request, Status, Token, YourAddr};

use crate::desk::{Desk, addr};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_server_that_says_nothing_is_silent_after_eight_seconds_and_asked_on() {
    let mut desk = Desk::new();
    desk.pass(7 * SECOND);
    assert!(desk.events().is_empty());
    desk.pass(SECOND);
    assert!(matches!(desk.events()[..], [Event::Unavailable(BindError::Silent)]));
    desk.register();
    desk.pass(5 * SECOND);
    desk.join("203.0.113.1:1");
}

/// What is lost on the way is no word of the server.
#[test]
fn a_server_whose_answers_to_tokens_are_lost_is_silent_and_refuses_nothing() {
    let mut desk = Desk::new();
    let mut asked = 0;
    let event = loop {
        if let Some(event) = desk.events().pop() {
            break event;
        }
        let tid = desk.register().tid;
        asked += 1;
        let said = YourAddr {
            tid,
            addr: addr("198.51.100.7:5"),
            status: Status::Verify,
            token: Token::from_bytes([2; 16]),
        };
        desk.hear("203.0.113.1:1", &Reply::YourAddr(said));
        // It shows the token, and hears nothing for that.
        assert!(desk.register().token.is_some());
        let due = desk.machine.next_timeout().unwrap();
        desk.pass(due.saturating_sub(desk.now));
    };
    assert!(matches!(event, Event::Unavailable(BindError::Silent)), "{event:?}");
    assert_eq!(asked, 6);
    desk.join("203.0.113.1:1");
}

#[test]
fn a_registration_is_kept_and_made_anew_where_the_server_has_forgotten_it() {
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    desk.pass(20 * SECOND);
    let keep = desk.register();
    assert_eq!((keep.token, keep.sig), (Some(Token::from_bytes([2; 16])), None));
    let error = Reply::error(Some(keep.tid), ErrorCode::BadToken);
    desk.hear("203.0.113.9:1", &error);
    assert!(desk.machine.poll_transmit().is_none(), "only the server is believed");
    desk.hear("203.0.113.1:1", &error);
    desk.join("203.0.113.1:1");
}

#[test]
fn what_a_server_refuses_is_told() {
    let mut desk = Desk::new();
    let tid = Some(desk.register().tid);
    desk.hear("203.0.113.1:1", &Reply::error(tid, ErrorCode::Full));
    assert!(matches!(desk.events()[..], [Event::Unavailable(BindError::Refused(Refusal(ErrorCode::Full)))]));
}

#[test]
fn a_request_waits_where_the_server_says_so_and_fails_where_it_goes_on_saying_so() {
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    desk.events();
    desk.machine.connect(desk.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    let mut asked = 0;
    let error = loop {
        let (_, Request::Connect(connect)) = desk.sent() else { panic!("a connect") };
        asked += 1;
        desk.hear("203.0.113.1:1", &Reply::error(Some(connect.tid), ErrorCode::Rate));
        if let Some(Event::Failed { error, .. }) = desk.events().pop() {
            break error;
        }
        desk.pass(SECOND);
    };
    assert_eq!((asked, error), (4, ConnectError::Refused(Refusal(ErrorCode::Rate))));
}

/// Has the server say that it cannot reach others, again and again until the request fails. Gives how often it was asked, and
/// how long it took.
fn ask_one_that_reaches_nobody(retry_ms: u32) -> (u32, Duration, ConnectError) {
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    desk.events();
    let start = desk.now;
    desk.machine.connect(desk.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    let (mut asked, mut tids) = (0, Vec::new());
    loop {
        let (_, Request::Connect(connect)) = desk.sent() else { panic!("a connect") };
        assert!(!tids.contains(&connect.tid), "each is a request of its own");
        tids.push(connect.tid);
        asked += 1;
        let (tid, code) = (Some(connect.tid), ErrorCode::NotFound);
        desk.hear("203.0.113.1:1", &Reply::Error { tid, code, retry_ms: Some(retry_ms) });
        if let Some(Event::Failed { error, .. }) = desk.events().pop() {
            return (asked, desk.now.saturating_sub(start), error);
        }
        desk.now = desk.machine.next_timeout().unwrap();
        desk.machine.tick(desk.now);
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
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    let id = desk.machine.connect(desk.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    for _ in 0..5 {
        let (_, Request::Connect(connect)) = desk.sent() else { panic!("a connect") };
        let (tid, code) = (Some(connect.tid), ErrorCode::NotFound);
        desk.hear("203.0.113.1:1", &Reply::Error { tid, code, retry_ms: Some(500) });
        desk.pass(SECOND / 2);
    }
    desk.introduce(SocketId::MAIN, 1);
    assert!(desk.requests().any(|(_, _, request)| matches!(request, Request::Ack { .. })));
    assert!(!desk.events().iter().any(|event| matches!(event, Event::Failed { .. })), "{id:?}");
    // One that is not there while the others can be reached is not asked for again.
    desk.machine.connect(desk.now, Target::Addr(addr("198.51.100.8:8"))).unwrap();
    let asked = desk.requests().filter_map(|(_, _, request)| match request {
        Request::Connect(connect) => Some(connect.tid),
        _ => None,
    });
    let tid = asked.last();
    desk.hear("203.0.113.1:1", &Reply::error(tid, ErrorCode::NotFound));
    let failed = |event: &Event| matches!(event, Event::Failed { error: ConnectError::NotFound, .. });
    assert!(desk.events().iter().any(failed));
}

#[test]
fn a_server_that_ends_sends_its_peers_to_another() {
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    let to: MoveTargets = [addr("[2001:db8::1]:1"), addr("203.0.113.2:2")].into_iter().collect();
    desk.hear("203.0.113.1:1", &Reply::Move { to, within_secs: 20 });
    desk.join("203.0.113.2:2");
    desk.pass(20 * SECOND);
    assert_eq!(desk.sent().0, addr("203.0.113.2:2"));
}

#[test]
fn a_server_that_does_not_answer_is_passed_over_where_others_are_known() {
    let mut desk = Desk::knowing(&["203.0.113.2:2", "203.0.113.3:3"]);
    desk.join("203.0.113.1:1");
    desk.events();
    desk.pass(20 * SECOND);
    assert_eq!(desk.sent().0, addr("203.0.113.1:1"), "a keepalive");
    desk.pass(2 * SECOND);
    assert!(!desk.machine.standing().registered);
    assert_eq!(desk.sent().0, addr("203.0.113.2:2"));
    desk.pass(2 * SECOND);
    assert_eq!(desk.sent().0, addr("203.0.113.3:3"));
    assert!(!desk.events().iter().any(|event| matches!(event, Event::Unavailable(_))), "not all are silent");
    desk.pass(2 * SECOND);
    assert_eq!(desk.sent().0, addr("203.0.113.1:1"), "it may be back");
    assert!(desk.events().iter().any(|event| matches!(event, Event::Unavailable(BindError::Silent))));
    desk.pass(5 * SECOND);
    desk.join("203.0.113.1:1");
}

#[test]
fn of_servers_that_are_named_the_next_is_asked_where_one_does_not_answer() {
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    let to: MoveTargets = ["203.0.113.2:2", "203.0.113.3:3"].into_iter().map(addr).collect();
    desk.hear("203.0.113.1:1", &Reply::Move { to, within_secs: 20 });
    assert_eq!(desk.sent().0, addr("203.0.113.2:2"));
    desk.pass(2 * SECOND);
    desk.join("203.0.113.3:3");
    desk.pass(20 * SECOND);
    assert_eq!(desk.sent().0, addr("203.0.113.3:3"));
}

#[test]
fn a_request_that_a_dead_server_was_asked_is_asked_at_the_next() {
    let mut desk = Desk::knowing(&["203.0.113.2:2"]);
    desk.join("203.0.113.1:1");
    desk.machine.connect(desk.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
    desk.events();
    desk.pass(3 * SECOND);
    desk.join("203.0.113.2:2");
    let (to, request) = desk.sent();
    assert_eq!(to, addr("203.0.113.2:2"));
    assert!(matches!(request, Request::Connect(_)), "{request:?}");
    assert!(!desk.events().iter().any(|event| matches!(event, Event::Failed { .. })));
}

/// Its socket would make the peer's IP address ambiguous at the next server as well.
#[test]
fn a_socket_of_one_question_that_left_a_server_or_is_about_to_does_not_register_at_the_next() {
    for is_confirmed in [true, false] {
        let mut desk = Desk::knowing(&["203.0.113.2:2"]);
        desk.join("203.0.113.1:1");
        desk.pass(18 * SECOND);
        desk.machine.connect(desk.now, Target::Addr(addr("198.51.100.9:9"))).unwrap();
        desk.introduce(SocketId::MAIN, 1);
        // The punches come to nothing, and the next attempt is another socket's.
        desk.pass(2 * SECOND);
        let further = desk.machine.sockets().last().unwrap();
        assert_ne!(further, SocketId::MAIN);
        desk.join_by(further, "203.0.113.1:1");
        desk.pass(SECOND / 2);
        desk.introduce(further, 2);
        let (_, Request::Unregister { tid, .. }) = desk.sent_by(further) else {
            panic!("it is registered on")
        };
        if is_confirmed {
            desk.hear_at(further, "203.0.113.1:1", &Reply::Unregistered { tid });
        }
        // The keepalive of the main one was sent meanwhile, and has no answer.
        desk.pass(3 * SECOND / 2);
        assert!(desk.machine.sockets().any(|socket| socket == further), "it punches still");
        let asked: Vec<_> = desk.requests().collect();
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
    let mut desk = Desk::new();
    desk.join("203.0.113.1:1");
    desk.machine.close(desk.now);
    let to: MoveTargets = std::iter::once(addr("203.0.113.2:2")).collect();
    desk.hear("203.0.113.1:1", &Reply::Move { to, within_secs: 20 });
    desk.pass(2 * SECOND);
    assert!(desk.requests().all(|(_, to, _)| to == addr("203.0.113.1:1")));
    assert!(desk.events().iter().any(|event| matches!(event, Event::Closed)));
}
