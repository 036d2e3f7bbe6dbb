//! Whatever is sent in the name of others, by a raw socket on the wide area network: who receives what of it, and what the
//! server keeps. Captures show all that arrives at a host, on whatever port.

#![expect(clippy::print_stdout, reason = "a test that measured bytes has them in its output")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use black_box::binary::Binary;
use black_box::capture::{Capture, Captured};
use black_box::deadline::{PATIENCE, eventually, throughout};
use black_box::forger::Forger;
use black_box::lab::{Household, Lab, SERVER};
use black_box::metrics::Admin;
use black_box::namespace::Namespace;
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use black_box::signer::Signer;
use black_box::udp::{UdpPeer, pair};
use black_box::v2::V2Peer;
use serde_json::{Value, json};

/// Datagrams of each kind that are sent in the victim's name.
pub(crate) const FORGED: usize = 100;
/// Bytes that an address which has not shown that it is there may be sent beyond what "it" sent. Version 2 does without.
const BURST_BYTES: usize = 4_096;
const BURST: &str = "MATCHMAKER_UNREGISTERED_BURST_BYTES";
/// The server tells a side of a pair again until 1.7 seconds after the first time.
const RESENDS: Duration = Duration::from_secs(2);
/// The server's second address, from which STUN is answered where that is asked for.
const OTHER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 2);
/// An attribute of 80 bytes (RFC 8489 section 14.14).
const PADDING: [u8; 84] = {
    let mut attribute = [b' '; 84];
    [attribute[0], attribute[1], attribute[2], attribute[3]] = [0x80, 0x22, 0, 80];
    attribute
};
/// Where the victim is: no socket of it waits there.
const VICTIM_PORT: u16 = 40_000;

/// The number of the target's key, and of the accomplice's.
pub(crate) const TARGET: u8 = 7;
const ACCOMPLICE: u8 = 9;

pub(crate) struct Scene {
    // Before the lab, which it lives in.
    pub(crate) process: Process,
    server: Namespace,
    pub(crate) forger: Forger,
    /// Of the forger's own, which is registered.
    pub(crate) accomplice: V2Peer,
    /// Whose name is used, and what arrives there.
    victim: SocketAddr,
    at_victim: Capture,
    /// Somebody who has to do with none of it.
    at_third: Capture,
    third: Namespace,
    /// A peer that is registered, behind a home router, and what arrives there.
    pub(crate) target: V2Peer,
    at_target: Capture,
    _hosts: [Namespace; 2],
    pub(crate) household: Household,
    _lab: Lab,
}

pub(crate) fn scene(settings: &[(&str, &str)]) -> Option<Scene> {
    let lab = Lab::open()?;
    let server = lab.server();
    server.ip(&format!("addr add {OTHER}/24 dev wan"));
    let launch = Launch::new(Binary::Matchmaker)
        .set("MATCHMAKER_LISTEN", &format!("{SERVER}:12345,{OTHER}:12345"))
        .set("MATCHMAKER_ALT_PORT", "12346")
        .set("MATCHMAKER_STUN_OTHER", &format!("{SERVER}/{OTHER}"));
    let launch = settings.iter().fold(launch, |launch, (name, value)| launch.set(name, value));
    let mut process = server.run(|| launch.start());
    process.wait_for_listeners("matchmaker-alt", 2);
    let main = SocketAddr::from((SERVER, 12_345));
    let host = |last: u8| {
        let host = Namespace::make("host").expect("a lab is open");
        lab.attach(&host, [203, 0, 113, last].into());
        host
    };
    let [forging, victim, third] = [100, 101, 102].map(host);
    let forger = Forger::on(&forging, main);
    let mut accomplice = V2Peer::new(forging.run(|| UdpPeer::at("203.0.113.100", main)), ACCOMPLICE);
    accomplice.join();
    let household = lab.household(RouterKind::HomeRouter);
    let mut target = V2Peer::new(household.peer(main), TARGET);
    target.join();
    let IpAddr::V4(inside) = household.address_of(0) else { unreachable!("of IPv4") };
    let at_target = Capture::of(inside, household.namespaces().next().expect("a host"));
    Some(Scene {
        process,
        server,
        forger,
        accomplice,
        victim: SocketAddr::from(([203, 0, 113, 101], VICTIM_PORT)),
        at_victim: Capture::of([203, 0, 113, 101].into(), &victim),
        at_third: Capture::of([203, 0, 113, 102].into(), &third),
        third,
        target,
        at_target,
        _hosts: [forging, victim],
        household,
        _lab: lab,
    })
}

