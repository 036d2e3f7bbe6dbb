//! What is asked of a registry and what it answers.

use std::time::Duration;

use peer_core::limits::{FILES_PER_PEER_MAX, PEERS_PER_FILE_MAX};
use peer_core::{ContentHash, FileName, Owner, Peer};

/// How much a registry keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Files of one owner.
    pub files_per_peer: usize,
    /// Owners of one file, with those withheld.
    pub peers_per_file: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { files_per_peer: FILES_PER_PEER_MAX, peers_per_file: PEERS_PER_FILE_MAX }
    }
}

/// Who publishes, from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publisher {
    /// Whose the mappings are.
    pub owner: Owner,
    /// Where it is reached: the owner itself, or where the holder of the key called from.
    pub address: Peer,
    /// The port at which it serves its files, where it said so.
    pub port: Option<u16>,
    /// How long it lives after a sign of life, in seconds; `None` for as long as the registry gives. Never longer.
    pub ttl_secs: Option<u32>,
}

impl Publisher {
    /// A peer of the legacy contract: it is its address.
    pub fn legacy(peer: Peer) -> Self {
        Self { owner: Owner::Address(peer), address: peer, port: None, ttl_secs: None }
    }
}

/// A file as a peer publishes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub file: FileName,
    /// The hash of its content that the peer claims.
    pub hash: ContentHash,
    /// Its size that the peer claims, in bytes, at most [`peer_core::limits::FILE_SIZE_MAX`].
    pub size: Option<u64>,
}

/// What became of an [`Entry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is handed out.
    Listed,
    /// It is kept, but the peer was reported too often: a publish or heartbeat brings it back after `secs` seconds.
    Withheld {
        /// From now, in seconds.
        secs: u64,
    },
    /// Refused: the peer has [`Bounds::files_per_peer`] files.
    TooManyFiles,
    /// Refused: the file has [`Bounds::peers_per_file`] owners.
    TooManyPeers,
}

/// Which peers of a file are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldersQuery {
    /// The file.
    pub file: FileName,
    /// Only those that claim this hash.
    pub hash: Option<ContentHash>,
    /// At most as many, up to [`peer_core::limits::HOLDERS_MAX`].
    pub limit: usize,
    /// None of these; an address stands for all peers at it.
    pub exclude: Vec<Owner>,
}

/// A peer that has a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Whose the mapping is.
    pub owner: Owner,
    /// Where the peer is.
    pub address: Peer,
    /// The port at which it serves.
    pub port: Option<u16>,
    /// The hash that it claims.
    pub hash: ContentHash,
    /// The size that it claims, in bytes.
    pub size: Option<u64>,
    /// Its last sign of life, in ms since 1970.
    pub last_seen_ms: u64,
    /// Whether a matchmaker hears it; `None` where the store cannot know.
    pub online: Option<bool>,
}

/// Some of the peers of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holders {
    /// How many peers have the file, with those that died since the last sweep and those that are withheld or hidden.
    pub total: usize,
    /// A fair sample of the living ones.
    pub holders: Vec<Holder>,
}

/// "This peer did not serve it."
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Who says so.
    pub reporter: Peer,
    /// About whom.
    pub subject: Owner,
    /// Which file; `None` for all files of the subject.
    pub file: Option<FileName>,
    /// Whether this word alone is enough to take the subject from everybody: the operator's is.
    pub decisive: bool,
}

/// Which names [`crate::Registry::files`] lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilesQuery {
    /// Only names that start with this; empty for all.
    pub prefix: String,
    /// Only names after this one, in order of bytes.
    pub after: Option<String>,
    /// At most as many names.
    pub limit: usize,
}

/// A file in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub name: String,
    /// How many peers have it, with those that died since the last sweep and those that are withheld or hidden.
    pub peers: usize,
}

/// A page of files in order of the bytes of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FilePage {
    /// Those that a living peer has; at times fewer than the limit even where more follow.
    pub files: Vec<ListedFile>,
    /// The last name that was looked at, from which the next page goes on.
    pub last: Option<String>,
    /// Whether names may follow.
    pub more: bool,
}

/// How much there is, with what died since the last sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Peers that have at least one file.
    pub peers: u64,
    /// Files that at least one peer has.
    pub files: u64,
    /// Pairs of a peer and a file that it has.
    pub mappings: u64,
}

/// A mapping on its way from one store to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is, and where.
    pub publisher: Publisher,
    /// The peer's last sign of life, in ms since 1970.
    pub last_seen_ms: u64,
    /// What it has.
    pub entry: Entry,
}

/// What a step of the sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Dead peers that were taken away whole.
    pub peers: usize,
    /// Mappings that were taken away.
    pub mappings: usize,
    /// Whether more is due at once.
    pub more: bool,
}

/// How long a peer lives after its last sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerTtl(Duration);

impl PeerTtl {
    /// From seconds; 0 is for ever.
    pub fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// In milliseconds; 0 is for ever.
    pub(crate) fn as_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    /// In milliseconds, for a peer that asks for `ttl_secs`: what it asks for, but not longer than this; 0 is for ever.
    pub(crate) fn of_peer_ms(self, ttl_secs: Option<u32>) -> u64 {
        match (self.as_ms(), ttl_secs) {
            (longest, None) => longest,
            (0, Some(secs)) => u64::from(secs) * 1_000,
            (longest, Some(secs)) => longest.min(u64::from(secs) * 1_000),
        }
    }
}
