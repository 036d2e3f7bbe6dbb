//! What a peer of version 2 costs an engine in memory and time, beside a legacy one.

use std::net::SocketAddrV4;

use anyhow::Context as _;
use matchmaker::{Arrival, Engine, Outbox};
use serde::Serialize;

use super::fleet::{address, engine};
use crate::figures::{float, micros_each};
use crate::process::{cpu_time, resident_bytes};
use crate::udp::v2::V2Peer;

const PEERS: usize = 50_000;
/// From one peer that comes to the next: signatures are checked so often a second at most.
const JOIN_US: u64 = 1_000;
const PEERS_ROOM: u32 = 1_000_000;
/// Keepalives of each peer that are measured.
const ROUNDS: u64 = 5;
const KEEPALIVE_US: u64 = 20_000_000;
const LEGACY: &[u8] = br#"{"type":"register"}"#;

/// It, without the kernel's part.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct EngineCost {
    pub peers: usize,
    /// Memory of a registered peer with an id, in bytes.
    pub peer_bytes: f64,
    /// CPU time of a keepalive of version 2, in us.
    pub keepalive_us: f64,
    /// CPU time of a legacy register, in us.
    pub legacy_register_us: f64,
}

/// Measures this process itself.
pub(super) fn measure() -> anyhow::Result<EngineCost> {
    let this = std::process::id();
    let addr = |index: usize| SocketAddrV4::new(address(index), 40_000);
    let mut peers: Vec<V2Peer> = (0..PEERS).map(|index| V2Peer::new(addr(index))).collect();
    let (engine, mut out) = (engine(0, PEERS_ROOM), Outbox::default());
    let before = resident_bytes(this)?;
    let mut now_us = 1_000_000;
    for (index, peer) in peers.iter_mut().enumerate() {
        now_us += JOIN_US;
        for _ in 0..2 {
            let datagram = peer.register(false);
            hand_over(&engine, now_us, addr(index), &datagram, &mut out);
            let answer = out.get(0).context("no answer to a register")?;
            peer.check(answer.bytes).map_err(anyhow::Error::msg)?;
            out.clear();
            out.take_events().for_each(drop);
        }
    }
    let peer_bytes = float(resident_bytes(this)?.saturating_sub(before)) / float(PEERS as u64);
    let datagrams: Vec<Vec<u8>> = peers.iter_mut().map(|peer| peer.register(false)).collect();
    let mut timed = |legacy: bool| {
        let start = cpu_time(this)?;
        for _ in 0..ROUNDS {
            now_us += KEEPALIVE_US;
            for (index, datagram) in datagrams.iter().enumerate() {
                let datagram = if legacy { LEGACY } else { datagram };
                hand_over(&engine, now_us, addr(index), datagram, &mut out);
                out.clear();
                out.take_events().for_each(drop);
            }
        }
        micros_each(cpu_time(this)?.saturating_sub(start), ROUNDS * PEERS as u64).context("nothing was timed")
    };
    Ok(EngineCost { peers: PEERS, peer_bytes, keepalive_us: timed(false)?, legacy_register_us: timed(true)? })
}

fn hand_over(engine: &Engine, now_us: u64, from: SocketAddrV4, datagram: &[u8], out: &mut Outbox) {
    let arrival = Arrival { from: from.into(), socket: 0, local: None, local_port: super::fleet::PORT };
    engine.handle(now_us, arrival, datagram, out);
}
