//! The matchmaker: NAT hole punching by a JSON rendezvous over UDP.
//!
//! A datagram travels one way: `socket` (a batch from the kernel) -> `engine` (what it asks, who is registered in
//! `registrations`, what to answer into `outbox`) -> `socket` (out to the kernel). The engine does no I/O and has
//! no clock, so that hours can be tested in milliseconds.

mod engine;
mod matchmaker;
mod metrics;
mod outbox;
mod registrations;
mod settings;
mod socket;

pub use engine::{Arrival, Engine, Outcome};
pub use matchmaker::Matchmaker;
pub use outbox::{Outbox, Outgoing};
pub use settings::MatchmakerSettings;
