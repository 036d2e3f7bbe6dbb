//! `bench plan`: what serves ten thousand to a billion peers.

mod assumptions;
mod measured;
mod model;
mod page;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use peer_core::PeerId;
use peer_core::datagram::v2::{
    Connect, Introduction, LanAddrs, NatKind, PairId, PunchKey, Register, Reply, Request, Status, Target,
    Tid, Token, YourAddr,
};
use serde::Serialize;

use assumptions::Assumptions;
use measured::Measured;
use model::{DatagramBytes, Plan};

const EXAMPLES: &str = "\
Examples:
  bench plan
  bench plan --peers 250000 --files-per-peer 200 --price-egress-gb 0.05
  bench plan --json
  bench plan --write docs/PLAN.md";

/// Plan nodes, memory, bandwidth and cost for a number of peers
///
/// A model by sums: its costs come from the reports in docs/benchmarks, everything else is an assumption, and each of those
/// is a switch. Prices are examples; give your own.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// Peers that are there at a time, several separated by commas
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000,10000000,100000000,1000000000",
          value_parser = clap::value_parser!(u64).range(1..=100_000_000_000))]
    peers: Vec<u64>,
    #[command(flatten)]
    assumptions: Assumptions,
    /// Print all figures as JSON
    #[arg(long)]
    json: bool,
    /// Write the page to this file, and plan.svg beside it
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    write: Option<PathBuf>,
}

/// All that there is to say.
#[derive(Debug, Serialize)]
struct Planned {
    plans: Vec<Plan>,
    assumptions: Assumptions,
    measured: Measured,
    datagrams: DatagramBytes,
}

/// Plans, and prints or writes that.
pub(crate) fn run(args: &PlanArgs) -> anyhow::Result<()> {
    let planned = plan(args)?;
    match &args.write {
        Some(file) => page::write(&planned, file)?,
        None if args.json => println!("{}", serde_json::to_string_pretty(&planned)?),
        None => print!("{}", page::text(&planned)),
    }
    Ok(())
}

fn plan(args: &PlanArgs) -> anyhow::Result<Planned> {
    let (measured, datagrams) = (Measured::read()?, datagram_bytes()?);
    let peers = args.peers.iter().map(|peers| crate::figures::float(*peers));
    let plans = peers.map(|peers| Plan::of(peers, &args.assumptions, &measured, &datagrams)).collect();
    Ok(Planned { plans, assumptions: args.assumptions.clone(), measured, datagrams })
}

/// As a peer with an id at an IPv4 address says them.
fn datagram_bytes() -> anyhow::Result<DatagramBytes> {
    const HEADERS: u32 = 20 + 8;
    let tid: Tid = "0123456789abcdef".parse().ok().context("a tid")?;
    let (token, id) = (Token::from_bytes([7; 16]), PeerId::from_bytes([7; 32]));
    let addr = "203.0.113.10:41001".parse()?;
    let length = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        write(&mut bytes);
        f64::from(u32::try_from(bytes.len()).unwrap_or(u32::MAX) + HEADERS)
    };
    let register = Register { tid, token: Some(token), id: Some(id), sig: None, lan: LanAddrs::EMPTY };
    let status = Status::Ok { ttl_secs: 120, keepalive_secs: 20, alt_port: None };
    let your_addr = YourAddr { tid, addr, status, token };
    let connect = Connect { tid, token, target: Target::Id(id) };
    let introduction = Introduction {
        tid: Some(tid),
        pair: PairId::from_bits(u64::MAX),
        peer: addr,
        id: Some(id),
        lan: LanAddrs::EMPTY,
        nat: NatKind::ALL.first().copied().context("a kind of NAT")?,
        punch: true,
        start_ms: 100,
        interval_ms: 100,
        key: Some(PunchKey::from_bytes([7; 16])),
        cold: false,
    };
    Ok(DatagramBytes {
        keepalive: length(&|bytes| Request::Register(register).encode(bytes)),
        your_addr: length(&|bytes| Reply::YourAddr(your_addr).encode(bytes)),
        connect: length(&|bytes| Request::Connect(connect).encode(bytes)),
        introduction: length(&|bytes| Reply::Peer(introduction).encode(bytes)),
    })
}
