//! Several peers behind one router, and two that nothing can bring together.

use std::net::SocketAddr;
use std::thread;

use black_box::lab::Lab;
use black_box::router::RouterKind;
use black_box::v2::V2Peer;
use peer_client::{PeerId, Target, Via};
use serde_json::json;
use tokio::sync::oneshot;

use super::LINE;
use super::dial::{Place, Server, client, greet_all, hears_hello, id_of};

/// So many clients live behind one home router. The first one reaches all others at their local addresses, and one that
/// lives elsewhere reaches each by the router, by its id or by its address.
fn all_behind_one_router_are_reached(count: usize) {
    let Some(lab) = Lab::open() else { return };
    let server = Server::start(&lab);
    let mut home = lab.household_on(RouterKind::HomeRouter, LINE, 1);
    for _ in 1..count {
        home = home.with_another_host();
    }
    let elsewhere = lab.household_on(RouterKind::HomeRouter, LINE, 2);
    let at = server.ipv4;
    thread::scope(|scope| {
        let mut homes: Vec<(PeerId, SocketAddr, oneshot::Sender<()>)> = Vec::new();
        for host in 0..count {
            let (tell, told) = oneshot::channel();
            let (finish, mut finished) = oneshot::channel();
            let place = Place { household: &home, host };
            scope.spawn(move || {
                place.run(async move || {
                    let client = client(at).await;
                    tell.send((id_of(&client), client.public_address())).expect("somebody waits");
                    greet_all(&client, &mut finished).await;
                });
            });
            let (id, seen) = told.blocking_recv().expect("it registers");
            homes.push((id, seen, finish));
        }
        let neighbour = Place { household: &home, host: 0 };
        neighbour.run(async || {
            let client = client(at).await;
            for (host, (id, ..)) in homes.iter().enumerate().skip(1) {
                let path = client.connect(Target::Id(*id)).await.expect("a neighbour");
                assert_eq!((path.via(), path.peer().ip()), (Via::Lan, home.address_of(host)));
                assert_eq!(path.id(), Some(*id));
                hears_hello(&path).await;
            }
        });
        Place::first_of(&elsewhere).run(async || {
            let client = client(at).await;
            for (number, (id, seen, _)) in homes.iter().enumerate() {
                let target = if number % 2 == 0 { Target::Id(*id) } else { Target::Addr(*seen) };
                let path = client.connect(target).await.expect("whom a home router lets in");
                assert_eq!((path.via(), path.peer(), path.id()), (Via::Mapped, *seen, Some(*id)));
                hears_hello(&path).await;
            }
        });
        // Dropped only now: it ends them.
        drop(homes);
    });
}

#[test]
fn two_behind_one_router_are_reached_inside_and_from_outside() {
    all_behind_one_router_are_reached(2);
}

#[test]
fn twenty_behind_one_router_are_reached_inside_and_from_outside() {
    all_behind_one_router_are_reached(20);
}

/// The answer to the question says it, and the other side is told at the same time without asking.
#[test]
fn two_behind_hard_routers_are_both_told_so_with_one_question() {
    let Some(lab) = Lab::open() else { return };
    let server = Server::start(&lab);
    let households = [1, 2].map(|seed| lab.household_on(RouterKind::Hard, LINE, seed));
    let mut number = 0;
    let mut peers = households.each_ref().map(|household| {
        number += 1;
        let mut peer = V2Peer::new(household.peer(server.ipv4), number);
        peer.join();
        assert_eq!(peer.probe(server.alt), "hard");
        peer
    });
    let target = peers[1].id();
    let told = peers[0].connect(json!({"target_id": target}));
    let also_told = peers[1].udp.receive();
    for (told, other) in [(&told, &peers[1]), (&also_told, &peers[0])] {
        assert_eq!(
            (&told["type"], &told["punch"], &told["nat"]),
            (&json!("peer"), &json!(false), &json!("hard"))
        );
        assert_eq!(told["id"], json!(other.id()));
    }
}
