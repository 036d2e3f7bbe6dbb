//! The container's published ports, as a peer outside uses them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use black_box::container::Container;
use black_box::http::{Answer, Connection, Request};
use black_box::tracker::{CALLER, escape};
use black_box::udp::UdpPeer;
use serde_json::{Value, json};

/// How long one try of a register waits for its answer.
const REGISTER_TRY: Duration = Duration::from_millis(500);

/// Where a container is reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    pub(crate) tracker: SocketAddr,
    pub(crate) matchmaker: SocketAddr,
}

impl Endpoint {
    #[track_caller]
    pub(crate) fn of(container: &Container) -> Self {
        Self { tracker: container.published("8000/tcp"), matchmaker: container.published("12345/udp") }
    }

    pub(crate) fn try_send(&self, request: &Request) -> io::Result<Answer> {
        Connection::open(self.tracker)?.exchange(request)
    }

    #[track_caller]
    pub(crate) fn send(&self, request: &Request) -> Answer {
        self.try_send(request).unwrap_or_else(|error| panic!("{error} for {request:?}"))
    }

    #[track_caller]
    pub(crate) fn add(&self, caller: &str, filename: &str) {
        self.send(&add_request(caller, filename)).assert_is(200, &json!({"status": "ok"}));
    }

    /// The peers of a file, in order of text. None while the tracker does not answer, or says that it cannot.
    pub(crate) fn try_peers(&self, filename: &str) -> Option<Vec<String>> {
        let request = Request::get(format!("/peers?filename={}", escape(filename)));
        let answer = self.try_send(&request).ok().filter(|answer| answer.status == 200)?;
        Some(peers_of(&answer.json()))
    }

    /// Whether the matchmaker answers a register.
    pub(crate) fn registers(&self) -> bool {
        let peer = UdpPeer::at("127.0.0.1", self.matchmaker);
        peer.say(&json!({"type": "register"}));
        peer.receive_within(REGISTER_TRY).is_some()
    }
}

pub(crate) fn add_request(caller: &str, filename: &str) -> Request {
    Request::post(format!("/add?filename={}&hash=abc", escape(filename))).header(CALLER, caller)
}

/// The list `peers` of an answer, in order of text.
#[track_caller]
pub(crate) fn peers_of(body: &Value) -> Vec<String> {
    let list = body["peers"].as_array().unwrap_or_else(|| panic!("no peers: {body}"));
    let mut peers: Vec<String> = list.iter().map(|peer| peer.as_str().unwrap().to_owned()).collect();
    peers.sort();
    peers
}
