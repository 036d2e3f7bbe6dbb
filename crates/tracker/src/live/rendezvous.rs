//! What the matchmaker has to tell, asked of its admin listener.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::exposition::figures;

/// How long the matchmaker has for its answer: less than a sample lasts.
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest answer that is read, in bytes: ten times what it has.
const ANSWER_MAX_BYTES: u64 = 256 << 10;

/// Where the matchmaker's admin listener is; `None` where it is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MatchmakerAdmin(pub(crate) Option<SocketAddr>);

impl FromStr for MatchmakerAdmin {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self(None)),
            _ => text
                .parse()
                .map(|addr| Self(Some(addr)))
                .map_err(|_| "ADDRESS:PORT such as 127.0.0.1:8002, or off"),
        }
    }
}

/// What became of the peers that wanted to meet, between two samples.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Meetings {
    /// Peers that are registered now: legacy ones, and those of version 2.
    legacy_peers: u64,
    v2_peers: u64,
    /// Those of version 2 by kind of NAT.
    nats: BTreeMap<String, u64>,
    /// Datagrams received and sent.
    received: u64,
    sent: u64,
    /// Connects that asked for a peer.
    tried: u64,
    /// Those whose two sides were told of each other.
    introduced: u64,
    /// Pairs that said that they reached each other.
    reached: u64,
    /// Pairs that said that they did not.
    failed: u64,
}

/// The matchmaker as it was at the sample before.
pub(super) struct Rendezvous {
    admin: MatchmakerAdmin,
    before: Option<Meetings>,
}

impl Rendezvous {
    pub(super) fn new(admin: MatchmakerAdmin) -> Self {
        Self { admin, before: None }
    }

    /// What happened since it was asked before; `None` where nobody answers.
    pub(super) async fn ask(&mut self) -> Option<Meetings> {
        let answer = tokio::time::timeout(ASK_TIMEOUT, fetch(self.admin.0?)).await;
        let now = answer.ok().and_then(Result::ok).and_then(|text| read(&text));
        // One that was away may have begun anew; its first answer is where counting starts.
        let before = self.before.take();
        let now = now?;
        let grown = now.since(before.as_ref().unwrap_or(&now));
        self.before = Some(now);
        Some(grown)
    }
}

impl Meetings {
    /// Counts since `before`. One that shrank was begun anew by a restart.
    fn since(&self, before: &Self) -> Self {
        let grown = |now: u64, before: u64| now.checked_sub(before).unwrap_or(now);
        Self {
            legacy_peers: self.legacy_peers,
            v2_peers: self.v2_peers,
            nats: self.nats.clone(),
            received: grown(self.received, before.received),
            sent: grown(self.sent, before.sent),
            tried: grown(self.tried, before.tried),
            introduced: grown(self.introduced, before.introduced),
            reached: grown(self.reached, before.reached),
            failed: grown(self.failed, before.failed),
        }
    }
}

/// The body of `/metrics`. HTTP/1.0, since its answer ends where the connection does.
async fn fetch(addr: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {addr}\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX_BYTES).read_to_string(&mut answer).await?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(body.to_owned()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// `None` where these are not the metrics of a matchmaker.
fn read(text: &str) -> Option<Meetings> {
    let mut meetings = Meetings::default();
    let mut is_matchmaker = false;
    for figure in figures(text) {
        let value = figure.value;
        match figure.name {
            "matchmaker_registrations" => meetings.legacy_peers = value,
            "matchmaker_v2_registrations" => meetings.v2_peers = value,
            "matchmaker_v2_nats" => _ = meetings.nats.insert(figure.label.to_owned(), value),
            "matchmaker_sent_total" => meetings.sent = value,
            "matchmaker_datagrams_total" => {
                is_matchmaker = true;
                meetings.count(figure.label, value);
            }
            _ => {}
        }
    }
    is_matchmaker.then_some(meetings)
}

impl Meetings {
    fn count(&mut self, outcome: &str, value: u64) {
        let more = |count: &mut u64| *count = count.saturating_add(value);
        more(&mut self.received);
        match outcome {
            "matched" | "v2_matched" => {
                more(&mut self.tried);
                more(&mut self.introduced);
            }
            "not_found" | "v2_not_found" | "v2_ambiguous" | "v2_unpunchable" => more(&mut self.tried),
            "v2_reached_lan" | "v2_reached_mapped" | "v2_reached_observed" => more(&mut self.reached),
            "v2_not_reached" => more(&mut self.failed),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    const SAID: &str = "matchmaker_datagrams_total{outcome=\"matched\"} 3\n\
                        matchmaker_datagrams_total{outcome=\"v2_matched\"} 4\n\
                        matchmaker_datagrams_total{outcome=\"not_found\"} 2\n\
                        matchmaker_datagrams_total{outcome=\"v2_reached_lan\"} 1\n\
                        matchmaker_datagrams_total{outcome=\"v2_not_reached\"} 5\n\
                        matchmaker_sent_total 20\nmatchmaker_registrations 7\n\
                        matchmaker_v2_registrations 2\nmatchmaker_v2_nats{kind=\"easy\"} 2\n";

    #[test]
    fn connects_tried_and_met_are_read_of_both_versions() {
        let said = read(SAID).unwrap();
        assert_eq!((said.received, said.sent, said.legacy_peers, said.v2_peers), (15, 20, 7, 2));
        assert_eq!((said.tried, said.introduced, said.reached, said.failed), (9, 7, 1, 5));
        assert_eq!(said.nats, [("easy".to_owned(), 2)].into());
        assert_eq!(read("tracker_requests_total{route=\"/\"} 1\n"), None);
    }

    #[test]
    fn a_matchmaker_that_began_anew_is_not_counted_below_zero() {
        let before = read(SAID).unwrap();
        let mut now = read(SAID).unwrap();
        (now.tried, now.sent) = (12, 4);
        let grown = now.since(&before);
        assert_eq!((grown.tried, grown.sent, grown.reached, grown.v2_peers), (3, 4, 0, 2));
    }

    #[test]
    fn the_setting_is_an_address_or_off() {
        assert_eq!("off".parse(), Ok(MatchmakerAdmin(None)));
        assert_eq!("[::1]:8002".parse(), Ok(MatchmakerAdmin("[::1]:8002".parse().ok())));
        for bad in ["", "on", "localhost:8002", "127.0.0.1"] {
            assert!(bad.parse::<MatchmakerAdmin>().is_err(), "{bad:?}");
        }
    }
}
