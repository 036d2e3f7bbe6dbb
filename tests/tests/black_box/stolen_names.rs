//! A stranger takes no id, has no use of a signature that was overheard, and unregisters nobody, in whoever's name it sends.

use std::iter;
use std::net::SocketAddr;

use black_box::deadline::{PATIENCE, eventually};
use black_box::signer::Signer;
use black_box::udp::pair;
use black_box::v2::V2Peer;
use serde_json::{Value, json};

use crate::forged_sources::{FORGED, TARGET, scene};

/// The server looks at 100 signatures of a source at once.
const REPLAYED: usize = 50;

/// What a peer registers with, as one reads it who listens on its line.
fn overheard(peer: &V2Peer) -> Value {
    let sig = Signer::new(TARGET).rendezvous(peer.token(), peer.seen());
    json!({"type": "register", "v": 2, "tid": "a", "token": peer.token(), "id": peer.id(), "sig": sig})
}

#[test]
fn what_was_overheard_of_a_peer_is_of_no_use_from_elsewhere() {
    let Some(mut scene) = scene(&[]) else { return };
    scene.target.introduce();
    let overheard = overheard(&scene.target);
    scene.target.register_signed();
    // From the thief's own address, in the victim's name, and with a token of the thief's own.
    scene.accomplice.udp.say(&overheard);
    assert_eq!(scene.accomplice.udp.receive()["code"], "bad_token");
    let bytes = scene.forge(scene.main(), overheard.to_string().as_bytes());
    assert!(bytes.received <= bytes.sent, "{bytes:?}");
    let mut resigned = overheard.clone();
    resigned["token"] = json!(scene.accomplice.token());
    scene.accomplice.udp.say(&resigned);
    assert_eq!(scene.accomplice.udp.receive()["code"], "bad_signature");
    let mut leaving = overheard.clone();
    leaving["type"] = json!("unregister");
    scene.accomplice.udp.say(&leaving);
    assert_eq!(scene.accomplice.udp.receive()["code"], "bad_token");
    scene.assert_nothing_is_kept_besides();
    let found = scene.accomplice.connect(json!({"target_id": scene.target.id()}));
    assert_eq!(found["peer"], pair(scene.target.seen()));
    scene.process.assert_sound();
}

#[test]
fn a_register_that_was_overheard_does_not_bring_a_peer_back_to_where_it_was() {
    let Some(mut scene) = scene(&[]) else { return };
    scene.target.introduce();
    let overheard = overheard(&scene.target);
    scene.target.register_signed();
    let before = scene.target.seen();
    // The peer moves: another port of its router is another address.
    let mut moved = V2Peer::new(scene.household.peer(scene.main()), TARGET);
    moved.join();
    assert_ne!(moved.seen(), before);
    let verify = || scene.figure("matchmaker_datagrams_total", &[("outcome", "v2_verify")]);
    let asked = verify();
    // In the name of the address that it was heard from, which its token is good for. As often as signatures are looked at.
    for _ in 0..REPLAYED {
        scene.forger.send(before, overheard.to_string().as_bytes());
    }
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let expected = asked + REPLAYED as f64 - 0.5;
    eventually(PATIENCE, "a newer token is asked for each time", || (verify() > expected).then_some(()));
    let found = scene.accomplice.connect(json!({"target_id": moved.id()}));
    assert_eq!(found["peer"], pair(moved.seen()));
    scene.process.assert_sound();
}

#[test]
fn a_forged_source_does_not_act_for_a_registered_peer() {
    let Some(mut scene) = scene(&[]) else { return };
    let seen = scene.target.seen();
    let refused = || scene.figure("matchmaker_datagrams_total", &[("outcome", "v2_bad_token")]);
    // In its name, with a token that was made up and one that the server made for another address.
    for token in ["A".repeat(22), scene.accomplice.token().to_owned()] {
        let forged = json!({"type": "unregister", "v": 2, "tid": "a", "token": token});
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let expected = refused() + FORGED as f64 - 0.5;
        for _ in 0..FORGED {
            scene.forger.send(seen, forged.to_string().as_bytes());
        }
        eventually(PATIENCE, "all are refused", || (refused() > expected).then_some(()));
    }
    let told = scene.accomplice.connect(json!({"target_id": scene.target.id()}));
    assert_eq!(told["peer"], pair(seen));
    // Behind the errors comes what it is told of who asked.
    let heard = iter::from_fn(|| scene.target.udp.receive_within(PATIENCE));
    let mut messages = heard.map(|(datagram, _)| serde_json::from_slice::<Value>(&datagram).expect("JSON"));
    let peer = messages.find(|message| message["type"] != "error").expect("a word of the server");
    assert_eq!(peer["peer"], pair(scene.accomplice.seen()));
    scene.process.assert_sound();
}

#[test]
fn a_legacy_register_in_the_name_of_a_peer_takes_neither_its_id_nor_its_registration() {
    let Some(mut scene) = scene(&[]) else { return };
    let seen = scene.target.seen();
    let register = json!({"type": "register"}).to_string();
    let registered = || scene.figure("matchmaker_datagrams_total", &[("outcome", "registered")]);
    // Of its very port, and of another port of its router.
    for source in [seen, SocketAddr::new(seen.ip(), seen.port() ^ 1)] {
        let expected = registered() + 0.5;
        scene.forger.send(source, register.as_bytes());
        eventually(PATIENCE, "it is registered", || (registered() > expected).then_some(()));
    }
    let answer =
        iter::from_fn(|| scene.target.udp.receive_within(PATIENCE)).next().expect("an answer of the server");
    assert!(answer.0.starts_with(b"{\"type\": \"your_addr\""), "{answer:?}");
    assert_eq!(scene.target.keep_alive()["status"], "ok");
    let told = scene.accomplice.connect(json!({"target_id": scene.target.id()}));
    assert_eq!((&told["peer"], &told["id"]), (&pair(seen), &json!(scene.target.id())));
    assert_eq!(scene.target.udp.receive()["peer"], pair(scene.accomplice.seen()));
    scene.process.assert_sound();
}
