//! The harness of the black-box tests: real binaries, a real Redis, sockets on chosen addresses, and NATs in network
//! namespaces.
//!
//! Nothing here knows how the servers are made. A test starts the programs that a user would start, speaks the wire
//! formats to them, and looks at answers, exit codes and logs. Whatever a test starts ends with it: every handle stops
//! its process, its namespace or its directory when it is dropped, also when the test fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a harness reports what is wrong by failing the test"
)]

pub mod binary;
pub mod capture;
pub mod chaos;
pub mod cluster;
pub mod commands;
pub mod container;
pub mod deadline;
pub mod engine;
pub mod forger;
pub mod http;
pub mod lab;
pub mod metrics;
pub mod namespace;
pub mod nginx;
pub mod nodes;
pub mod ports;
pub mod process;
pub mod punching;
pub mod redis;
pub mod resp;
pub mod router;
pub mod sentinel;
pub mod signer;
pub mod skip;
pub mod tracker;
pub mod udp;
pub mod v2;
