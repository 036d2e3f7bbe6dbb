//! The plan: sums, no simulation. What a second at the peak of a day asks for, and what serves that.

use peer_core::limits::NODES_MAX;
use serde::Serialize;

use super::assumptions::Assumptions;
use super::measured::Measured;
use crate::figures::float;
use crate::nodes::expected::Expected;

const DAY_SECS: f64 = 86_400.0;
const HOUR_SECS: f64 = 3_600.0;
const MONTH_SECS: f64 = 30.0 * DAY_SECS;
const GIB: f64 = 1_073_741_824.0;
/// Memory of a tracker or a matchmaker that has nothing to remember, in bytes: above what each report has for an empty one.
const PROCESS_BYTES: f64 = 32.0 * 1_048_576.0;
/// Fewest masters of a Redis Cluster.
const CLUSTER_MIN: f64 = 3.0;
/// Servers that a Redis Cluster is made for (its specification, "goals").
const CLUSTER_MAX: f64 = 1_000.0;

/// Datagrams of version 2 with the headers of IPv4 and UDP, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct DatagramBytes {
    pub keepalive: f64,
    pub your_addr: f64,
    pub connect: f64,
    pub introduction: f64,
}

/// What comes in a second at the peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub lookups: f64,
    pub publishes: f64,
    pub keepalives: f64,
    pub connects: f64,
    /// Peers that nodes say to Redis.
    pub heard: f64,
    /// Nodes that say they are there.
    pub beats: f64,
    /// Messages between nodes.
    pub messages: f64,
}

/// What one number of peers takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Plan {
    pub peers: f64,
    pub rates: Rates,
    pub trackers: f64,
    pub matchmakers: f64,
    /// Masters of Redis.
    pub redis: f64,
    /// What decides how many.
    pub redis_by: &'static str,
    /// CPU time of Redis, all masters together, in cores that run commands.
    pub redis_cores: f64,
    /// Of it, what nodes say of the peers that they hear.
    pub presence_cores: f64,
    /// Of it, the beats, which one master bears alone.
    pub beats_cores: f64,
    /// Data in Redis without replicas, in GiB.
    pub redis_gib: f64,
    /// Memory in use by a matchmaker, in GiB.
    pub matchmaker_gib: f64,
    /// Cores of all machines.
    pub cores: f64,
    /// Memory of all machines, in GiB.
    pub gib: f64,
    /// What peers send to us at the peak, in Mbit/s.
    pub in_mbit: f64,
    /// What we send to peers at the peak, in Mbit/s.
    pub out_mbit: f64,
    /// What is sent to peers in a month, in GB.
    pub month_gb: f64,
    /// Price of a month, in USD.
    pub month_usd: f64,
    /// What stands in the way, if something does.
    pub beyond: Vec<&'static str>,
}

