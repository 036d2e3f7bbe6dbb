//! Hole punching as the original client does it: sending again and again to where the server said, and from then on to
//! where the other was heard.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::udp::{UdpPeer, from_pair};

/// How often the original client sends.
pub const ROUND: Duration = Duration::from_millis(50);

/// The rounds after which a pair counts as one that does not get through.
pub const ROUNDS_MAX: u32 = 20;

/// Long enough to read what is there, too short to wait for more.
const INSTANT: Duration = Duration::from_millis(1);

/// How often the server is asked the same on a line that loses, and how long each answer is waited for.
const ASKED_MAX: u32 = 30;
const ANSWER_WAIT: Duration = Duration::from_millis(300);

/// What is sent.
const PUNCH: &[u8] = b"punch";

/// What two peers use once they have heard each other.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// Where each sends to.
    pub to: [SocketAddr; 2],
    /// Rounds until both had heard the other, 1 at least.
    pub rounds: u32,
}

/// The first asks for the second, which is registered as `target`. Gives what each was told of the other.
#[track_caller]
pub fn introduce(peers: [&UdpPeer; 2], target: &str) -> [SocketAddr; 2] {
    peers[0].connect(target);
    peers.map(|peer| {
        let message = peer.receive();
        assert_eq!(message["type"], "peer", "{message}");
        from_pair(&message["peer"])
    })
}

/// Registers both and introduces them, as [`introduce`] does, and says again what was not answered.
///
/// # Panics
///
/// Where either was told nothing after thirty times.
pub fn introduce_over_losses(peers: [&UdpPeer; 2], target: &str) -> [SocketAddr; 2] {
    for peer in peers {
        let registered = (0..ASKED_MAX).any(|_| {
            peer.say(&json!({"type": "register"}));
            hear_of(peer, "your_addr", "addr").is_some()
        });
        assert!(registered, "no answer to a registration");
    }
    let mut told = [None, None];
    for _ in 0..ASKED_MAX {
        peers[0].connect(target);
        for (told, peer) in told.iter_mut().zip(peers) {
            *told = told.or_else(|| hear_of(peer, "peer", "peer"));
        }
        if let [Some(first), Some(second)] = told {
            return [first, second];
        }
    }
    panic!("{target} and who asked for it were told {told:?}");
}

/// The address in the next message of this type, if that comes soon.
fn hear_of(peer: &UdpPeer, kind: &str, key: &str) -> Option<SocketAddr> {
    let deadline = Instant::now() + ANSWER_WAIT;
    loop {
        let (bytes, _) = peer.receive_within(deadline.saturating_duration_since(Instant::now()))?;
        let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if message["type"] == kind {
            return Some(from_pair(&message[key]));
        }
    }
}

/// Sends in rounds, the first peer before the second, until both have heard the other. Whoever hears a punch answers
/// where it truly came from, from the next round on. Gives the paths that were opened, or none where they do not get
/// through.
pub fn punch_in_rounds(peers: [&UdpPeer; 2], told: [SocketAddr; 2]) -> Option<Paths> {
    let (mut heard, mut to) = ([false, false], told);
    for rounds in 1..=ROUNDS_MAX {
        for (peer, other) in peers.iter().zip(to) {
            peer.socket().send_to(PUNCH, other).expect("a host has a way out");
        }
        let deadline = Instant::now() + ROUND;
        for (index, peer) in peers.iter().enumerate() {
            while !heard[index] {
                // What has come already is read even when the round is over.
                let left = deadline.saturating_duration_since(Instant::now()).max(INSTANT);
                let Some((bytes, from)) = peer.receive_within(left) else { break };
                heard[index] = bytes == PUNCH;
                to[index] = from;
            }
        }
        if heard == [true, true] {
            return Some(Paths { to, rounds });
        }
    }
    None
}

/// Each peer sends on its own, the second from `skew` later on, for `limit` at most. Gives the time until both had
/// heard the other, or none where they do not get through.
pub fn punch_apart(
    peers: [&UdpPeer; 2],
    told: [SocketAddr; 2],
    skew: Duration,
    limit: Duration,
) -> Option<Duration> {
    let (heard, together) = (AtomicU32::new(0), Barrier::new(2));
    let alone = |peer: &UdpPeer, mut to: SocketAddr, wait: Duration| {
        together.wait();
        let started = Instant::now();
        let (mut next, mut heard_after) = (started + wait, None);
        while heard.load(Ordering::SeqCst) < 2 && started.elapsed() < limit {
            if Instant::now() >= next {
                peer.socket().send_to(PUNCH, to).expect("a host has a way out");
                next += ROUND;
            }
            let left = next.saturating_duration_since(Instant::now()).clamp(INSTANT, ROUND);
            if let Some((_, from)) = peer.receive_within(left).filter(|(bytes, _)| bytes == PUNCH) {
                to = from;
                heard_after.get_or_insert_with(|| {
                    heard.fetch_add(1, Ordering::SeqCst);
                    started.elapsed()
                });
            }
        }
        heard_after
    };
    let [first, second] = thread::scope(|scope| {
        let first = scope.spawn(|| alone(peers[0], told[0], Duration::ZERO));
        let second = scope.spawn(|| alone(peers[1], told[1], skew));
        [first, second].map(|thread| thread.join().expect("peers do not panic"))
    });
    first.zip(second).map(|(first, second)| first.max(second))
}
