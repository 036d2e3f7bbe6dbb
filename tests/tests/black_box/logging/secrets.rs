//! What the log must not hold: secrets never, addresses only where the operator wants them.

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::Request;
use black_box::metrics::Admin;
use black_box::process::{Launch, Process};
use black_box::redis::RedisServer;
use black_box::signer::{HOST, Signer, now};
use black_box::tracker::{CALLER, Tracker};
use black_box::udp::UdpPeer;
use black_box::v2::V2Peer;
use nix::sys::signal::Signal;
use serde_json::json;

use super::{FORMS, line, talkative};

const ADMIN_TOKEN: &str = "the-operators-own-word";
const GUESS: &str = "a-guess-at-the-operators-word";
const PASSWORD: &str = "s3cret-of-redis";
const TOKEN_KEY: &str = "00112233445566778899aabbccddeeff";
const OLD_TOKEN_KEY: &str = "ffeeddccbbaa99887766554433221100";

/// Does all that involves a secret, and gives those that were made up on the way.
fn busy_run(tracker: &Tracker, redis: &RedisServer) -> Vec<String> {
    let mut secrets = Vec::new();
    let peer = Signer::new(1);
    let body = json!({"peer": {"port": 4001}, "files": [{"filename": "a.html", "hash": "abc"}]});
    let header = peer.header("POST", "/v1/publish", &body.to_string(), HOST, now());
    let signed = Request::post("/v1/publish").json(&body).header("Peer-Signature", &header);
    assert_eq!(tracker.send(&signed).status, 200);
    assert_eq!(tracker.send(&signed).status, 401, "a signature serves once");
    secrets.extend(header.split_once("sig=").map(|(_, signature)| signature.to_owned()));
    for (token, status) in [(ADMIN_TOKEN, 200), (GUESS, 401)] {
        let ask = Request::get("/v1/operator/peers?filename=a.html");
        let answer = tracker.send(&ask.header("Authorization", format!("Bearer {token}")));
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let matchmaker = tracker.process.address("matchmaker");
    let mut peer = V2Peer::new(UdpPeer::at("127.0.0.11", matchmaker), 2);
    peer.introduce();
    secrets.push(peer.token().to_owned());
    peer.register_signed();
    secrets.push(peer.token().to_owned());
    let forged =
        json!({"type": "register", "token": peer.token(), "id": peer.id(), "sig": "A".repeat(86), "lan": []});
    let _ = peer.ask(forged);
    // Redis does not know us any more: whatever its library says of that goes into the log too.
    redis.command(&["ACL", "DELUSER", "peer"]);
    eventually(PATIENCE, "the store is away", || (tracker.admin().ready() == 503).then_some(()));
    assert_eq!(tracker.get("/peers?filename=a.html").status, 503);
    secrets
}

#[test]
fn no_secret_is_in_any_line_of_a_busy_run_at_any_level() {
    for form in FORMS {
        let redis = RedisServer::start_new();
        redis.command(&["ACL", "SETUSER", "peer", "on", &format!(">{PASSWORD}"), "~*", "&*", "+@all"]);
        let launch = Launch::new(Binary::Standalone)
            .set("REDIS_URL", &format!("redis://peer:{PASSWORD}@{}", redis.address()))
            .set("ADMIN_TOKEN", ADMIN_TOKEN)
            .set("MATCHMAKER_TOKEN_KEY", &format!("{TOKEN_KEY},{OLD_TOKEN_KEY}"))
            .set("MATCHMAKER_NODES", "on")
            .set("LOG_FORMAT", form)
            .set("RUST_LOG", "trace");
        let mut tracker = Tracker::over(launch.start(), None).when_ready();
        let matchmaker = Admin::at(tracker.process.address("matchmaker-admin"));
        eventually(PATIENCE, "the node is linked", || {
            (matchmaker.sum("matchmaker_node_linked", &[]) > 0.0).then_some(())
        });
        let mut secrets = busy_run(&tracker, &redis);
        assert_eq!(secrets.len(), 3);
        secrets.extend([ADMIN_TOKEN, GUESS, PASSWORD, TOKEN_KEY, OLD_TOKEN_KEY].map(str::to_owned));
        line(&tracker.process, form, "the outage", |fields| fields["message"] == "Redis is not available");
        tracker.process.signal(Signal::SIGTERM);
        assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0), "{}", tracker.process.said());
        assert_holds_none(&tracker.process, &secrets);
    }
}

