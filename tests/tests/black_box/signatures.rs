//! Peers with an id: who holds the key speaks for it, from wherever, and nobody else.

use black_box::http::{Answer, Request};
use black_box::signer::{HOST, Signer, now};
use black_box::tracker::{CALLER, Tracker, on_both_stores, on_both_stores_with};
use serde_json::{Value, json};

const HOME: &str = "203.0.113.5";
const AWAY: &str = "198.51.100.1";
const FILE: &str = "a.html";

fn publish_body() -> Value {
    json!({"peer": {"port": 4001}, "files": [{"filename": FILE, "hash": "abc", "size": 12}]})
}

/// Owner's id (or null) and address of those that have the file.
fn holders(tracker: &Tracker) -> Vec<(Value, Value)> {
    let answer = tracker.get(format!("/v1/peers?filename={FILE}")).json();
    let peers = answer["peers"].as_array().unwrap();
    peers.iter().map(|peer| (peer["id"].clone(), peer["ip"].clone())).collect()
}

fn send(tracker: &Tracker, caller: &str, request: Request) -> Answer {
    tracker.send(&request.header(CALLER, caller))
}

#[test]
fn a_peer_with_a_key_is_followed_to_its_new_address() {
    on_both_stores(|tracker| {
        let peer = Signer::new(1);
        let answer = send(tracker, HOME, peer.post("/v1/publish", &publish_body()));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(holders(tracker), [(json!(peer.id()), json!(HOME))]);
        let beat = send(tracker, AWAY, peer.post("/v1/heartbeat", &json!({"peer": {"id": peer.id()}})));
        assert_eq!(beat.json()["alive"], true);
        assert_eq!(holders(tracker), [(json!(peer.id()), json!(AWAY))]);
        assert_eq!(tracker.peers(FILE), [AWAY], "also for those who know addresses only");
    });
}

#[test]
fn peers_behind_one_nat_stay_apart_and_withdraw_their_own_only() {
    on_both_stores(|tracker| {
        let (one, two) = (Signer::new(1), Signer::new(2));
        for peer in [&one, &two] {
            assert_eq!(send(tracker, HOME, peer.post("/v1/publish", &publish_body())).status, 200);
        }
        tracker.add(HOME, FILE, "abc");
        assert_eq!(tracker.peers(FILE), [HOME]);
        assert_eq!(holders(tracker).len(), 3);
        send(tracker, HOME, one.post("/v1/unpublish", &json!({"all": true})))
            .assert_is(200, &json!({"status": "ok"}));
        tracker.peer_offline(HOME);
        assert_eq!(holders(tracker), [(json!(two.id()), json!(HOME))]);
    });
}

#[test]
fn a_signature_serves_once() {
    on_both_stores(|tracker| {
        let request = Signer::new(1).post("/v1/publish", &publish_body());
        assert_eq!(send(tracker, HOME, request.clone()).status, 200);
        for from in [HOME, AWAY] {
            let replayed = send(tracker, from, request.clone());
            assert!(replayed.assert_refused(401).as_str().unwrap().contains("used before"));
            assert_eq!(replayed.header("www-authenticate"), Some("Peer-Signature"));
        }
        assert_eq!(holders(tracker)[0].1, HOME, "the replay from elsewhere moved nobody");
    });
}

#[test]
fn a_signature_is_good_for_its_request_only() {
    on_both_stores(|tracker| {
        let (peer, thief) = (Signer::new(1), Signer::new(2));
        let body = publish_body().to_string();
        let path = "/v1/publish";
        let good = |time| peer.header("POST", path, &body, HOST, time);
        let stolen_id = thief.header("POST", path, &body, HOST, now()).replace(&thief.id(), &peer.id());
        let cases = [
            ("late", good(now() - 62), "60 seconds"),
            ("early", good(now() + 62), "60 seconds"),
            ("other method", peer.header("PUT", path, &body, HOST, now()), "not made by"),
            ("other path", peer.header("POST", "/v1/heartbeat", &body, HOST, now()), "not made by"),
            ("other body", peer.header("POST", path, "{}", HOST, now()), "not made by"),
            ("other server", peer.header("POST", path, &body, "elsewhere", now()), "not made by"),
            (
                "other time",
                good(now() - 1).replace(&(now() - 1).to_string(), &now().to_string()),
                "not made by",
            ),
            ("other key", stolen_id, "not made by"),
            ("no signature", format!("id={}", peer.id()), "the form is"),
            ("nonsense", "\u{fc}".to_owned(), "the form is"),
        ];
        for (what, header, why) in cases {
            let request =
                Request::post(path).body("application/json", &body).header("Peer-Signature", header);
            let detail = send(tracker, HOME, request).assert_refused(401);
            assert!(detail.as_str().unwrap().contains(why), "{what}: {detail}");
        }
        let twice = peer.post(path, &publish_body()).header("Peer-Signature", good(now()));
        send(tracker, HOME, twice).assert_refused(401);
        assert_eq!(holders(tracker), []);
        assert!(tracker.admin().sum("tracker_bad_signatures_total", &[]) >= 11.0);
    });
}

#[test]
fn who_names_an_id_has_to_sign_with_its_key() {
    on_both_stores(|tracker| {
        let (peer, other) = (Signer::new(1), Signer::new(2));
        assert_eq!(send(tracker, HOME, peer.post("/v1/publish", &publish_body())).status, 200);
        let claim = json!({"id": peer.id()});
        for (path, body) in [
            ("/v1/publish", json!({"peer": claim, "files": [{"filename": "b.html", "hash": "abc"}]})),
            ("/v1/unpublish", json!({"peer": claim, "all": true})),
            ("/v1/heartbeat", json!({"peer": claim})),
        ] {
            send(tracker, AWAY, Request::post(path).json(&body)).assert_refused(401);
            let detail = send(tracker, AWAY, other.post(path, &body)).assert_refused(401);
            assert!(detail.as_str().unwrap().contains("not the one"), "{detail}");
        }
        assert_eq!(holders(tracker), [(json!(peer.id()), json!(HOME))]);
    });
}

#[test]
fn a_named_server_takes_signatures_for_its_name_only() {
    on_both_stores_with(
        |launch| launch.set("SERVER_NAME", "Tracker.example.org"),
        |tracker| {
            let peer = Signer::new(1);
            // Made for what the Host header says.
            send(tracker, HOME, peer.post("/v1/publish", &publish_body())).assert_refused(401);
            let body = publish_body().to_string();
            let header = peer.header("POST", "/v1/publish", &body, "tracker.example.org", now());
            let request =
                Request::post("/v1/publish").body("application/json", body).header("Peer-Signature", header);
            assert_eq!(send(tracker, HOME, request).status, 200);
        },
    );
}
