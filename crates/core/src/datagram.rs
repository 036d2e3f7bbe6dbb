//! The legacy datagrams: one JSON object each way, as the original server speaks them.

mod reply;
mod request;

pub use reply::Reply;
pub use request::{Malformed, Request};
