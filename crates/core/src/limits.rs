//! Every bound that is not a setting, with its unit last in the name.

/// Longest file name, in bytes of UTF-8. Common file systems stop a path at 4,096 and a segment at 255; a page's
/// address of more than 1,024 bytes has not been met.
pub const FILE_NAME_MAX_BYTES: usize = 1_024;

/// Longest content hash, in characters: SHA-512 in hex is 128.
pub const CONTENT_HASH_MAX_CHARS: usize = 128;

/// Largest datagram that is looked at, in bytes; the original reads as much and no more.
pub const DATAGRAM_MAX_BYTES: usize = 4_096;

/// Largest request body, in bytes. The longest valid one is a form with a file name in which every byte is
/// escaped, a hash and an address: under 4 KiB.
pub const BODY_MAX_BYTES: usize = 64 * 1_024;

/// Most peers in one answer of `GET /peers`. A client downloads from a handful; more would only make a file that
/// everybody has dear to ask for.
pub const PEERS_MAX: usize = 100;

/// Most files of one peer. A site has hundreds; whoever has more than this fills other people's memory.
pub const FILES_PER_PEER_MAX: usize = 100_000;

/// Most peers of one file. A mapping more than this would serve nobody: an answer has a hundred of them.
pub const PEERS_PER_FILE_MAX: usize = 2_000_000;

/// Most files in one request of `POST /v1/publish` or `POST /v1/unpublish`.
pub const PUBLISH_MAX: usize = 1_000;

/// Most names in one request of `POST /v1/lookup`.
pub const LOOKUP_MAX: usize = 200;

/// Peers in one answer of `GET /v1/peers` when the caller names no limit.
pub const HOLDERS_DEFAULT: usize = 50;

/// Most peers in one answer of `GET /v1/peers`.
pub const HOLDERS_MAX: usize = 200;

/// Most peers that a caller can have left out of an answer of `GET /v1/peers`.
pub const EXCLUDE_MAX: usize = 200;

/// Largest size of a file that a peer may state, in bytes: what a client in any language holds exactly in a number
/// (2^53 - 1).
pub const FILE_SIZE_MAX: u64 = (1 << 53) - 1;

/// Shortest time to live that a peer may ask for, in seconds.
pub const PEER_TTL_MIN_SECS: u32 = 30;

/// Longest time to live that a peer may ask for, and that a registry gives where it is not for ever, in seconds: ten years.
pub const PEER_TTL_MAX_SECS: u32 = 315_360_000;

/// How long a report hides a peer from its reporter, in seconds, and how long it counts against the peer.
pub const REPORT_SECS: u64 = 600;

/// How many different networks (see [`crate::Network::of_organisation`]) have to report a peer before it goes for everybody.
pub const REPORTERS_TO_WITHHOLD: usize = 3;

/// Most peers that one reporter has hidden at a time; the oldest come back first.
pub const HIDDEN_PER_REPORTER_MAX: usize = 1_000;

/// How long a peer that was withheld for the second time has to wait before a publish or heartbeat brings it back, in
/// seconds. The first time it need not wait, and each time after the second it waits twice as long as before.
pub const WITHHELD_WAIT_SECS: u64 = 600;

/// Longest wait of a withheld peer, in seconds; also how long the times that it was withheld are remembered.
pub const WITHHELD_WAIT_MAX_SECS: u64 = 86_400;

/// Files in one answer of `GET /all_trackers` when the caller names no limit.
pub const FILES_DEFAULT: usize = 100;

/// Most files in one answer of `GET /all_trackers`.
pub const FILES_MAX: usize = 1_000;

/// How long a registration lives after the last well-formed datagram of its peer, in milliseconds.
pub const REGISTRATION_TTL_MS: u64 = 120_000;

/// Largest datagram of version 2 of the rendezvous, either way, in bytes: it travels whole on any path that carries IPv6
/// (1,280 bytes, RFC 8200 section 5) through a tunnel or two.
pub const V2_DATAGRAM_MAX_BYTES: usize = 1_200;

/// Least size of a datagram that asks for a token, in bytes: the answer to a source that is not verified is never larger
/// than what it sent, and this is room for the largest.
pub const V2_PADDED_BYTES: usize = 192;

/// Longest transaction id, in characters.
pub const V2_TID_MAX_CHARS: usize = 16;

/// Most addresses in its local network that a peer names.
pub const V2_LAN_MAX: usize = 6;

/// Most servers that a peer is told to move to.
pub const V2_MOVE_MAX: usize = 4;

/// How long a token is good for, in milliseconds.
pub const V2_TOKEN_TTL_MS: u64 = 180_000;

/// How often a peer of version 2 is to register again, in seconds. A Linux router forgets a mapping with one exchange after 30.
pub const V2_KEEPALIVE_SECS: u32 = 20;

/// A peer that was silent for longer is cold, in milliseconds: its NAT may have forgotten the mapping.
pub const V2_COLD_MS: u64 = 30_000;

/// Longest wait that a peer is told before it begins to punch, in milliseconds.
pub const V2_START_MAX_MS: u16 = 1_000;

/// From one punch to the next, in milliseconds.
pub const V2_INTERVAL_MS: u16 = 100;

/// How long Redis knows that a matchmaker hears a peer, in milliseconds, after that last said so: while it hears the peer it
/// does so once in [`HOME_RENEW_MS`], so that this covers the time to live of a registration.
pub const HOME_MS: u64 = REGISTRATION_TTL_MS + HOME_RENEW_MS;

/// How often a matchmaker says again whom it hears, in milliseconds.
pub const HOME_RENEW_MS: u64 = 40_000;

/// How long after a matchmaker said that it hears a peer that counts as online, in milliseconds: it may have been late once, or
/// have ended since then.
pub const ONLINE_MS: u64 = 2 * HOME_RENEW_MS + 10_000;

/// How long a matchmaker counts as there after its last word, in milliseconds.
pub const NODE_MS: u64 = 10_000;

/// Most matchmakers that meet each other.
pub const NODES_MAX: usize = 1_024;

/// Largest message from one matchmaker to another, in bytes.
pub const NODE_MESSAGE_MAX_BYTES: usize = 512;

const _: () = assert!(V2_PADDED_BYTES < V2_DATAGRAM_MAX_BYTES);
const _: () = assert!((V2_KEEPALIVE_SECS as u64) * 1_000 < V2_COLD_MS && V2_COLD_MS < REGISTRATION_TTL_MS);
const _: () = assert!(REGISTRATION_TTL_MS < V2_TOKEN_TTL_MS);
const _: () = assert!(BODY_MAX_BYTES > 3 * FILE_NAME_MAX_BYTES + CONTENT_HASH_MAX_CHARS + 256);
const _: () = assert!(FILES_DEFAULT <= FILES_MAX);
