//! What every store promises, asked of each through the trait; and what each promises beyond.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot get its own parts has failed"
)]

mod bounds;
mod durability;
mod failover;
mod holders;
mod model;
mod moving;
mod opener;
mod owners;
mod promises;
mod redis_cluster;
mod redis_only;
mod redis_sentinel;
mod redis_shared;
mod reports;
mod store;
mod takeover;
