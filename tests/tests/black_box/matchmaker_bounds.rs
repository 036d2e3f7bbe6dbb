//! The matchmaker's table and buffer are bounded, and what is within the bounds is not lost.

use std::fs;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::metrics::Admin;
use black_box::process::Launch;
use black_box::skip::skipped;
use black_box::udp::{UdpPeer, not_found, peer};
use nix::sys::signal::Signal;
use serde_json::json;

/// The receive buffer that the contract asks for.
const BUFFER_BYTES: u64 = 1 << 20;

#[test]
fn a_full_table_lets_go_of_who_was_silent_longest() {
    let process = Launch::new(Binary::Matchmaker).set("MAX_CLIENTS", "5").start();
    let server = process.address("matchmaker");
    let admin = Admin::at(process.address("matchmaker-admin"));
    let peers: Vec<UdpPeer> =
        (1..=8).map(|number| UdpPeer::at(&format!("127.0.1.{number}"), server)).collect();
    for peer in &peers[..5] {
        peer.register();
    }
    // The first two speak again, so that the third is now the one that was silent longest.
    peers[0].register();
    peers[1].connect("");
    peers[1].receive();
    for peer in &peers[5..] {
        peer.register();
    }
    let observer = UdpPeer::at("127.0.2.1", server);
    for (index, target) in peers.iter().enumerate() {
        let ip = target.address().ip().to_string();
        observer.connect(&ip);
        if (2..5).contains(&index) {
            observer.expect(&not_found(&ip));
        } else {
            observer.expect(&peer(target.address()));
            target.expect(&peer(observer.address()));
        }
    }
    eventually(PATIENCE, "five registrations are counted", || {
        let counted = admin.sum("matchmaker_registrations", &[]);
        assert!(counted < 5.5, "{counted} of 5");
        (counted > 4.5).then_some(())
    });
}

#[test]
fn a_table_that_is_full_of_peers_which_spoke_twice_takes_no_newcomer_but_tells_its_address() {
    let process = Launch::new(Binary::Matchmaker).set("MAX_CLIENTS", "2").start();
    let server = process.address("matchmaker");
    let admin = Admin::at(process.address("matchmaker-admin"));
    let [first, second, newcomer] = [1, 2, 3].map(|number| UdpPeer::at(&format!("127.0.1.{number}"), server));
    for peer in [&first, &second, &first, &second, &newcomer] {
        peer.register();
    }
    let ip = newcomer.address().ip().to_string();
    first.connect(&ip);
    first.expect(&not_found(&ip));
    first.connect(&second.address().ip().to_string());
    first.expect(&peer(second.address()));
    second.expect(&peer(first.address()));
    eventually(PATIENCE, "the newcomer is counted", || {
        let counted = admin.sum("matchmaker_datagrams_total", &[("outcome", "table_full")]);
        assert!(counted < 1.5, "{counted} of 1");
        (counted > 0.5).then_some(())
    });
}

#[test]
fn a_burst_that_comes_while_the_process_sleeps_is_answered() {
    let most = fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse::<u64>().unwrap();
    if most < BUFFER_BYTES {
        return skipped("net.core.rmem_max of 1 MiB", "the kernel grants no larger buffer");
    }
    let mut process = Launch::new(Binary::Matchmaker).start();
    let server = process.address("matchmaker");
    // Several peers, so that the answers fit into the buffers of ours, which are of the usual size.
    let peers: Vec<UdpPeer> =
        (1..=10).map(|number| UdpPeer::at(&format!("127.0.1.{number}"), server)).collect();
    process.signal(Signal::SIGSTOP);
    for _ in 0..100 {
        for peer in &peers {
            peer.say(&json!({"type": "register"}));
        }
    }
    process.signal(Signal::SIGCONT);
    for peer in &peers {
        for _ in 0..100 {
            peer.expect(&json!({"type": "your_addr", "addr": peer.pair()}));
        }
    }
    process.assert_sound();
}