impl Plan {
    /// For so many peers that are there at a time.
    pub(crate) fn of(peers: f64, assumed: &Assumptions, measured: &Measured, bytes: &DatagramBytes) -> Self {
        let hourly = |count: f64| peers * count * assumed.peak / HOUR_SECS;
        let (lookups, connects) = (hourly(assumed.lookups_per_hour), hourly(assumed.connects_per_hour));
        let publishes = peers * assumed.files_per_peer * assumed.sessions_per_day * assumed.peak / DAY_SECS;
        let keepalives = peers / assumed.keepalive_secs;

        let tracker_us = lookups * measured.lookup_us + publishes * measured.publish_us;
        let trackers = nodes(tracker_us, 0.0, assumed);
        let matchmaker_us = keepalives * measured.keepalive_us + 2.0 * connects * measured.connect_us;
        let matchmakers = nodes(matchmaker_us, peers * measured.peer_bytes, assumed);

        let fleet = Expected::of(matchmakers, peers, assumed.homes_per_peer, connects);
        // A peer that comes is said to be heard once more.
        let arrivals = peers * assumed.homes_per_peer * assumed.sessions_per_day * assumed.peak / DAY_SECS;
        let heard = fleet.heard + arrivals;
        let presence_cores = heard * measured.heard_us / 1e6;
        let beats_cores = fleet.beats * measured.beat_us(matchmakers) / 1e6;
        let meeting_us = fleet.finds * measured.find_us + fleet.messages * measured.message_us;
        let tracking_us = lookups * measured.lookup_redis_us + publishes * measured.publish_redis_us;
        let redis_cores = presence_cores + beats_cores + (meeting_us + tracking_us) / 1e6;
        let redis_bytes = peers
            * (assumed.files_per_peer * measured.mapping_bytes
                + assumed.homes_per_peer * measured.home_bytes);
        let redis_gib = redis_bytes / GIB;
        let by_memory = redis_gib / (assumed.gib_per_redis * assumed.redis_fill);
        let by_cpu = redis_cores / assumed.utilisation;
        let redis = masters(by_memory.max(by_cpu));

        let per_node = assumed.cores_per_node;
        let with_replicas = redis * (1.0 + assumed.replicas);
        let cores = (trackers + matchmakers) * per_node + with_replicas * assumed.cores_per_redis;
        let gib = (trackers + matchmakers) * assumed.gib_per_node + with_replicas * assumed.gib_per_redis;
        let requests = lookups + publishes;
        let in_bytes =
            requests * assumed.request_bytes + keepalives * bytes.keepalive + connects * bytes.connect;
        let out = |requests: f64, connects: f64| {
            requests * assumed.answer_bytes
                + keepalives * bytes.your_addr
                + 2.0 * connects * bytes.introduction
        };
        let mean_out = out(requests / assumed.peak, connects / assumed.peak);
        let month_gb = mean_out * MONTH_SECS / 1e9;
        let month_usd =
            cores * assumed.price_core + gib * assumed.price_gib + month_gb * assumed.price_egress_gb;

        let mut beyond = Vec::new();
        if matchmakers > float(NODES_MAX as u64) {
            beyond.push("more matchmakers than meet each other (NODES_MAX)");
        }
        if beats_cores > assumed.utilisation {
            beyond.push("beats fill the one Redis that keeps the list of nodes");
        }
        if with_replicas > CLUSTER_MAX {
            beyond.push(
                "more servers than a Redis Cluster is made for (1,000): several fleets, each with its own",
            );
        }
        let rates = Rates {
            lookups,
            publishes,
            keepalives,
            connects,
            heard,
            beats: fleet.beats,
            messages: fleet.messages,
        };
        Self {
            peers,
            rates,
            trackers,
            matchmakers,
            redis,
            redis_by: if by_memory > by_cpu { "memory" } else { "CPU" },
            redis_cores,
            presence_cores,
            beats_cores,
            redis_gib,
            matchmaker_gib: (PROCESS_BYTES + peers * measured.peer_bytes / matchmakers) / GIB,
            cores,
            gib,
            in_mbit: in_bytes * 8.0 / 1e6,
            out_mbit: out(requests, connects) * 8.0 / 1e6,
            month_gb,
            month_usd,
            beyond,
        }
    }
}

/// Machines for so much CPU time a second, in us, and so much memory of all together, in bytes.
fn nodes(us: f64, bytes: f64, assumed: &Assumptions) -> f64 {
    let by_cpu = us / 1e6 / (assumed.cores_per_node * assumed.utilisation);
    let by_memory = bytes / (assumed.gib_per_node * GIB * assumed.utilisation - PROCESS_BYTES).max(1.0);
    by_cpu.max(by_memory).ceil().max(1.0) + assumed.spare_nodes
}

/// A Redis by itself, or a Cluster.
fn masters(needed: f64) -> f64 {
    if needed <= 1.0 { 1.0 } else { needed.ceil().max(CLUSTER_MIN) }
}
