//! The registry inside the process: in memory for reads, on disk for crashes.
//!
//! `table` knows who has what (with `peers`, `files` and `hashes` for its indexes), `journal` writes its changes in
//! groups from a thread of its own, `disk` is the engine below, and `store` is the registry over them. A request
//! never waits for the disk.

mod disk;
mod files;
mod hashes;
mod journal;
mod peers;
mod store;
mod table;

pub use store::EmbeddedRegistry;
