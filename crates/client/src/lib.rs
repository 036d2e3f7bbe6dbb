//! A peer of the rendezvous: it registers with the matchmaker, finds other peers and reaches them through NATs.
//!
//! The example `hello`, which is all of a program:
//!
//! ```no_run
#![doc = include_str!("../examples/hello.rs")]
//! ```
//!
//! [`Client`] is the whole of it for most programs. What it does with datagrams and times stands in [`machine`], which does
//! no I/O, so that hours behind NATs of every kind are tested in milliseconds. docs/PROTOCOL.md is the contract of both.

mod client;
mod config;
mod datagrams;
mod driver;
mod error;
mod identity;
mod lan;
pub mod machine;
mod path;
mod queue;
mod socket;
mod sockets;

pub use client::Client;
pub use config::Config;
pub use datagrams::{Datagrams, Received};
pub use error::{BindError, ConnectError, Refusal};
pub use identity::Identity;
pub use path::Path;
pub use peer_core::PeerId;
pub use peer_core::datagram::v2::{NatKind, Path as Via, Target};
