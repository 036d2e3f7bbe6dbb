use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use nat_simulator::Actions;
use serde_json::{Value, json};

/// How often the original client sends while it punches.
pub(crate) const ROUND: Duration = Duration::from_millis(50);

/// What it sends.
const PUNCH: &[u8] = b"punch";

/// A peer of the legacy contract that punches in rounds, as the original client does. Whoever hears a punch answers
/// where it truly came from, from the next round on.
#[derive(Debug)]
pub(crate) struct LegacyPeer {
    local: SocketAddr,
    server: SocketAddr,
    /// How long after the start of a round it sends.
    lag: Duration,
    /// What the server last said that its own address is.
    pub(crate) mapped: Option<SocketAddr>,
    punching: Option<Punching>,
}

/// A peer that was told of another.
#[derive(Debug)]
struct Punching {
    started: Duration,
    /// Rounds that began.
    rounds: u32,
    /// Where it sends from the next round on.
    to: SocketAddr,
    /// Where it sends in this round, until it has.
    due: Option<SocketAddr>,
    /// The round in which it first heard the other.
    heard: Option<u32>,
}

impl LegacyPeer {
    pub(crate) fn new(local: SocketAddr, server: SocketAddr, lag: Duration) -> Self {
        assert!(lag < ROUND, "it sends within its rounds");
        Self { local, server, lag, mapped: None, punching: None }
    }

    pub(crate) fn register(&self, actions: &mut Actions) {
        actions.send(self.local, self.server, json!({"type": "register"}).to_string());
    }

    pub(crate) fn connect(&self, target: IpAddr, actions: &mut Actions) {
        let message = json!({"type": "connect", "target_ip": target.to_string()});
        actions.send(self.local, self.server, message.to_string());
    }

    /// Whether the server has told it of another peer.
    pub(crate) fn was_told(&self) -> bool {
        self.punching.is_some()
    }

    /// The round in which it first heard the other peer.
    pub(crate) fn heard_in_round(&self) -> Option<u32> {
        self.punching.as_ref()?.heard
    }

    pub(crate) fn on_datagram(
        &mut self,
        now: Duration,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        if from != self.server {
            if let Some(punching) = self.punching.as_mut().filter(|_| bytes == PUNCH) {
                punching.hear(now, from);
            }
            return;
        }
        let message: Value = serde_json::from_slice(bytes).expect("the server writes JSON");
        match message["type"].as_str().expect("every message has a type") {
            "your_addr" => self.mapped = Some(pair(&message["addr"])),
            "peer" => {
                self.punching = Some(Punching {
                    started: now,
                    rounds: 0,
                    to: pair(&message["peer"]),
                    due: None,
                    heard: None,
                });
                self.on_timer(now, actions);
            }
            "error" => {}
            other => panic!("a legacy peer got {other}"),
        }
    }

    /// The start of a round, or the time in it to send.
    pub(crate) fn on_timer(&mut self, now: Duration, actions: &mut Actions) {
        let Some(punching) = &mut self.punching else { return };
        if punching.due.is_none() {
            punching.due = Some(punching.to);
            punching.rounds += 1;
        }
        let round = punching.started + ROUND * (punching.rounds - 1);
        if now < round + self.lag {
            actions.wake_at(round + self.lag);
        } else if let Some(to) = punching.due.take() {
            actions.send(self.local, to, PUNCH);
            actions.wake_at(round + ROUND);
        }
    }
}

impl Punching {
    fn hear(&mut self, now: Duration, from: SocketAddr) {
        self.to = from;
        let rounds_before = now.saturating_sub(self.started).as_micros() / ROUND.as_micros();
        self.heard.get_or_insert(u32::try_from(rounds_before).expect("few") + 1);
    }
}

/// An address as the protocol writes it.
fn pair(value: &Value) -> SocketAddr {
    let ip = value[0].as_str().and_then(|text| text.parse().ok());
    let port = value[1].as_u64().and_then(|port| u16::try_from(port).ok());
    SocketAddr::new(ip.expect("an address"), port.expect("a port"))
}
