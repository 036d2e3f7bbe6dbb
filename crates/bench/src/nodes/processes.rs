//! The same scene twice: by real matchmakers over a real Redis, and by the simulation.

use std::collections::BTreeMap;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use peer_core::datagram::v2::Target;
use peer_core::limits::HOME_RENEW_MS;
use serde::Serialize;

use super::fleet::{Fleet, JOIN_FROM_US, Scene};
use crate::figures::float;
use crate::servers::{Legacy, Matchmaker, Redis};
use crate::udp::addresses::one_of_many;
use crate::udp::v2::V2Peer;

/// Room of each node.
pub(super) const ROOM: u32 = 1_000;
/// How long both are looked at: a walk of a node through all that it hears.
const WINDOW: Duration = Duration::from_millis(HOME_RENEW_MS);
const LINK_LIMIT: Duration = Duration::from_secs(20);
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// Commands of the nodes: all that the simulation counts.
const COMMANDS: [&str; 10] = [
    "evalsha",
    "get",
    "hmget",
    "pexpire",
    "publish",
    "time",
    "zadd",
    "zremrangebyscore",
    "zrevrange",
    "zrem",
];

/// What one of the two did.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seen {
    /// Calls by command.
    pub calls: BTreeMap<String, u64>,
    pub in_bytes: u64,
    pub out_bytes: u64,
    /// Connects of peers at different nodes of which both sides were told.
    pub matched: u64,
}

/// Both.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Comparison {
    pub nodes: usize,
    pub peers: usize,
    pub seconds: f64,
    pub real: Seen,
    pub simulated: Seen,
}

impl Comparison {
    /// The largest share by which a count differs, with its name.
    pub(crate) fn worst(&self) -> (String, f64) {
        let mut pairs = vec![
            ("bytes in".to_owned(), self.real.in_bytes, self.simulated.in_bytes),
            ("bytes out".to_owned(), self.real.out_bytes, self.simulated.out_bytes),
            ("matched".to_owned(), self.real.matched, self.simulated.matched),
        ];
        for name in COMMANDS {
            let of = |seen: &Seen| seen.calls.get(name).copied().unwrap_or_default();
            pairs.push((name.to_owned(), of(&self.real), of(&self.simulated)));
        }
        let apart = |real: u64, simulated: u64| float(real.abs_diff(simulated)) / float(real.max(1));
        let shares = pairs.into_iter().map(|(name, real, simulated)| (name, apart(real, simulated)));
        shares.max_by(|(_, first), (_, second)| first.total_cmp(second)).unwrap_or_default()
    }
}

/// Each peer asks for another, one at another node among several.
fn pairs(peers: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..peers).map(move |asker| (asker, (asker * 7 + 1) % peers)).filter(|(asker, target)| asker != target)
}

/// Runs both with so many nodes and peers.
pub(crate) async fn compare(nodes: usize, peers: usize) -> anyhow::Result<Comparison> {
    let started = Instant::now();
    let real = real(nodes, peers).await?;
    let simulated = simulated(nodes, peers)?;
    anyhow::ensure!(started.elapsed() > WINDOW, "no time has passed");
    Ok(Comparison { nodes, peers, seconds: WINDOW.as_secs_f64(), real, simulated })
}

fn simulated(nodes: usize, peers: usize) -> anyhow::Result<Seen> {
    let joining_us = 1_000_000;
    let scene = Scene { nodes, peers, connects_per_second: 0.0, room: ROOM, joining_us, seed: 1 };
    let mut fleet = Fleet::new(&scene);
    fleet.run_until(JOIN_FROM_US)?;
    let before = fleet.ledger.load.clone();
    fleet.run_until(JOIN_FROM_US + 2 * joining_us)?;
    for (asker, target) in pairs(peers) {
        fleet.connect_pair(asker, target)?;
    }
    let window_us = u64::try_from(WINDOW.as_micros())?;
    fleet.run_until(JOIN_FROM_US + window_us)?;
    let load = fleet.ledger.load.since(&before);
    Ok(Seen {
        calls: load.calls.iter().map(|(name, calls)| ((*name).to_owned(), *calls)).collect(),
        in_bytes: load.in_bytes,
        out_bytes: load.out_bytes,
        matched: fleet.matched,
    })
}

