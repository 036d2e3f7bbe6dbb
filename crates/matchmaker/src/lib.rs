//! The matchmaker: NAT hole punching by a JSON rendezvous over UDP, and STUN on the same port.
//!
//! A datagram travels one way: `socket` (a batch from the kernel) -> `engine` (what it asks, who is registered in
//! `registrations`, what to answer into `outbox`) -> `socket` (out to the kernel). The engine does no I/O and has
//! no clock, so that hours can be tested in milliseconds.

mod buckets;
mod endpoints;
mod engine;
mod limits;
mod matchmaker;
mod metrics;
mod nodes;
mod outbox;
mod outcome;
mod registrations;
mod settings;
mod shard;
mod socket;
mod stun;
mod v2;

#[cfg(test)]
mod flood_tests;
#[cfg(test)]
mod limits_tests;

pub use endpoints::Endpoints;
pub use engine::{Arrival, Engine};
pub use limits::{Legacy, LegacyLimits, Rate};
pub use matchmaker::Matchmaker;
pub use nodes::{NodeEvent, NodeOutcome, NodesSettings, PresenceCursor};
pub use outbox::{Outbox, Outgoing};
pub use outcome::Outcome;
pub use settings::MatchmakerSettings;
pub use stun::{BadPair, STUN_PAIRS_MAX, StunSettings};
pub use v2::{TokenKeys, V2Settings};
