use serde::{Deserialize, Serialize};

/// What a tracker says to a publish.
#[derive(Debug, Deserialize)]
pub struct Published {
    /// What became of each file.
    pub files: Vec<Verdict>,
    /// After how many seconds without a sign of life the peer is gone.
    pub ttl: u64,
    /// After how many seconds to give one.
    pub keepalive: u64,
}

/// What became of a file.
#[derive(Debug, Deserialize)]
pub struct Verdict {
    /// Its name.
    pub filename: String,
    /// Whether the tracker keeps it.
    pub accepted: bool,
    /// Why not, or not yet.
    pub reason: Option<String>,
    /// For how many seconds it is still kept from others, after reports.
    pub withheld: Option<u64>,
}

/// What a tracker says to a heartbeat.
#[derive(Debug, Deserialize)]
pub struct Alive {
    /// False where everything has to be published again.
    pub alive: bool,
    /// After how many seconds to give the next.
    pub keepalive: u64,
}

/// Who has a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Holders {
    /// Its name.
    pub filename: String,
    /// How many have it in all.
    pub total: u64,
    /// Some of them.
    pub peers: Vec<Holder>,
}

/// Who has each of several files.
#[derive(Debug, Deserialize)]
pub(super) struct Found {
    pub(super) files: Vec<Holders>,
}

/// A peer that has a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Holder {
    /// Its address.
    pub ip: String,
    /// The port where it serves.
    pub port: Option<u16>,
    /// Its id.
    pub id: Option<String>,
    /// The hash that it claims.
    pub hash: String,
    /// The size that it claims, in bytes.
    pub size: Option<u64>,
    /// Its last sign of life, in seconds since 1970.
    pub last_seen: Option<u64>,
    /// Whether the matchmaker hears it now.
    pub online: Option<bool>,
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
pub struct FilesPage {
    /// Its files.
    pub files: Vec<ListedFile>,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// A file of a listing.
#[derive(Debug, Serialize, Deserialize)]
pub struct ListedFile {
    /// Its name.
    pub filename: String,
    /// How many have it.
    pub peers: u64,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Peers that have a file.
    pub peers: u64,
    /// Files that a peer has.
    pub files: u64,
    /// Pairs of a peer and a file that it has.
    pub mappings: u64,
}
