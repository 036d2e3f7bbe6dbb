//! NATs, links and hosts in virtual time, for tests of programs that do no I/O themselves.
//!
//! A [`Simulation`] is a wide area network, routers of the kinds of [`RouterKind`], and hosts that each run a [`Node`].
//! Nothing waits: time jumps from event to event, so that hours of keepalives and thousands of pairs pass in seconds.
//! All chance comes from one seed, and a run with the same seed and the same calls is the same run.
//!
//! The routers do what Linux routers with the fitting nftables rules were seen to do: the laboratory of network
//! namespaces in `tests/` has the same kinds, and [`expected`] holds what both must show.

mod behaviour;
pub mod expected;
mod flow;
mod link;
mod network;
mod node;
mod router;
mod schedule;
mod simulation;

#[cfg(test)]
mod router_tests;
#[cfg(test)]
mod simulation_tests;

pub use behaviour::{Behaviour, Filtering, Mapping, RouterKind, Strays};
pub use link::Link;
pub use network::Attach;
pub use node::{Actions, Node};
pub use simulation::{Counts, HostId, RouterId, Simulation};