async fn real(nodes: usize, peers: usize) -> anyhow::Result<Seen> {
    let directory = tempfile::tempdir()?;
    let redis = Redis::start(directory.path()).await?;
    let mut servers = Vec::new();
    for _ in 0..nodes {
        servers.push(Matchmaker::start_on(Some(&redis), Legacy::Limited, ROOM).await?);
    }
    for server in &servers {
        await_figure(server, "matchmaker_node_others", nodes as u64 - 1).await?;
    }
    // What is asked for the figures is not to be among them: bytes last here, and first at the end.
    let (calls_before, wire_before) = (redis.calls().await?, redis.wire().await?);
    let end = tokio::time::Instant::now() + WINDOW;
    let mut speakers = Vec::new();
    for index in 0..peers {
        let server = servers.get(index % nodes).context("a server of ours")?.address;
        speakers.push(Speaker::join(u32::try_from(index)?, server)?);
    }
    let ids: Vec<_> = speakers.iter().map(|speaker| speaker.peer.id()).collect();
    // Not by asking Redis: that would be among what it sent.
    let deadline = Instant::now() + LINK_LIMIT;
    while sum(&servers, "matchmaker_node_presences_total").await? < 2 * peers as u64 {
        anyhow::ensure!(Instant::now() < deadline, "the presence of peers is not in Redis");
        tokio::time::sleep(POLL).await;
    }
    for (asker, target) in pairs(peers) {
        let (speaker, id) = (speakers.get_mut(asker), ids.get(target));
        let (Some(speaker), Some(id)) = (speaker, id) else { continue };
        let datagram = speaker.peer.connect(Target::Id(*id)).context("it has a token")?;
        speaker.socket.send(&datagram)?;
        // One after the other, as fast as peers are not.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep_until(end).await;
    let (wire, calls) = (redis.wire().await?, redis.calls().await?);
    let matched = sum(&servers, r#"matchmaker_node_outcomes_total{outcome="matched"}"#).await?;
    let since = |name: &str, calls: u64| calls - calls_before.get(name).copied().unwrap_or_default();
    let calls = calls.iter().map(|(name, calls)| (name.clone(), since(name, *calls)));
    Ok(Seen {
        calls: calls.filter(|(name, _)| COMMANDS.contains(&name.as_str())).collect(),
        in_bytes: wire.0 - wire_before.0,
        out_bytes: wire.1 - wire_before.1,
        matched,
    })
}

async fn sum(servers: &[Matchmaker], name: &str) -> anyhow::Result<u64> {
    let mut sum = 0;
    for server in servers {
        sum += server.figure(name).await?;
    }
    Ok(sum)
}

async fn await_figure(server: &Matchmaker, name: &str, wanted: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + LINK_LIMIT;
    while server.figure(name).await? != wanted {
        anyhow::ensure!(Instant::now() < deadline, "{name} is not {wanted}");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// A peer with a socket.
#[derive(Debug)]
struct Speaker {
    socket: UdpSocket,
    peer: V2Peer,
}

impl Speaker {
    fn join(number: u32, server: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind(SocketAddrV4::new(one_of_many(number), 0))?;
        socket.set_read_timeout(Some(ANSWER_LIMIT))?;
        socket.connect(server)?;
        let SocketAddr::V4(addr) = socket.local_addr()? else { anyhow::bail!("an IPv4 socket") };
        let mut peer = V2Peer::new(addr);
        let mut answer = [0; 1_500];
        for _ in 0..2 {
            socket.send(&peer.register(false))?;
            let length = socket.recv(&mut answer).context("no answer to a register")?;
            let answer = answer.get(..length).unwrap_or_default();
            peer.check(answer).map_err(anyhow::Error::msg)?;
        }
        Ok(Self { socket, peer })
    }
}