/// What came of datagrams in the victim's name.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Bytes {
    pub(crate) sent: usize,
    pub(crate) received: usize,
}

impl Scene {
    /// A figure of the server, which tells it on its own loopback only.
    pub(crate) fn figure(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let admin = Admin::at(self.process.address("matchmaker-admin"));
        self.server.run(|| admin.sum(name, labels))
    }

    /// Panics unless the target and the accomplice are all that is kept. The server looks at that from time to time: one more
    /// is registered, and the figure that has it is the newest.
    pub(crate) fn assert_nothing_is_kept_besides(&self) {
        let mut newcomer = V2Peer::new(self.third.run(|| UdpPeer::at("203.0.113.102", self.main())), 11);
        newcomer.join();
        let kept =
            || self.figure("matchmaker_v2_registrations", &[]) + self.figure("matchmaker_registrations", &[]);
        eventually(PATIENCE, "three registrations", || {
            let kept = kept();
            assert!(kept < 3.5, "{kept} registrations");
            (kept > 2.5).then_some(())
        });
        let leave = json!({"type": "unregister", "token": newcomer.token()});
        assert_eq!(newcomer.ask(leave)["type"], "unregistered");
        self.at_third.take();
    }

    /// Sends a datagram in the victim's name a number of times, and waits until the server has done what it does.
    pub(crate) fn forge(&self, to: SocketAddr, payload: &[u8]) -> Bytes {
        let counted = || self.figure("matchmaker_datagrams_total", &[]);
        let sent_by_server =
            || self.figure("matchmaker_sent_total", &[]) + self.figure("matchmaker_send_failures_total", &[]);
        let (before, answered_before) = (counted(), sent_by_server());
        for _ in 0..FORGED {
            self.forger.send_to(self.victim, to, payload);
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let expected = before + FORGED as f64 - 0.5;
        eventually(PATIENCE, "all are counted", || (counted() > expected).then_some(()));
        // What has left the server is there: nothing on the way holds it up.
        let mut arrived = self.at_victim.take();
        eventually(PATIENCE, "all answers have arrived", || {
            arrived.extend(self.at_victim.take());
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let enough = arrived.len() as f64 > sent_by_server() - answered_before - 0.5;
            enough.then_some(())
        });
        assert!(arrived.len() <= FORGED, "{} answers", arrived.len());
        assert!(arrived.iter().all(|datagram| datagram.to == self.victim), "{arrived:?}");
        let received = arrived.iter().map(|datagram| datagram.payload.len()).sum();
        Bytes { sent: FORGED * payload.len(), received }
    }

    pub(crate) fn main(&self) -> SocketAddr {
        self.forger.server()
    }

    /// Panics unless nobody but the victim was written to, also later.
    fn assert_nobody_else_is_written_to(&self) {
        let mut written: Vec<Captured> = Vec::new();
        throughout(RESENDS, "nobody else is written to", || {
            written.extend(self.at_third.take());
            written.extend(self.at_target.take());
            written.is_empty()
        });
        // That they would show it is seen by what is sent on purpose.
        let bystander = self.third.run(|| UdpPeer::at("203.0.113.102", self.main()));
        bystander.say(&json!({"type": "register", "v": 2, "tid": "a", "pad": "0".repeat(200)}));
        let (answer, _) = bystander.receive_within(PATIENCE).expect("an answer");
        let seen = self.at_third.take();
        assert_eq!(seen.iter().map(|datagram| &datagram.payload).collect::<Vec<_>>(), [&answer]);
    }
}

/// A Binding request (RFC 8489), with this CHANGE-REQUEST (RFC 5780) where there is one.
fn stun(change: Option<u8>) -> Vec<u8> {
    let body = change.map_or(Vec::new(), |flags| vec![0, 3, 0, 4, 0, 0, 0, flags]);
    let length = u8::try_from(body.len()).expect("a short body");
    [&[0, 1, 0, length, 0x21, 0x12, 0xa4, 0x42][..], b"twelve bytes", &body].concat()
}

/// Every kind of datagram that version 2 has, as well as somebody can write it who does not hear what the victim is sent.
fn version_2(scene: &Scene) -> Vec<(SocketAddr, Value)> {
    let (main, tid, made_up) = (scene.main(), "0123456789abcdef", "A".repeat(22));
    let alt = SocketAddr::new(main.ip(), 12_346);
    let (id, pad, pair_id) = (scene.target.id(), "0".repeat(200), "0".repeat(16));
    // Of the forger's own address, which the server made.
    let token = scene.accomplice.token().to_owned();
    let signature = Signer::new(ACCOMPLICE).rendezvous(&token, scene.victim);
    let own = Signer::new(ACCOMPLICE).id();
    let at_main = [
        json!({"type": "register", "v": 2, "tid": tid}),
        json!({"type": "register", "v": 2, "tid": tid, "id": id, "pad": pad}),
        json!({"type": "register", "v": 2, "tid": tid, "id": id, "token": made_up}),
        json!({"type": "register", "v": 2, "tid": tid, "id": own, "token": token}),
        json!({"type": "register", "v": 2, "tid": tid, "id": own, "token": token, "sig": signature, "lan": [["10.0.0.1", 1]]}),
        json!({"type": "register", "v": 2, "tid": tid, "id": id, "token": scene.target.token(), "sig": "A".repeat(86)}),
        json!({"type": "connect", "v": 2, "tid": tid, "token": made_up, "target_id": id}),
        json!({"type": "connect", "v": 2, "tid": tid, "token": token, "target_id": id}),
        json!({"type": "connect", "v": 2, "tid": tid, "token": token, "target_ip": scene.target.seen().ip().to_string()}),
        json!({"type": "connect", "v": 2, "tid": tid, "token": token, "target_ip": "203.0.113.102", "target_port": 9}),
        json!({"type": "unregister", "v": 2, "tid": tid, "token": token}),
        json!({"type": "unregister", "v": 2, "tid": tid, "token": scene.target.token()}),
        json!({"type": "ack", "v": 2, "pair": pair_id}),
        json!({"type": "result", "v": 2, "pair": pair_id, "ok": true, "via": "mapped", "ms": 3}),
        json!({"type": "result", "v": 2, "pair": pair_id, "ok": false}),
        json!({"type": "nonsense", "v": 2, "tid": tid}),
        json!({"v": 2}),
    ];
    let at_alt = [
        json!({"type": "probe", "v": 2, "tid": tid, "token": made_up, "addr": pair(scene.victim), "pad": pad}),
        json!({"type": "probe", "v": 2, "tid": tid, "token": token, "addr": pair(scene.victim), "pad": pad}),
        json!({"type": "register", "v": 2, "tid": tid, "pad": pad}),
    ];
    let all = at_main.map(|message| (main, message)).into_iter();
    all.chain(at_alt.map(|message| (alt, message))).collect()
}

#[test]
fn version_2_keeps_nothing_of_a_forged_source_writes_to_nobody_else_and_sends_it_no_more_than_it_sent() {
    let Some(mut scene) = scene(&[]) else { return };
    let mut all = Bytes::default();
    for (to, message) in version_2(&scene) {
        let bytes = scene.forge(to, message.to_string().as_bytes());
        assert!(bytes.received <= bytes.sent, "{bytes:?}: {message}");
        all = Bytes { sent: all.sent + bytes.sent, received: all.received + bytes.received };
    }
    println!("version 2: {} bytes in the victim's name, {} to it", all.sent, all.received);
    assert!(all.received > 0, "it was answered at all");
    scene.assert_nothing_is_kept_besides();
    scene.assert_nobody_else_is_written_to();
    // All of that has changed nothing for who is there.
    assert_eq!(scene.target.keep_alive()["status"], "ok");
    assert_eq!(
        scene.accomplice.connect(json!({"target_id": scene.target.id()}))["peer"],
        pair(scene.target.seen())
    );
    scene.process.assert_sound();
}

#[test]
fn stun_keeps_nothing_of_a_forged_source_and_sends_it_what_it_sent_and_the_burst() {
    for burst in [BURST_BYTES, 0] {
        stun_with(burst);
    }
}

fn stun_with(burst: usize) {
    let Some(mut scene) = scene(&[(BURST, &burst.to_string())]) else { return };
    let mut all = Bytes::default();
    for change in [None, Some(2), Some(4), Some(6), None] {
        let bytes = scene.forge(scene.main(), &stun(change));
        all = Bytes { sent: all.sent + bytes.sent, received: all.received + bytes.received };
        assert!(all.received <= all.sent + burst, "{all:?}");
    }
    println!("STUN, burst of {burst}: {} bytes in the victim's name, {} to it", all.sent, all.received);
    // SOFTWARE, which is ignored, makes the request larger than its answer: that is answered whatever came before.
    let padded =
        scene.forge(scene.main(), &[&stun(None)[..2], &[0, 84], &stun(None)[4..], &PADDING].concat());
    assert!((1..=padded.sent).contains(&padded.received), "{padded:?}");
    scene.assert_nothing_is_kept_besides();
    scene.assert_nobody_else_is_written_to();
    scene.process.assert_sound();
}

#[test]
fn legacy_datagrams_of_a_forged_source_make_all_together_receive_what_was_sent_and_the_burst() {
    for burst in [BURST_BYTES, 0] {
        legacy_with(burst);
    }
}

/// All but registers, which the contract of legacy clients believes.
fn legacy_with(burst: usize) {
    let Some(mut scene) = scene(&[(BURST, &burst.to_string())]) else { return };
    let (main, router) = (scene.main(), scene.target.seen().ip().to_string());
    let mut all = Bytes::default();
    for message in [
        json!({"type": "connect", "target_ip": router}),
        json!({"type": "connect", "target_ip": "203.0.113.102"}),
        json!({"type": "connect"}),
        json!({"type": "x"}),
    ] {
        let (to, payload) = (main, message.to_string());
        let counted = || scene.figure("matchmaker_datagrams_total", &[]);
        let before = counted();
        for _ in 0..FORGED {
            scene.forger.send_to(scene.victim, to, payload.as_bytes());
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let expected = before + FORGED as f64 - 0.5;
        eventually(PATIENCE, "all are counted", || (counted() > expected).then_some(()));
        all.sent += FORGED * payload.len();
    }
    let mut received: Vec<Captured> = Vec::new();
    // The contract of legacy clients has a target told of whoever asks for it; the limits keep that to a few.
    throughout(RESENDS, "no more than was sent in its name", || {
        received.extend(scene.at_victim.take());
        received.extend(scene.at_target.take());
        all.received = received.iter().map(|datagram| datagram.payload.len()).sum();
        all.received <= all.sent + burst
    });
    println!(
        "legacy, burst of {burst}: {} bytes in the victim's name, {} to it and the target",
        all.sent, all.received
    );
    let told = received.iter().filter(|datagram| datagram.to != scene.victim).count();
    assert!(told <= 10 && (told > 0 || burst == 0), "a target is told of ten at once at most: {told}");
    assert_eq!(scene.at_third.take(), [], "nobody else");
    scene.process.assert_sound();
}

#[test]
fn without_the_legacy_contract_its_datagrams_reach_nobody_and_keep_nothing() {
    let Some(mut scene) = scene(&[("MATCHMAKER_LEGACY", "off")]) else { return };
    let router = scene.target.seen().ip().to_string();
    for message in [json!({"type": "register"}), json!({"type": "connect", "target_ip": router}), json!({})] {
        let bytes = scene.forge(scene.main(), message.to_string().as_bytes());
        assert_eq!(bytes.received, 0, "{message}");
    }
    scene.assert_nothing_is_kept_besides();
    scene.assert_nobody_else_is_written_to();
    scene.process.assert_sound();
}
