//! The matchmaker over real sockets against who would use it to flood others: with the limits on for loopback too.

#![expect(clippy::print_stdout, reason = "a test that measured bytes has them in its output")]

use std::net::IpAddr;
use std::time::{Duration, Instant};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::metrics::Admin;
use black_box::process::{Launch, Process};
use black_box::udp::{UdpPeer, from_pair, receive};
use serde_json::Value;

/// Bytes that a source which is not registered has sent beyond its own: `MATCHMAKER_UNREGISTERED_BURST_BYTES`.
const BURST_BYTES: usize = 4_096;
/// How long the burst takes to be granted again.
const REFILL_SECS: usize = 600;
/// Datagrams of the one source, and how many go out before the server has to have counted them.
const DATAGRAMS: usize = 20_000;
const AT_ONCE: usize = 200;
/// How long a target is asked for.
const ASKED: Duration = Duration::from_secs(3);
/// Sources of either kind that ask for it.
const ASKERS: u8 = 50;

/// Connects a second, and at once, that a target is told of: `MATCHMAKER_TARGET_RATE`, and of those that come from sources
/// which are not registered: `MATCHMAKER_UNREGISTERED_TARGET_RATE`.
const OF_ALL: (f64, f64) = (50.0, 100.0);
const OF_UNREGISTERED: (f64, f64) = (10.0, 10.0);

/// The limits of rates, which stop a source before it has used up its bytes.
const RATES: [&str; 5] = [
    "MATCHMAKER_SOURCE_RATE",
    "MATCHMAKER_PAIR_RATE",
    "MATCHMAKER_TARGET_RATE",
    "MATCHMAKER_UNREGISTERED_RATE",
    "MATCHMAKER_UNREGISTERED_TARGET_RATE",
];

fn limited() -> Launch {
    Launch::new(Binary::Matchmaker).set("MATCHMAKER_LIMIT_LOOPBACK", "on")
}

fn start(launch: &Launch) -> (Process, Admin) {
    let process = launch.start();
    let admin = Admin::at(process.address("matchmaker-admin"));
    (process, admin)
}

/// What has come for a peer until now.
fn drain(peer: &UdpPeer) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| receive(peer.socket(), Duration::from_millis(1)).map(|(datagram, _)| datagram))
        .collect()
}

/// Bytes that one source which is not registered sends, and that it makes anybody receive: itself or its target.
struct Exchanged {
    sent: usize,
    received: usize,
    /// Bytes of the burst that were granted again meanwhile.
    granted_again: usize,
}

impl Exchanged {
    fn most(&self) -> usize {
        self.sent + BURST_BYTES + self.granted_again
    }
}

fn flood(process: &Process, admin: &Admin) -> Exchanged {
    let server = process.address("matchmaker");
    let (target, source) = (UdpPeer::at("127.0.3.1", server), UdpPeer::at("127.0.3.2", server));
    target.register();
    let counted = || admin.sum("matchmaker_datagrams_total", &[]);
    let before = counted();
    let kinds: [&[u8]; 5] = [
        b"{}",
        b"{\"type\":\"connect\",\"target_ip\":\"127.0.3.1\"}",
        b"{\"type\":\"connect\",\"target_ip\":\"127.0.3.9\"}",
        b"{\"type\":\"connect\"}",
        b"{\"type\":\"x\"}",
    ];
    let started = Instant::now();
    let (mut sent, mut received) = (0, 0);
    for number in 0..DATAGRAMS {
        // Mostly the shortest that is answered at all, which is what a flooder would take.
        let datagram = if number % 4 == 0 { kinds[number / 4 % kinds.len()] } else { kinds[0] };
        source.send(datagram);
        sent += datagram.len();
        if (number + 1) % AT_ONCE == 0 {
            #[expect(clippy::cast_precision_loss, reason = "a small number")]
            let expected = before + (number + 1) as f64;
            eventually(PATIENCE, "all are counted", || (counted() >= expected - 0.5).then_some(()));
            received +=
                [&source, &target].into_iter().flat_map(drain).map(|datagram| datagram.len()).sum::<usize>();
        }
    }
    let secs = usize::try_from(started.elapsed().as_secs()).expect("a few seconds") + 1;
    let exchanged = Exchanged { sent, received, granted_again: (BURST_BYTES * secs).div_ceil(REFILL_SECS) };
    println!("{received} bytes for {sent}, at most {}", exchanged.most());
    exchanged
}

#[test]
fn a_source_that_is_not_registered_makes_nobody_receive_more_than_it_sent() {
    let (process, admin) = start(&limited());
    let exchanged = flood(&process, &admin);
    assert!(exchanged.received <= exchanged.most(), "{} bytes for {}", exchanged.received, exchanged.sent);
    assert!(exchanged.received > BURST_BYTES, "it was answered at all");
    assert!(admin.sum("matchmaker_datagrams_total", &[("outcome", "unregistered_limit")]) > 0.5);
}

#[test]
fn the_limit_of_bytes_alone_keeps_what_anybody_receives_to_what_was_sent() {
    let (process, admin) =
        start(&RATES.into_iter().fold(limited(), |launch, rate| launch.set(rate, "1000000/1000000")));
    let exchanged = flood(&process, &admin);
    assert!(exchanged.received <= exchanged.most(), "{} bytes for {}", exchanged.received, exchanged.sent);
    assert!(
        exchanged.received > exchanged.sent / 2,
        "{}: the limit of bytes was reached",
        exchanged.received
    );
}

#[test]
fn a_target_is_told_of_no_more_than_its_rate_whoever_asks() {
    let (process, _) = start(&limited());
    let server = process.address("matchmaker");
    let target = UdpPeer::at("127.0.4.1", server);
    target.register();
    let askers = |net: u8| -> Vec<UdpPeer> {
        (1..=ASKERS).map(|host| UdpPeer::at(&format!("127.0.{net}.{host}"), server)).collect()
    };
    let (registered, strangers) = (askers(5), askers(6));
    for peer in &registered {
        peer.register();
    }
    let started = Instant::now();
    let (mut of_all, mut of_strangers) = (0.0, 0.0);
    let mut count = |datagram: Vec<u8>| {
        let message: Value = serde_json::from_slice(&datagram).expect("JSON");
        assert_eq!(message["type"], "peer");
        of_all += 1.0;
        if let IpAddr::V4(ip) = from_pair(&message["peer"]).ip()
            && ip.octets()[2] == 6
        {
            of_strangers += 1.0;
        }
    };
    while started.elapsed() < ASKED {
        for peer in strangers.iter().chain(&registered) {
            peer.connect("127.0.4.1");
        }
        drain(&target).into_iter().for_each(&mut count);
    }
    drain(&target).into_iter().for_each(&mut count);
    let secs = started.elapsed().as_secs_f64();
    println!("told {of_all} times in {secs:.2} s, {of_strangers} of sources that are not registered");
    for (told, (rate, burst)) in [(of_all, OF_ALL), (of_strangers, OF_UNREGISTERED)] {
        assert!(told <= rate * secs + burst + 1.0, "{told} in {secs} s");
        assert!(told >= burst, "{told}: it was told at all");
    }
}