#[track_caller]
fn assert_holds_none(process: &Process, secrets: &[String]) {
    let said = process.said();
    assert!(said.lines().count() > 10, "it said something: {said}");
    let lower = said.to_lowercase();
    for secret in secrets {
        assert!(!lower.contains(&secret.to_lowercase()), "{secret} is in\n{said}");
    }
}

#[test]
fn a_secret_that_cannot_be_used_is_not_said_either() {
    for (setting, value) in [
        ("ADMIN_TOKEN", "short"),
        ("MATCHMAKER_TOKEN_KEY", "0011223344556677-no-key"),
        ("REDIS_URL", "redis://peer:s3cret-of-redis@nowhere:port"),
    ] {
        let mut process = Launch::new(Binary::Standalone).set(setting, value).spawn();
        assert_eq!(process.wait(PATIENCE).code(), Some(64), "{}", process.said());
        let said = process.said();
        assert!(said.contains(setting) && !said.contains(value) && !said.contains(PASSWORD), "{said}");
    }
}

#[test]
fn addresses_are_masked_where_the_operator_wants_that() {
    for form in FORMS {
        for (addresses, four, six) in
            [("full", "203.0.113.77", "2001:db8:7:1::5"), ("masked", "203.0.113.0/24", "2001:db8:7::/48")]
        {
            let launch = Launch::new(Binary::Standalone).set("LOG_ADDRESSES", addresses);
            let tracker = talkative(form, launch);
            let report = Request::post("/v1/report").json(&json!({"ip": "2001:db8:7:1::5"}));
            assert_eq!(tracker.send(&report.header(CALLER, "203.0.113.77")).status, 200);
            let events = ["report", "request"].map(|event| {
                line(&tracker.process, form, event, |fields| {
                    fields["message"] == event
                        && fields.get("route").is_none_or(|route| route == "/v1/report")
                })
            });
            assert_eq!([&events[0]["reporter"], &events[0]["subject"]], [four, six]);
            assert_eq!(events[1]["caller"], four);
            if addresses == "masked" {
                let said = tracker.process.said();
                assert!(!said.contains("203.0.113.77") && !said.contains("2001:db8:7:1"), "{said}");
                assert!(said.contains("127.0.0.1:"), "addresses of this host are shown: {said}");
            }
        }
    }
}

#[test]
fn no_peer_is_in_the_log_of_a_masked_run_at_any_level() {
    for form in FORMS {
        let launch = Launch::new(Binary::Standalone)
            .set("LOG_ADDRESSES", "masked")
            .set("LOG_FORMAT", form)
            .set("RUST_LOG", "trace");
        let mut tracker = Tracker::over(launch.start(), None).when_ready();
        // Loopback addresses that only our peers have, over sockets and by the word of a proxy.
        tracker.send_from("127.98.76.5".parse().unwrap(), &Request::post("/add?filename=a.html&hash=abc"));
        tracker.add("203.0.113.77", "a.html", "abc");
        tracker.add("2001:db8:7:1::5", "a.html", "abc");
        tracker.send_from("127.98.76.5".parse().unwrap(), &Request::get("/v1/peers?filename=a.html"));
        let broken = Request::new("GET", "/peers?filename=\"").header(CALLER, "203.0.113.77");
        assert_eq!(tracker.send_from("127.98.76.5".parse().unwrap(), &broken).status, 400);
        let peer = UdpPeer::at("127.98.76.5", tracker.process.address("matchmaker"));
        peer.register();
        peer.send("nonsense");
        tracker.process.signal(Signal::SIGTERM);
        assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0), "{}", tracker.process.said());
        assert_holds_none(
            &tracker.process,
            &["127.98.76.5", "203.0.113.77", "2001:db8:7:1"].map(str::to_owned),
        );
    }
}
