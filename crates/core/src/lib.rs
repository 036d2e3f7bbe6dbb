//! The model that every other crate speaks: peers and their addresses, file names, content hashes, limits,
//! Redis keys and the codecs of what comes in a datagram.
//!
//! Pure by rule: no I/O, no clock and no randomness in here. Whatever comes from outside becomes one of these
//! types or an [`Invalid`] that says what is allowed; past this point nobody validates again.

mod address_text;
mod content_hash;
pub mod datagram;
mod file_name;
mod invalid;
pub mod keys;
pub mod limits;
mod network;
mod node_id;
mod owner;
mod peer;
mod peer_id;
pub mod stun;

pub use content_hash::ContentHash;
pub use file_name::FileName;
pub use invalid::Invalid;
pub use network::Network;
pub use node_id::NodeId;
pub use owner::Owner;
pub use peer::Peer;
pub use peer_id::{PeerId, PeerSignature};
