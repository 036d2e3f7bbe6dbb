//! A tracker under test, with a method for each endpoint.

use std::net::{IpAddr, SocketAddr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::binary::Binary;
use crate::deadline::{PATIENCE, eventually};
use crate::http::{Answer, Connection, Request};
use crate::metrics::Admin;
use crate::process::{Launch, Process};
use crate::redis::RedisServer;

/// What a query value may hold as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The header by which a test says who is calling. Loopback is a trusted proxy by default.
pub const CALLER: &str = "X-Forwarded-For";

/// Writes any text so that it can stand in a query.
pub fn escape(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A running tracker and, for that store, the Redis behind it.
#[derive(Debug)]
pub struct Tracker {
    /// The program.
    pub process: Process,
    /// Its Redis, where it has one.
    pub redis: Option<RedisServer>,
    address: SocketAddr,
}

/// Runs `test` with a new tracker on the embedded store, and then with a new one on Redis.
pub fn on_both_stores(test: impl Fn(&Tracker)) {
    on_both_stores_with(|launch| launch, test);
}

/// As [`on_both_stores`], with changed settings.
#[expect(clippy::print_stderr, reason = "the message of a failing test should say on which store it fails")]
pub fn on_both_stores_with(settings: impl Fn(Launch) -> Launch, test: impl Fn(&Tracker)) {
    for start in [Tracker::embedded as fn(&Launch) -> Tracker, Tracker::on_redis] {
        let mut tracker = start(&settings(Launch::new(Binary::Tracker)));
        eprintln!("store: {}", if tracker.redis.is_some() { "redis" } else { "embedded" });
        test(&tracker);
        tracker.process.assert_sound();
    }
}

impl Tracker {
    /// On the embedded store, with these settings.
    pub fn embedded(launch: &Launch) -> Self {
        Self::over(launch.start(), None).when_ready()
    }

    /// On a Redis of its own, with these settings.
    pub fn on_redis(launch: &Launch) -> Self {
        let redis = RedisServer::start_new();
        let process = launch.clone().set("REDIS_URL", &redis.url()).start();
        Self::over(process, Some(redis)).when_ready()
    }

    /// On a Redis that belongs to somebody else.
    pub fn sharing(redis: &RedisServer) -> Self {
        let launch = Launch::new(Binary::Tracker).set("REDIS_URL", &redis.url());
        Self::over(launch.start(), None).when_ready()
    }

    /// On the embedded store, with no setting changed.
    pub fn plain() -> Self {
        Self::embedded(&Launch::new(Binary::Tracker))
    }

    /// A process that runs already: a tracker, or a standalone.
    pub fn over(process: Process, redis: Option<RedisServer>) -> Self {
        let address = process.address("tracker");
        Self { process, redis, address }
    }

    /// This one, as soon as it says that it is ready. Before that its answer to most requests is 503.
    #[must_use]
    pub fn when_ready(self) -> Self {
        eventually(PATIENCE, "/ready is green", || (self.admin().ready() == 200).then_some(()));
        self
    }

    /// The first address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its admin listener.
    pub fn admin(&self) -> Admin {
        Admin::at(self.process.address("tracker-admin"))
    }

    /// Any request, over a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answer {
        Connection::open(self.address)
            .and_then(|mut connection| connection.exchange(request))
            .unwrap_or_else(|error| panic!("{error} for {request:?}\n{}", self.process.said()))
    }

    /// Any request, from this address of ours.
    #[track_caller]
    pub fn send_from(&self, source: IpAddr, request: &Request) -> Answer {
        Connection::open_from(source, self.address)
            .and_then(|mut connection| connection.exchange(request))
            .unwrap_or_else(|error| panic!("{error} for {request:?}\n{}", self.process.said()))
    }

    /// `GET` of any target.
    #[track_caller]
    pub fn get(&self, target: impl AsRef<[u8]>) -> Answer {
        self.send(&Request::get(target))
    }

    /// `POST` to any target.
    #[track_caller]
    pub fn post(&self, target: impl AsRef<[u8]>) -> Answer {
        self.send(&Request::post(target))
    }

    /// `POST /add` by `caller`, which has to succeed.
    #[track_caller]
    pub fn add(&self, caller: &str, filename: &str, hash: &str) {
        let target = format!("/add?filename={}&hash={}", escape(filename), escape(hash));
        self.send(&Request::post(target).header(CALLER, caller)).assert_is(200, &json!({"status": "ok"}));
    }

    /// `POST /remove` of the caller's own mapping, which has to succeed.
    #[track_caller]
    pub fn remove(&self, caller: &str, filename: &str) {
        let target = format!("/remove?ip={}&filename={}", escape(caller), escape(filename));
        self.send(&Request::post(target).header(CALLER, caller)).assert_is(200, &json!({"status": "ok"}));
    }

    /// `POST /peer_offline` of the caller itself, which has to succeed.
    #[track_caller]
    pub fn peer_offline(&self, caller: &str) {
        let target = format!("/peer_offline?ip={}", escape(caller));
        self.send(&Request::post(target).header(CALLER, caller))
            .assert_is(200, &json!({"status": "removed"}));
    }

    /// The peers of `GET /peers`, in order of text. Checks the rest of the answer.
    #[track_caller]
    pub fn peers(&self, filename: &str) -> Vec<String> {
        let body = self.get(format!("/peers?filename={}", escape(filename))).json();
        let mut peers = texts(&body["peers"]);
        assert_eq!(body, json!({"filename": filename, "peers": peers}));
        peers.sort();
        peers
    }

    /// `GET /all_trackers` with this query: the names, and the cursor of the next page.
    #[track_caller]
    pub fn all_trackers(&self, query: &str) -> (Vec<String>, Option<String>) {
        let answer = self.get(format!("/all_trackers{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let (files, next) = (texts(&body["files"]), body["next"].as_str().map(str::to_owned));
        assert_eq!(body, json!({"files": files, "next": next}));
        (files, next)
    }

    /// All names of `GET /all_trackers`, page after page of `limit` names.
    #[track_caller]
    pub fn all_names(&self, limit: usize) -> Vec<String> {
        let (mut names, mut next) = self.all_trackers(&format!("?limit={limit}"));
        while let Some(cursor) = next {
            let (page, after) = self.all_trackers(&format!("?limit={limit}&cursor={}", escape(&cursor)));
            names.extend(page);
            next = after;
        }
        names
    }
}

/// A list of strings. Panics on anything else.
#[track_caller]
fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    items.iter().map(|item| item.as_str().expect("a text").to_owned()).collect()
}
