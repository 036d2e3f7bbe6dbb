//! The main job on real input: two peers behind two NATs publish, find, are matched and exchange packets.

use std::net::SocketAddr;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::container::ContainerImage;
use black_box::http::Request;
use black_box::lab::{Household, Lab, SERVER};
use black_box::namespace::Namespace;
use black_box::process::{Launch, Process};
use black_box::punching::{Paths, introduce, punch_in_rounds};
use black_box::router::RouterKind;
use black_box::udp::{UdpPeer, from_pair, not_found};
use serde_json::json;

/// A server that has the address [`SERVER`] in a lab, however it was started.
pub(crate) trait ServerInLab {
    /// Where its HTTP service is.
    fn tracker(&self) -> SocketAddr;
    /// Where its UDP service is.
    fn matchmaker(&self) -> SocketAddr;
}

/// Programs of ours in a namespace of the lab. Several processes, or one that is both.
pub(crate) struct Programs(Vec<Process>);

impl Programs {
    /// Starts these inside the namespace of a new server.
    pub(crate) fn start(lab: &Lab, binaries: &[Binary]) -> Self {
        let namespace = lab.server();
        let listen = SocketAddr::from((SERVER, 0)).to_string();
        let launch = |binary: &Binary| {
            Launch::new(*binary).set("TRACKER_LISTEN", &listen).set("MATCHMAKER_LISTEN", &listen).start()
        };
        Self(namespace.run(|| binaries.iter().map(launch).collect()))
    }

    fn address(&self, service: &str) -> SocketAddr {
        let found = self.0.iter().find_map(|process| process.addresses(service).first().copied());
        found.expect("one of the programs has this service")
    }
}

impl ServerInLab for Programs {
    fn tracker(&self) -> SocketAddr {
        self.address("tracker")
    }

    fn matchmaker(&self) -> SocketAddr {
        self.address("matchmaker")
    }
}

/// Two households, each with a peer.
struct Pair {
    households: [Household; 2],
    peers: [UdpPeer; 2],
}

impl Pair {
    fn move_in(lab: &Lab, kinds: [RouterKind; 2], matchmaker: SocketAddr) -> Self {
        let households = kinds.map(|kind| lab.household(kind));
        let peers = [households[0].peer(matchmaker), households[1].peer(matchmaker)];
        Self { households, peers }
    }

    /// Each publishes a file of its own, and finds the other's.
    fn publish_and_look_up(&self, server: &impl ServerInLab) {
        for (number, household) in self.households.iter().enumerate() {
            let target = format!("/add?filename=site/{number}.html&hash=abc");
            let answer = household.send(server.tracker(), &Request::post(target));
            answer.assert_is(200, &json!({"status": "ok"}));
        }
        for (number, household) in self.households.iter().enumerate() {
            let other = 1 - number;
            let name = format!("site/{other}.html");
            let answer = household.send(server.tracker(), &Request::get(format!("/peers?filename={name}")));
            answer
                .assert_is(200, &json!({"filename": name, "peers": [self.households[other].public_text()]}));
        }
    }

    /// Both register, the first asks for the second. Gives what each was told of the other.
    fn meet(&self) -> [SocketAddr; 2] {
        for (peer, household) in self.peers.iter().zip(&self.households) {
            assert_eq!(peer.register().ip(), household.public, "a peer is seen by its router's address");
        }
        introduce(self.peers.each_ref(), &self.households[1].public_text())
    }

    /// Through the opened NATs, both ways, nobody between.
    fn exchange(&self, paths: &Paths) {
        for number in 0..20_u8 {
            for (index, peer) in self.peers.iter().enumerate() {
                let content = format!("packet {number} of peer {index}").into_bytes();
                peer.socket().send_to(&content, paths.to[index]).unwrap();
                assert_eq!(skip_punches(&self.peers[1 - index]), (content, paths.to[1 - index]));
            }
        }
    }
}

/// The next datagram that is no leftover of the punching.
fn skip_punches(peer: &UdpPeer) -> (Vec<u8>, SocketAddr) {
    loop {
        let (bytes, from) = peer.receive_within(Duration::from_secs(5)).expect("a packet through both NATs");
        if bytes != b"punch" {
            return (bytes, from);
        }
    }
}

/// The whole main job, between two home routers, with a server that is in the lab already.
pub(crate) fn punch_through_home_routers(lab: &Lab, server: &impl ServerInLab) {
    let pair = Pair::move_in(lab, [RouterKind::HomeRouter; 2], server.matchmaker());
    pair.publish_and_look_up(server);
    let told = pair.meet();
    for (told, household) in told.iter().zip(pair.households.iter().rev()) {
        assert_eq!(told.ip(), household.public, "each is told of the other's router");
    }
    let paths = punch_in_rounds(pair.peers.each_ref(), told).expect("home routers can be punched through");
    assert_eq!(paths.to, told, "home routers show one port to all");
    assert!(paths.rounds <= 3, "{} rounds", paths.rounds);
    pair.exchange(&paths);
}

#[test]
fn peers_behind_home_routers_publish_find_and_reach_each_other() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Tracker, Binary::Matchmaker]);
    punch_through_home_routers(&lab, &server);
}

#[test]
fn peers_behind_home_routers_reach_each_other_by_a_standalone() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Standalone]);
    punch_through_home_routers(&lab, &server);
}

/// The whole server from the image, on its own ports.
struct InContainer;

impl ServerInLab for InContainer {
    fn tracker(&self) -> SocketAddr {
        SocketAddr::from((SERVER, 8000))
    }

    fn matchmaker(&self) -> SocketAddr {
        SocketAddr::from((SERVER, 12_345))
    }
}

#[test]
fn peers_behind_home_routers_reach_each_other_by_the_container() {
    let Some(lab) = Lab::open() else { return };
    let Some(image) = ContainerImage::build() else { return };
    // The engine gives it no network: its only way out is the one into the lab.
    let container = image.run(&["--network=none"]);
    lab.attach(&Namespace::of_process(container.pid()), SERVER);
    container.wait_until_ready();
    punch_through_home_routers(&lab, &InContainer);
}

#[test]
fn two_hosts_behind_one_router_overwrite_each_other_as_in_the_original() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Matchmaker]);
    let (shared, other) = (lab.household(RouterKind::HomeRouter), lab.household(RouterKind::HomeRouter));
    let (older, newer) = (shared.peer(server.matchmaker()), shared.peer(server.matchmaker()));
    let caller = other.peer(server.matchmaker());
    older.register();
    let seen = newer.register();
    caller.connect(&shared.public_text());
    assert_eq!(from_pair(&caller.receive()["peer"]), seen);
    newer.receive();
    older.expect_silence();
    caller.connect("203.0.113.200");
    caller.expect(&not_found("203.0.113.200"));
}

#[test]
fn a_router_of_the_lab_carries_http_and_udp_of_one_host() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Standalone]);
    let household = lab.household(RouterKind::Hard);
    let peer = household.peer(server.matchmaker());
    assert_eq!(peer.register().ip(), household.public);
    household.send(server.tracker(), &Request::get("/")).assert_is(200, &json!({"status": "ok"}));
}
