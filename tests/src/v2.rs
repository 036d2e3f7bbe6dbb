//! A peer of version 2 of the rendezvous, written from docs/PROTOCOL.md and not from the server.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::signer::Signer;
use crate::udp::{UdpPeer, from_pair, pair};

/// Least size of a datagram that asks for a token, in bytes.
pub const PADDED_BYTES: usize = 192;

/// A peer with a key.
#[derive(Debug)]
pub struct V2Peer {
    /// What it speaks by.
    pub udp: UdpPeer,
    signer: Signer,
    lan: Value,
    token: Option<String>,
    seen: Option<SocketAddr>,
    tids: u32,
}

impl V2Peer {
    /// With the key of this number.
    pub fn new(udp: UdpPeer, number: u8) -> Self {
        Self { udp, signer: Signer::new(number), lan: json!([]), token: None, seen: None, tids: 0 }
    }

    /// With addresses in its local network.
    #[must_use]
    pub fn in_lan(mut self, lan: Value) -> Self {
        self.lan = lan;
        self
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.signer.id()
    }

    /// Where the server sees it.
    pub fn seen(&self) -> SocketAddr {
        self.seen.expect("it has spoken to the server")
    }

    /// The newest token.
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("it has spoken to the server")
    }

    /// Takes the token of another, as a thief would.
    pub fn steal(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Says something with a transaction id of its own, and gives that.
    #[track_caller]
    pub fn say(&mut self, mut message: Value) -> String {
        self.tids += 1;
        let tid = format!("t{}", self.tids);
        message["v"] = json!(2);
        message["tid"] = json!(tid);
        self.udp.say(&message);
        tid
    }

    /// Says something, and gives the answer to it.
    #[track_caller]
    pub fn ask(&mut self, message: Value) -> Value {
        let tid = self.say(message);
        let answer = self.udp.receive();
        assert_eq!((&answer["v"], &answer["tid"]), (&json!(2), &json!(tid)), "{answer}");
        answer
    }

    #[track_caller]
    fn hear_your_addr(&mut self, answer: &Value, status: &str) {
        assert_eq!((&answer["type"], &answer["status"]), (&json!("your_addr"), &json!(status)), "{answer}");
        self.token = Some(answer["token"].as_str().expect("a token").to_owned());
        self.seen = Some(from_pair(&answer["addr"]));
    }

    /// Asks for a token.
    #[track_caller]
    pub fn introduce(&mut self) {
        let answer = self.ask(json!({"type": "register", "pad": "0".repeat(PADDED_BYTES)}));
        self.hear_your_addr(&answer, "verify");
    }

    /// Registers with the token that it has, and a signature. Gives the answer.
    #[track_caller]
    pub fn register_signed(&mut self) -> Value {
        let answer = self.sign();
        assert_eq!(answer["status"], "ok", "{answer}");
        answer
    }

    /// The same, whether it is registered or is to sign again.
    #[track_caller]
    fn sign(&mut self) -> Value {
        let sig = self.signer.rendezvous(self.token(), self.seen());
        let register = json!({
            "type": "register", "token": self.token(), "id": self.id(), "sig": sig, "lan": self.lan,
        });
        let answer = self.ask(register);
        let status = answer["status"].as_str().unwrap_or_default().to_owned();
        self.hear_your_addr(&answer, &status);
        answer
    }

    /// The first two steps: it is registered afterwards. A token that is no younger than the one by which the id came to where it
    /// was, since both were made within a millisecond, is followed by another.
    #[track_caller]
    pub fn join(&mut self) {
        self.introduce();
        while self.sign()["status"] != "ok" {}
    }

    /// Registers again with what it has, and without a signature. Gives how that stands.
    #[track_caller]
    pub fn keep_alive(&mut self) -> Value {
        let register = json!({"type": "register", "token": self.token(), "id": self.id(), "lan": self.lan});
        let answer = self.ask(register);
        let status = answer["status"].as_str().unwrap_or_default().to_owned();
        self.hear_your_addr(&answer, &status);
        answer
    }

    /// Asks for a peer by some keys, and gives the answer.
    #[track_caller]
    pub fn connect(&mut self, mut target: Value) -> Value {
        target["type"] = json!("connect");
        target["token"] = json!(self.token());
        self.ask(target)
    }

    /// Says that it heard of a pair.
    #[track_caller]
    pub fn ack(&self, told: &Value) {
        self.udp.say(&json!({"type": "ack", "v": 2, "pair": told["pair"]}));
    }

    /// Asks a server's other port what kind of NAT it is behind. The answer comes from there.
    #[track_caller]
    pub fn probe(&mut self, alt: SocketAddr) -> String {
        let probe = json!({
            "type": "probe", "v": 2, "tid": "probe", "token": self.token(), "addr": pair(self.seen()),
            "pad": "0".repeat(PADDED_BYTES),
        });
        self.udp.socket().send_to(probe.to_string().as_bytes(), alt).expect("sent");
        let (answer, from) = self.udp.receive_within(Duration::from_secs(5)).expect("an answer");
        assert_eq!(from, alt);
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!((&answer["type"], &answer["tid"]), (&json!("nat"), &json!("probe")), "{answer}");
        answer["nat"].as_str().expect("a kind").to_owned()
    }
}
