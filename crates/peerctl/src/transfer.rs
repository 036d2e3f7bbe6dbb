//! A site over QUIC (RFC 9000), from the peer that has it to one that wants it. docs/PEERCTL.md has what goes over the wire.

mod disk;
mod download;
mod manifest;
mod places;
mod server;
mod socket;
mod tls;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::{IdleTimeout, TransportConfig, VarInt};

pub use download::{Fetched, fetch, manifest};
pub use manifest::{BadManifest, Manifest, RemoteFile};
pub use server::{Shelf, Visit};
pub use socket::endpoint;
pub use tls::{ServerPin, client_config, presented_id, server_config};
pub use wire::{DONE, Reset};

/// After how much silence a connection is lost, in milliseconds: longer than a change of network or a router that starts anew
/// takes, and no longer than somebody waits without doubt.
const IDLE_TIMEOUT_MS: u32 = 15_000;
/// How often a connection without traffic shows a sign of life, in seconds: two may be lost before it counts as silent, and a
/// NAT remembers it for longer (30 s after one exchange on Linux).
const KEEP_ALIVE_SECS: u64 = 4;
/// How long a stream may stand still, while its connection lives, before it is given up.
const STALL: Duration = Duration::from_secs(30);
/// How many files a peer may ask for at once on a connection.
const STREAMS_MAX: u32 = 32;
/// What may be under way of one file, in bytes: 100 Mbit/s over a round trip of 300 ms.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// What may be under way on a connection, in bytes.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// What both sides of a connection agree on.
fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        // Cubic takes every loss for a queue that is full: on a line that loses a twentieth it comes to a crawl, where BBR keeps
        // its speed (docs/benchmarks/2026-11-26-transfer.md).
        .congestion_controller_factory(Arc::new(BbrConfig::default()))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))))
        .keep_alive_interval(Some(Duration::from_secs(KEEP_ALIVE_SECS)))
        .max_concurrent_bidi_streams(VarInt::from_u32(STREAMS_MAX))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .send_window(u64::from(CONNECTION_WINDOW_BYTES));
    transport
}

#[cfg(test)]
mod tests;
