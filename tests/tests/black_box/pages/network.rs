//! A small network that comes and goes, so that there is something to see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use black_box::http::{Connection, Request};
use black_box::process::Process;
use black_box::tracker::{CALLER, Tracker};
use black_box::udp::UdpPeer;
use serde_json::json;

/// Between two peers that come.
const PACE: Duration = Duration::from_millis(150);
const FILES: [&str; 6] = ["index.html", "style.css", "map.js", "about.html", "photo.webp", "feed.xml"];

/// Peers that publish, ask, and look for each other, until this is dropped.
pub(super) struct Network {
    ends: Arc<AtomicBool>,
    peers: Option<JoinHandle<()>>,
}

impl Network {
    pub(super) fn begin(matchmaker: &Process, tracker: &Tracker) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let (http, udp) = (tracker.address(), matchmaker.address("matchmaker"));
        let is_over = Arc::clone(&ends);
        let peers = thread::spawn(move || {
            let mut connection = Connection::open(http).expect("the tracker listens");
            let mut send = |request: &Request| connection.exchange(request).expect("an answer");
            for number in 0_u32.. {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let caller = format!("203.0.113.{}", 1 + number % 250);
                let file = |step: usize| {
                    let name = FILES[(number as usize + step) % FILES.len()];
                    json!({"filename": format!("garden.example/{name}"), "hash": "d41d8cd98f00b204e9800998ecf8427e", "size": 1_234})
                };
                let body = json!({"peer": {"port": 4001}, "files": [file(0), file(1), file(3)]});
                send(&Request::post("/v1/publish").header(CALLER, &caller).json(&body));
                let wave = number % 90;
                for _ in 0..fastrand::u32(0..3) + wave.min(90 - wave) / 4 {
                    send(
                        &Request::get("/v1/peers?filename=garden.example/index.html")
                            .header(CALLER, "198.51.100.9"),
                    );
                }
                if number % 11 == 0 {
                    send(&Request::get("/favicon.ico"));
                    send(&Request::get("/v1/peers"));
                }
                let peer = UdpPeer::at("127.0.0.1", udp);
                peer.register();
                for _ in 0..fastrand::u32(0..4) {
                    peer.connect(
                        fastrand::choice(["127.0.0.1", "127.0.0.1", "203.0.113.9"]).expect("a choice"),
                    );
                }
                thread::sleep(PACE);
            }
        });
        Self { ends, peers: Some(peers) }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        _ = self.peers.take().map(JoinHandle::join);
    }
}
