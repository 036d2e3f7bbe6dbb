//! Whether a peer that the tracker names is online: what matchmakers that hear it say.

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::Request;
use black_box::nodes::launch;
use black_box::process::{Launch, Process};
use black_box::redis::RedisServer;
use black_box::signer::Signer;
use black_box::tracker::{CALLER, Tracker};
use black_box::udp::UdpPeer;
use black_box::v2::V2Peer;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

/// Addresses of loopback, so that each peer is one IP.
const LEGACY: &str = "127.0.0.11";
const KEYED: &str = "127.0.0.12";
const SILENT: &str = "127.0.0.13";
const FILE: &str = "a.html";
/// Of the peer with a key.
const KEY: u8 = 7;

/// One peer of each kind has the file.
fn publish(tracker: &Tracker) {
    tracker.add(LEGACY, FILE, "abc");
    tracker.add(SILENT, FILE, "abc");
    let files = json!({"files": [{"filename": FILE, "hash": "abc"}]});
    let answer = tracker.send(&Signer::new(KEY).post("/v1/publish", &files).header(CALLER, KEYED));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// Address and `online` of each holder, in the order in which they are handed out, by either endpoint.
fn holders(tracker: &Tracker) -> [Vec<(String, Value)>; 2] {
    let found = tracker.get(format!("/v1/peers?filename={FILE}")).json();
    let looked_up = tracker.send(&Request::post("/v1/lookup").json(&json!({"filenames": [FILE]}))).json();
    [&found["peers"], &looked_up["files"][0]["peers"]].map(|peers| {
        let peers = peers.as_array().expect("a list").iter();
        peers.map(|peer| (peer["ip"].as_str().unwrap().to_owned(), peer["online"].clone())).collect()
    })
}

/// Waits until those that are online are these, and stand before the others.
fn wait_for_online(tracker: &Tracker, online: &[&str]) {
    eventually(PATIENCE, &format!("{online:?} are online, and come first"), || {
        holders(tracker)
            .iter()
            .all(|holders| {
                let (first, rest) = holders.split_at(online.len());
                holders.len() == 3
                    && online.iter().all(|ip| first.contains(&((*ip).to_owned(), json!(true))))
                    && rest.iter().all(|(_, online)| *online == json!(false))
            })
            .then_some(())
    });
}

fn wait_for_nothing_known(tracker: &Tracker) {
    eventually(PATIENCE, "nothing is known of any", || {
        let all = holders(tracker).concat();
        (all.len() == 6 && all.iter().all(|(_, online)| online.is_null())).then_some(())
    });
}

/// Peers come to a matchmaker and leave it, and the tracker knows.
fn come_and_go(tracker: &Tracker, matchmaker: &Process) {
    let server = matchmaker.address("matchmaker");
    wait_for_online(tracker, &[]);
    UdpPeer::at(LEGACY, server).register();
    wait_for_online(tracker, &[LEGACY]);
    let mut keyed = V2Peer::new(UdpPeer::at(KEYED, server), KEY);
    keyed.join();
    wait_for_online(tracker, &[LEGACY, KEYED]);
    let token = keyed.token().to_owned();
    assert_eq!(keyed.ask(json!({"type": "unregister", "token": token}))["type"], "unregistered");
    wait_for_online(tracker, &[LEGACY]);
}

#[test]
fn over_redis_a_tracker_knows_whom_matchmakers_hear() {
    let redis = RedisServer::start_new();
    let mut tracker = Tracker::sharing(&redis);
    publish(&tracker);
    wait_for_nothing_known(&tracker);
    let mut matchmaker = launch(&redis.url()).start();
    come_and_go(&tracker, &matchmaker);
    matchmaker.signal(Signal::SIGTERM);
    assert_eq!(matchmaker.wait(PATIENCE).code(), Some(0));
    wait_for_nothing_known(&tracker);
    tracker.process.assert_sound();
}

#[test]
fn in_one_process_the_tracker_asks_its_matchmaker() {
    let process = Launch::new(Binary::Standalone).start();
    let mut tracker = Tracker::over(process, None).when_ready();
    publish(&tracker);
    come_and_go(&tracker, &tracker.process);
    tracker.process.assert_sound();
}
