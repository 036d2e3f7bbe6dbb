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

/// Files in one answer of `GET /all_trackers` when the caller names no limit.
pub const FILES_DEFAULT: usize = 100;

/// Most files in one answer of `GET /all_trackers`.
pub const FILES_MAX: usize = 1_000;

/// How long a registration lives after the last well-formed datagram of its peer, in milliseconds.
pub const REGISTRATION_TTL_MS: u64 = 120_000;

const _: () = assert!(BODY_MAX_BYTES > 3 * FILE_NAME_MAX_BYTES + CONTENT_HASH_MAX_CHARS + 256);
const _: () = assert!(FILES_DEFAULT <= FILES_MAX);
