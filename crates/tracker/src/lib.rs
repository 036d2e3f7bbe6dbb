//! The tracker: which peer has which file, over HTTP.
//!
//! A request travels one way: `server` (sockets, limits) -> `call` (whose request is it, with what parameters)
//! -> `legacy` (the routes) -> the registry -> JSON. Whatever goes wrong on the way becomes an `ApiError`, which is
//! the one place that knows of status codes.

mod call;
mod caller;
mod error;
mod legacy;
mod metrics;
mod params;
mod proxies;
mod server;
mod settings;
mod tracker;

pub use settings::TrackerSettings;
pub use tracker::Tracker;
