//! Version 2 of the rendezvous: the same JSON objects with `"v":2` in them. docs/PROTOCOL.md is the contract.
//!
//! The server reads [`Request`]s and writes [`Reply`]s, neither of which allocates: every field has a fixed size. A client
//! writes requests and reads replies.

mod address_list;
mod fields;
mod reply;
mod reply_decode;
mod request;
mod request_decode;
mod signed;
mod words;
mod writer;

#[cfg(test)]
mod codec_tests;
#[cfg(test)]
mod snapshot_tests;

pub use address_list::{AddressList, LanAddrs, MoveTargets, is_lan};
pub use fields::{PairId, PunchKey, Tid, Token};
pub use reply::{Introduction, Reply, Status, YourAddr};
pub use reply_decode::NotAReply;
pub use request::{Connect, Register, Request, Target, Verdict};
pub use request_decode::Decoded;
pub use signed::SignedText;
pub use words::{ErrorCode, NatKind, Path};

/// What `v` says.
pub const VERSION: u8 = 2;
