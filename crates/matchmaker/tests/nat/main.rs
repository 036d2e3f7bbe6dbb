//! The real engine and peers of the legacy contract in a simulated world of NATs, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod keepalive;
mod legacy_peer;
mod matrix;
mod server;
mod world;
