//! Peers that say nothing for longer than it takes the kernel to forget them, in its own time.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use black_box::lab::{Household, Lab};
use black_box::punching::punch_in_rounds;
use black_box::router::RouterKind;
use black_box::udp::{UdpPeer, from_pair};
use peer_client::Target;
use serde_json::json;
use tokio::sync::oneshot;

use super::LINE;
use super::dial::{Place, Server, client, greet_all, hears_hello, id_of};

/// A router keeps a flow of one exchange for 30 seconds.
const KEPT: Duration = Duration::from_secs(25);
const FORGOTTEN: Duration = Duration::from_secs(33);
/// Two keepalives of version 2 after that.
const KEPT_ALIVE: Duration = Duration::from_secs(42);

/// Asks for a legacy peer that has been silent since it registered. Gives the asker, and where it is told that the other is.
fn ask_for(silent: &Household, asker: &Household, server: &Server) -> (UdpPeer, SocketAddr) {
    let asker = asker.peer(server.ipv4);
    asker.register();
    asker.connect(&silent.public_text());
    let told = asker.receive();
    assert_eq!(told["type"], "peer", "the server keeps it for two minutes: {told}");
    (asker, from_pair(&told["peer"]))
}

#[test]
fn a_silent_peer_is_reached_after_25_seconds_and_one_that_is_kept_alive_beyond_that() {
    const KINDS: [RouterKind; 3] = [RouterKind::HomeRouter, RouterKind::BareMasquerade, RouterKind::Hard];
    let Some(lab) = Lab::open() else { return };
    let server = Server::start(&lab);
    let [caller, home, talker] = [1, 2, 3].map(|seed| lab.household_on(RouterKind::HomeRouter, LINE, seed));
    let silent = KINDS.map(|kind| lab.household(kind));
    let forgotten = KINDS.map(|kind| lab.household(kind));
    let register = |household: &Household| {
        let peer = household.peer(server.ipv4);
        peer.register();
        peer
    };
    let begun = Instant::now();
    let silent_peers = silent.each_ref().map(register);
    let forgotten_peers = forgotten.each_ref().map(register);
    // The time itself is what is tested: nothing happens in it that could be waited for.
    let until = |time: Duration| thread::sleep(time.saturating_sub(begun.elapsed()));
    thread::scope(|scope| {
        let (tell, told) = oneshot::channel();
        let (finish, mut finished) = oneshot::channel();
        scope.spawn(|| {
            Place::first_of(&home).run(async move || {
                let client = client(server.ipv4).await;
                tell.send(id_of(&client)).expect("somebody waits");
                greet_all(&client, &mut finished).await;
            });
        });
        let kept_alive = told.blocking_recv().expect("it registers");

        until(KEPT);
        for (household, peer) in silent.iter().zip(&silent_peers) {
            let (asker, other) = ask_for(household, &caller, &server);
            let told = peer.receive();
            assert_eq!(told["type"], "peer", "{}: {told}", household.kind);
            if household.kind == RouterKind::HomeRouter {
                let to = [other, from_pair(&told["peer"])];
                punch_in_rounds([&asker, peer], to).expect("home routers can be punched through");
            }
        }
        until(FORGOTTEN);
        for (household, peer) in forgotten.iter().zip(&forgotten_peers) {
            ask_for(household, &caller, &server);
            peer.say(&json!({"type": "register"}));
            let first = peer.receive();
            assert_eq!(first["type"], "your_addr", "{}: nothing came before {first}", household.kind);
        }
        until(KEPT_ALIVE);
        Place::first_of(&talker).run(async || {
            let client = client(server.ipv4).await;
            let path = client.connect(Target::Id(kept_alive)).await.expect("it is kept alive");
            hears_hello(&path).await;
        });
        drop(finish);
    });
}
