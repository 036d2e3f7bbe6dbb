//! The datagrams of the matchmaker, one JSON object each: those that the original server speaks, and those of version 2.

mod reply;
mod request;
pub mod v2;

pub use reply::Reply;
pub use request::{Malformed, Request};
