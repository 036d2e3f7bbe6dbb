//! What version 2 can be made to do by datagrams whose source is forged, sent by a raw socket.

use std::net::{IpAddr, SocketAddr};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::{Household, Lab, SERVER};
use black_box::metrics::Admin;
use black_box::namespace::Namespace;
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use black_box::signer::Signer;
use black_box::udp::{UdpPeer, receive};
use black_box::v2::V2Peer;
use serde_json::{Value, json};
use socket2::{Domain, Protocol, Socket, Type};

/// Datagrams of each kind that are sent in a victim's name.
const FORGED: usize = 50;

/// A host on the wide area network, from which datagrams leave that name others as their source.
struct Forger {
    raw: Socket,
    server: SocketAddr,
}

impl Forger {
    fn on(host: &Namespace, server: SocketAddr) -> Self {
        let raw = host.run(|| {
            let raw =
                Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(libc_raw()))).expect("root may");
            raw.set_header_included_v4(true).expect("of a raw socket");
            raw
        });
        Self { raw, server }
    }

    /// Sends a datagram in the name of `source`.
    fn send(&self, source: SocketAddr, payload: &[u8]) {
        let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), self.server.ip()) else {
            unreachable!("the lab speaks IPv4")
        };
        let length = u16::try_from(28 + payload.len()).expect("a small datagram");
        // RFC 791 section 3.1; the kernel fills in the checksum. No checksum of UDP (RFC 768).
        let mut packet = vec![0x45, 0];
        packet.extend_from_slice(&length.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 0, 64, 17, 0, 0]);
        packet.extend_from_slice(&from.octets());
        packet.extend_from_slice(&to.octets());
        for field in [source.port(), self.server.port(), length - 20, 0] {
            packet.extend_from_slice(&field.to_be_bytes());
        }
        packet.extend_from_slice(payload);
        self.raw.send_to(&packet, &self.server.into()).expect("sent");
    }
}

/// `IPPROTO_RAW` (raw(7)).
fn libc_raw() -> i32 {
    255
}

struct Scene {
    // Before the lab, which it lives in.
    process: Process,
    forger: Forger,
    /// A peer on the wide area network, and one that is registered.
    victim: UdpPeer,
    target: V2Peer,
    server: Namespace,
    _hosts: [Namespace; 2],
    _household: Household,
    _lab: Lab,
}

fn scene() -> Option<Scene> {
    let lab = Lab::open()?;
    let listen = SocketAddr::from((SERVER, 0)).to_string();
    let server = lab.server();
    let process = server.run(|| Launch::new(Binary::Matchmaker).set("MATCHMAKER_LISTEN", &listen).start());
    let main = process.address("matchmaker");
    let host = |last: u8| {
        let host = Namespace::make("host").expect("a lab is open");
        lab.attach(&host, [203, 0, 113, last].into());
        host
    };
    let hosts = [host(100), host(101)];
    let [forging, victims] = &hosts;
    let forger = Forger::on(forging, main);
    let victim = victims.run(|| UdpPeer::at("203.0.113.101", main));
    let household = lab.household(RouterKind::HomeRouter);
    let mut target = V2Peer::new(household.peer(main), 7);
    target.join();
    Some(Scene { process, forger, victim, target, server, _hosts: hosts, _household: household, _lab: lab })
}

impl Scene {
    /// A figure of the server, which tells it on its own loopback only.
    fn figure(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let admin = Admin::at(self.process.address("matchmaker-admin"));
        self.server.run(|| admin.sum(name, labels))
    }

    /// Sends a message in the victim's name a number of times. Gives the bytes that were sent and that the victim received.
    fn forge(&self, message: &Value) -> (usize, usize) {
        let counted = || self.figure("matchmaker_datagrams_total", &[]);
        let (before, payload) = (counted(), message.to_string());
        for _ in 0..FORGED {
            self.forger.send(self.victim.address(), payload.as_bytes());
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let expected = before + FORGED as f64 - 0.5;
        eventually(PATIENCE, "all are counted", || (counted() > expected).then_some(()));
        let waiting =
            std::iter::from_fn(|| receive(self.victim.socket(), std::time::Duration::from_millis(20)));
        (payload.len() * FORGED, waiting.map(|(datagram, _)| datagram.len()).sum())
    }
}

#[test]
fn a_forged_source_makes_no_state_reaches_nobody_and_receives_no_more_than_was_sent_in_its_name() {
    let Some(mut scene) = scene() else { return };
    let (tid, token) = ("0123456789abcdef", "A".repeat(22));
    let id = Signer::new(9).id();
    let messages = [
        json!({"type": "register", "v": 2, "tid": tid}),
        json!({"type": "register", "v": 2, "tid": tid, "id": id, "pad": "0".repeat(200)}),
        json!({"type": "register", "v": 2, "tid": tid, "id": id, "token": token, "sig": "A".repeat(86)}),
        json!({"type": "register", "v": 2, "tid": tid, "token": scene.target.token()}),
        json!({"type": "connect", "v": 2, "tid": tid, "token": token, "target_id": scene.target.id()}),
        json!({"type": "connect", "v": 2, "tid": tid, "token": scene.target.token(), "target_id": scene.target.id()}),
        json!({"type": "unregister", "v": 2, "tid": tid, "token": token}),
        json!({"type": "probe", "v": 2, "tid": tid, "token": token, "addr": ["203.0.113.101", 1]}),
        json!({"type": "ack", "v": 2, "pair": "0".repeat(16)}),
        json!({"type": "nonsense", "v": 2}),
    ];
    for message in &messages {
        let (sent, received) = scene.forge(message);
        assert!(received <= sent, "{received} bytes for {sent}: {message}");
        // What comes next is the answer to itself.
        scene.target.keep_alive();
    }
    // It was answered at all, where there is something to say.
    assert!(scene.forge(&messages[1]).1 > 0);
    eventually(PATIENCE, "one registration", || {
        let registered = scene.figure("matchmaker_v2_registrations", &[]);
        assert!(registered < 1.5, "{registered} registrations");
        (registered > 0.5).then_some(())
    });
}

#[test]
fn a_forged_source_does_not_act_for_a_registered_peer() {
    let Some(mut scene) = scene() else { return };
    let seen = scene.target.seen();
    let forged = json!({"type": "unregister", "v": 2, "tid": "a", "token": "A".repeat(22)});
    for _ in 0..FORGED {
        scene.forger.send(seen, forged.to_string().as_bytes());
    }
    let refused = || scene.figure("matchmaker_datagrams_total", &[("outcome", "v2_bad_token")]);
    eventually(PATIENCE, "all are refused", || (refused() > 49.5).then_some(()));
    while scene.target.udp.receive_within(std::time::Duration::from_millis(20)).is_some() {}
    let mut asker = V2Peer::new(
        UdpPeer::over(scene.victim.socket().try_clone().expect("a socket"), scene.forger.server),
        8,
    );
    asker.join();
    let told = asker.connect(json!({"target_id": scene.target.id()}));
    assert_eq!(told["peer"], black_box::udp::pair(seen));
    assert_eq!(scene.target.udp.receive()["peer"], asker.udp.pair());
    scene.process.assert_sound();
}
