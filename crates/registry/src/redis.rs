//! The registry in Redis: any number of trackers over one.
//!
//! `endpoint` knows where Redis is. `link` holds the `connection`, to one server or by `cluster` to many, which a `keeper` looks
//! after, with `lanes` for each thread's own; `scripts` has what must not be torn apart. `store` is the registry: `addresses`,
//! `holders` and `listing` answer by what `read` and `online` find out, `write` and `reports` change, `sweep` clears up behind, `recount` sets
//! the counts right, `spread` does on a Cluster in steps what is one script else, and `original` takes over the original's data.
//! The keys are those of `peer_core::keys`.
//!
//! What is asked for again and again is remembered for a moment, in tables of a fixed size: `recent` who was heard or is no
//! peer, `presence` who lives and where, `hidden` who reported what, `hot` the peers of a file (`drawn`). A change that comes through
//! this process counts in them at once; one that comes through another within a second (400 ms for `hot`, ten seconds for what
//! `presence` knows of peers without an id).

mod addresses;
mod batch;
mod channel;
mod clock;
mod cluster;
mod connection;
mod drawn;
mod endpoint;
mod hidden;
mod holders;
mod hot;
mod keeper;
mod lanes;
mod leave;
mod link;
mod listing;
mod nodes;
mod online;
mod original;
mod presence;
mod publish;
mod read;
mod recent;
mod recount;
mod reports;
mod scripts;
mod spread;
mod store;
mod sweep;
mod ttl;
mod write;

pub use channel::NodeMessages;
pub use nodes::NodesConnection;
pub use store::RedisRegistry;
