//! The tracker: which peer has which file, over HTTP.
//!
//! A request travels one way: `server` (sockets; whose request is it, and may it come in) -> `call` or `v1::body` (what it
//! says, and who signed it) -> `legacy` or `v1` (the routes) -> the registry -> JSON. Whatever goes wrong on the way becomes an `ApiError`, which is
//! the one place that knows of status codes.

mod answered;
mod call;
mod caller;
mod error;
mod legacy;
mod listeners;
mod live;
mod metrics;
mod moving;
mod openapi;
mod operator;
mod pages;
mod params;
mod proxies;
mod rate;
mod resource;
mod server;
mod settings;
mod signature;
mod stats;
mod tracker;
mod v1;

pub use server::Hears;
pub use settings::TrackerSettings;
pub use tracker::{Move, Tracker};

/// A request makes dozens of small pieces of memory and drops them again, which takes the allocator of the system longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
