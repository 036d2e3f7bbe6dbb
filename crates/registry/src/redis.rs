//! The registry in Redis: any number of trackers over one.
//!
//! `link` holds the connection, `commands` says which commands travel together, `scripts` what must not be torn
//! apart, `store` is the registry, `sweep` clears up behind it and `import` takes over the original's data. The
//! keys are those of `peer_core::keys`.

mod commands;
mod import;
mod link;
mod scripts;
mod store;
mod sweep;
mod ttl;

pub use store::RedisRegistry;
