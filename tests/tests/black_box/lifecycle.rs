//! How the programs start, serve and end.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::{Connection, Request};
use black_box::metrics::Admin;
use black_box::process::{Launch, Process};
use black_box::tracker::{CALLER, Tracker};
use black_box::udp::UdpPeer;
use nix::sys::signal::Signal;
use serde_json::json;

/// What a supervisor grants before it kills.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

const ENDINGS: [Signal; 2] = [Signal::SIGTERM, Signal::SIGINT];

/// Waits for an end that was asked for. Panics unless it is a good one.
#[track_caller]
fn assert_ends_well(process: &mut Process) {
    let status = process.wait(DRAIN_LIMIT);
    assert_eq!(status.code(), Some(0), "{status}\n{}", process.said());
    assert!(!process.said().contains("panicked"), "{}", process.said());
}

/// Waits for the end of a program that must not run. Panics unless it says why on stderr.
#[track_caller]
fn assert_fails(launch: &Launch, code: i32, words: &[&str]) {
    let mut process = launch.spawn();
    let status = process.wait(PATIENCE);
    assert_eq!(status.code(), Some(code), "{status}\n{}", process.said());
    let said = process.stderr();
    for word in words {
        assert!(said.contains(word), "stderr does not say {word}:\n{}", process.said());
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn every_program_ends_at_sigterm_and_at_sigint() {
    for binary in Binary::ALL {
        for signal in ENDINGS {
            let mut process = Launch::new(binary).start();
            process.signal(signal);
            assert_ends_well(&mut process);
        }
    }
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    for signal in ENDINGS {
        let mut tracker = Tracker::plain();
        let mut idle = Connection::open(tracker.address()).unwrap();
        idle.exchange(&Request::get("/")).unwrap().assert_is(200, &json!({"status": "ok"}));
        let silent = TcpStream::connect(tracker.address()).unwrap();
        let admin = TcpStream::connect(tracker.process.address("tracker-admin")).unwrap();
        tracker.process.signal(signal);
        assert_ends_well(&mut tracker.process);
        drop((silent, admin));
        assert!(idle.is_closed_by_server());
    }
}

#[test]
fn a_request_in_flight_is_answered_before_the_end() {
    for signal in ENDINGS {
        let mut tracker = Tracker::plain();
        let body = json!({"filename": "a.html", "hash": "abc"}).to_string();
        let (first, rest) = body.split_at(10);
        let mut connection = Connection::open(tracker.address()).unwrap();
        let head = format!(
            "POST /add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{CALLER}: 203.0.113.5\r\n\
             Expect: 100-continue\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        connection.send(head.as_bytes()).unwrap();
        // The interim answer shows that the request has reached its handler, so that it is truly in flight.
        assert_eq!(connection.receive().unwrap().status, 100);
        connection.send(first.as_bytes()).unwrap();
        tracker.process.signal(signal);
        eventually(PATIENCE, "no new connections", || {
            TcpStream::connect(tracker.address()).is_err().then_some(())
        });
        connection.send(rest.as_bytes()).unwrap();
        connection.receive().unwrap().assert_is(200, &json!({"status": "ok"}));
        assert_ends_well(&mut tracker.process);
        let again = Tracker::embedded(tracker.process.launch());
        assert_eq!(again.peers("a.html"), ["203.0.113.5"]);
    }
}

#[test]
fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let mut tracker = Tracker::plain();
    let mut stuck = TcpStream::connect(tracker.address()).unwrap();
    stuck.write_all(b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf").unwrap();
    tracker.get("/").assert_is(200, &json!({"status": "ok"}));
    tracker.process.signal(Signal::SIGTERM);
    assert_ends_well(&mut tracker.process);
}

#[test]
fn a_second_signal_does_not_spoil_the_end() {
    let mut tracker = Tracker::plain();
    tracker.process.signal(Signal::SIGTERM);
    tracker.process.signal(Signal::SIGINT);
    tracker.process.signal(Signal::SIGTERM);
    assert_ends_well(&mut tracker.process);
}

#[test]
fn a_matchmaker_under_load_ends_within_its_time() {
    let mut process = Launch::new(Binary::Matchmaker).start();
    let peer = UdpPeer::at("127.0.0.5", process.address("matchmaker"));
    for _ in 0..1_000 {
        peer.send(r#"{"type":"register"}"#);
    }
    process.signal(Signal::SIGTERM);
    assert_ends_well(&mut process);
}

#[test]
fn a_port_in_use_is_said_and_ends_with_1() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp_address, udp_address) =
        (tcp.local_addr().unwrap().to_string(), udp.local_addr().unwrap().to_string());
    for (binary, setting, address) in [
        (Binary::Tracker, "TRACKER_LISTEN", &tcp_address),
        (Binary::Tracker, "TRACKER_ADMIN_LISTEN", &tcp_address),
        (Binary::Matchmaker, "MATCHMAKER_LISTEN", &udp_address),
        (Binary::Matchmaker, "MATCHMAKER_ADMIN_LISTEN", &tcp_address),
        (Binary::Standalone, "TRACKER_LISTEN", &tcp_address),
        (Binary::Standalone, "MATCHMAKER_LISTEN", &udp_address),
    ] {
        assert_fails(&Launch::new(binary).set(setting, address), 1, &[address, "in use"]);
    }
}

#[test]
fn a_second_process_on_one_data_directory_is_refused() {
    let tracker = Tracker::plain();
    tracker.add("203.0.113.5", "a.html", "abc");
    let data = tracker.process.launch().home().join("data").display().to_string();
    assert_fails(tracker.process.launch(), 1, &[&data]);
    assert_fails(&Launch::new(Binary::Standalone).set("DATA_DIR", &data), 1, &[&data]);
    assert_eq!(tracker.peers("a.html"), ["203.0.113.5"], "the first serves on");
}

#[test]
fn a_data_directory_that_cannot_be_made_is_said_and_ends_with_1() {
    let launch = Launch::new(Binary::Tracker);
    let file = launch.home().join("file");
    fs::write(&file, "in the way").unwrap();
    let inside = file.join("data").display().to_string();
    assert_fails(&launch.set("DATA_DIR", &inside), 1, &[&inside]);
}

#[test]
fn help_and_version_are_no_failure() {
    for binary in Binary::ALL {
        let mut help = Launch::new(binary).argument("--help").spawn();
        assert_eq!(help.wait(PATIENCE).code(), Some(0), "{}", help.said());
        assert!(help.stdout().contains("--config"), "{}", help.said());
        let mut version = Launch::new(binary).argument("--version").spawn();
        assert_eq!(version.wait(PATIENCE).code(), Some(0), "{}", version.said());
        assert!(version.stdout().contains(binary.name()), "{}", version.said());
        assert!(version.stdout().contains(|letter: char| letter.is_ascii_digit()), "{}", version.said());
    }
}

#[test]
fn standalone_serves_both() {
    let process = Launch::new(Binary::Standalone).start();
    let peer = UdpPeer::at("127.0.0.5", process.address("matchmaker"));
    assert_eq!(peer.register(), peer.address());
    let matchmaker_admin = Admin::at(process.address("matchmaker-admin"));
    assert_eq!((matchmaker_admin.live(), matchmaker_admin.ready()), (200, 200));
    let tracker = Tracker::over(process, None);
    tracker.add("203.0.113.5", "a.html", "abc");
    assert_eq!(tracker.peers("a.html"), ["203.0.113.5"]);
    assert_eq!((tracker.admin().live(), tracker.admin().ready()), (200, 200));
}

#[test]
fn every_listener_of_a_list_serves() {
    let listen = "127.0.0.1:0,[::1]:0,127.0.0.2:0";
    let launch =
        Launch::new(Binary::Standalone).set("TRACKER_LISTEN", listen).set("MATCHMAKER_LISTEN", listen);
    let process = launch.start();
    let (http, udp) = (process.addresses("tracker"), process.addresses("matchmaker"));
    assert_eq!((http.len(), udp.len()), (3, 3));
    for address in http {
        let answer = Connection::open(address).unwrap().exchange(&Request::get("/")).unwrap();
        answer.assert_is(200, &json!({"status": "ok"}));
    }
    for address in udp {
        let peer = UdpPeer::bound_to(address.ip(), address);
        assert_eq!(peer.register(), peer.address());
    }
}

#[test]
fn the_admin_listener_tells_liveness_readiness_and_metrics() {
    for (binary, service) in [(Binary::Tracker, "tracker-admin"), (Binary::Matchmaker, "matchmaker-admin")] {
        let process = Launch::new(binary).start();
        let admin = Admin::at(process.address(service));
        assert_eq!((admin.live(), admin.ready()), (200, 200));
        assert!(!admin.samples().is_empty());
        let metrics = admin.get("/metrics");
        assert!(metrics.text().contains("# HELP") && metrics.text().contains("# TYPE"), "{}", metrics.text());
        assert_eq!(admin.get("/nothing").status, 404);
    }
}

#[test]
fn the_admin_paths_are_not_served_to_the_public() {
    let tracker = Tracker::plain();
    for path in ["/live", "/ready", "/metrics"] {
        tracker.get(path).assert_is(404, &json!({"detail": "Not Found"}));
    }
}
