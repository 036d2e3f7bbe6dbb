//! What is assumed of peers, of machines and of prices.

use clap::Args;
use serde::Serialize;

/// Assumptions, each a switch. None of them is measured.
#[derive(Debug, Clone, PartialEq, Args, Serialize)]
pub(crate) struct Assumptions {
    /// Files that a peer has
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    pub files_per_peer: f64,
    /// How often a peer comes in a day, and publishes all of its files
    #[arg(long, default_value_t = 4.0, value_parser = positive)]
    pub sessions_per_day: f64,
    /// Lookups (`GET /peers`) of a peer in an hour
    #[arg(long, default_value_t = 60.0, value_parser = positive)]
    pub lookups_per_hour: f64,
    /// Connects of a peer in an hour, each for another peer at random
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub connects_per_hour: f64,
    /// Seconds between two keepalives of a peer; the server asks for 20
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    pub keepalive_secs: f64,
    /// Ways in which a peer is heard: its address, and its id in one family of addresses
    #[arg(long, default_value_t = 2.0, value_parser = positive)]
    pub homes_per_peer: f64,
    /// Peak of a day over its mean, for all of the above but keepalives
    #[arg(long, default_value_t = 2.0, value_parser = at_least_one)]
    pub peak: f64,
    /// Bytes of a request over HTTP with its part of TCP and TLS
    #[arg(long, default_value_t = 700.0, value_parser = positive)]
    pub request_bytes: f64,
    /// Bytes of an answer over HTTP, likewise
    #[arg(long, default_value_t = 1_200.0, value_parser = positive)]
    pub answer_bytes: f64,
    /// Share of its CPU time that a process may take at the peak
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub utilisation: f64,
    /// Cores of a machine for trackers or a matchmaker
    #[arg(long, default_value_t = 4.0, value_parser = at_least_one)]
    pub cores_per_node: f64,
    /// Memory of such a machine in GiB
    #[arg(long, default_value_t = 8.0, value_parser = positive)]
    pub gib_per_node: f64,
    /// Cores for a Redis: one for commands, one for its disk
    #[arg(long, default_value_t = 2.0, value_parser = at_least_one)]
    pub cores_per_redis: f64,
    /// Memory for a Redis in GiB
    #[arg(long, default_value_t = 16.0, value_parser = positive)]
    pub gib_per_redis: f64,
    /// Share of that memory which its data may take: a save may need as much again
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub redis_fill: f64,
    /// Replicas of each Redis
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub replicas: f64,
    /// Trackers and matchmakers more than are needed, so that one of each may be away
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub spare_nodes: f64,
    /// Price of a core for a month, in USD
    #[arg(long, default_value_t = 15.0, value_parser = not_negative)]
    pub price_core: f64,
    /// Price of a GiB of memory for a month, in USD
    #[arg(long, default_value_t = 2.0, value_parser = not_negative)]
    pub price_gib: f64,
    /// Price of a GB that is sent to peers, in USD
    #[arg(long, default_value_t = 0.01, value_parser = not_negative)]
    pub price_egress_gb: f64,
}

impl Assumptions {
    /// Each with its switch, value and unit.
    pub(crate) fn table(&self) -> Vec<(&'static str, f64, &'static str)> {
        vec![
            ("--files-per-peer", self.files_per_peer, "files of a peer"),
            (
                "--sessions-per-day",
                self.sessions_per_day,
                "times a day that a peer comes, and publishes all of them",
            ),
            ("--lookups-per-hour", self.lookups_per_hour, "`GET /peers` of a peer in an hour"),
            (
                "--connects-per-hour",
                self.connects_per_hour,
                "connects of a peer in an hour, for others at random",
            ),
            ("--keepalive-secs", self.keepalive_secs, "s between two keepalives of a peer"),
            ("--homes-per-peer", self.homes_per_peer, "ways in which a peer is heard: by address and by id"),
            ("--peak", self.peak, "times the mean of a day, for all of the above but keepalives"),
            ("--request-bytes", self.request_bytes, "bytes of a request over HTTP, TCP and TLS"),
            ("--answer-bytes", self.answer_bytes, "bytes of an answer, likewise"),
            ("--utilisation", self.utilisation, "of its cores that a process may take at the peak"),
            ("--cores-per-node", self.cores_per_node, "cores of a machine for trackers or a matchmaker"),
            ("--gib-per-node", self.gib_per_node, "GiB of memory of it"),
            ("--cores-per-redis", self.cores_per_redis, "cores for a Redis, of which one runs commands"),
            ("--gib-per-redis", self.gib_per_redis, "GiB of memory for a Redis"),
            ("--redis-fill", self.redis_fill, "of that memory for data"),
            ("--replicas", self.replicas, "replicas of each Redis"),
            ("--spare-nodes", self.spare_nodes, "trackers and matchmakers more than are needed"),
            ("--price-core", self.price_core, "USD for a core and month"),
            ("--price-gib", self.price_gib, "USD for a GiB of memory and month"),
            ("--price-egress-gb", self.price_egress_gb, "USD for a GB sent to peers"),
        ]
    }
}

fn number(text: &str, allowed: fn(f64) -> bool, what: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("{text:?} is not a number"))?;
    if number.is_finite() && allowed(number) { Ok(number) } else { Err(format!("must be {what}")) }
}

fn positive(text: &str) -> Result<f64, String> {
    number(text, |number| number > 0.0, "more than 0")
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text, |number| number >= 0.0, "0 or more")
}

fn at_least_one(text: &str) -> Result<f64, String> {
    number(text, |number| number >= 1.0, "1 or more")
}

fn share(text: &str) -> Result<f64, String> {
    number(text, |number| number > 0.0 && number <= 1.0, "more than 0, and at most 1")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use std::collections::BTreeSet;

    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        assumptions: Assumptions,
    }

    #[test]
    fn every_switch_is_in_the_table_with_its_value() {
        let assumptions = Cli::parse_from(["bench"]).assumptions;
        let command = Cli::command();
        let switches: BTreeSet<String> =
            command.get_opts().map(|switch| format!("--{}", switch.get_long().unwrap())).collect();
        let named: BTreeSet<String> =
            assumptions.table().iter().map(|(name, ..)| (*name).to_owned()).collect();
        assert_eq!(named, switches);
        let json = serde_json::to_value(&assumptions).unwrap();
        for (name, value, _) in assumptions.table() {
            let field = name.trim_start_matches('-').replace('-', "_");
            assert_eq!(json.get(&field).and_then(serde_json::Value::as_f64), Some(value), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (switch, value) in [
            ("--files-per-peer", "0"),
            ("--utilisation", "1.1"),
            ("--utilisation", "0"),
            ("--peak", "0.9"),
            ("--price-core", "-1"),
            ("--keepalive-secs", "inf"),
            ("--homes-per-peer", "many"),
        ] {
            let parsed = Cli::try_parse_from(["bench", &format!("{switch}={value}")]);
            assert!(parsed.is_err(), "{switch} {value}");
        }
    }
}
