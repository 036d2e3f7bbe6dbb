//! The machine of the client and the real engine of the server in a simulated world of NATs, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod desk;
mod keepalive;
mod legacy;
mod lines;
mod matrix;
mod peer;
mod places;
mod server;
mod words;
mod world;
