//! What one stream carries: a request, and the content that answers it.

use quinn::VarInt;
use serde::{Deserialize, Serialize};

use crate::digest::ContentDigest;

/// Largest request, in bytes: a file name of 1,024 bytes, each written as an escape of six, and what is around it.
pub(super) const REQUEST_MAX_BYTES: usize = 8_192;
/// Largest manifest, in bytes.
pub(super) const MANIFEST_MAX_BYTES: usize = 64 << 20;

/// What a stream asks for: JSON, which ends with its side of the stream. The answer is the content and nothing else; a
/// stream that is reset instead says why by one of the codes below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Request {
    /// The list of a site's files.
    Manifest(String),
    /// The content of a file.
    File(String),
}

/// The list of a site's files, as it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ManifestBody {
    pub(super) files: Vec<Entry>,
}

/// A file of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Its name, with the site.
    pub(super) filename: String,
    /// Its SHA-256.
    pub(super) hash: ContentDigest,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// There is no such site or file here.
pub(super) const NOT_FOUND: VarInt = VarInt::from_u32(1);
/// The request is not of the form.
pub(super) const BAD_REQUEST: VarInt = VarInt::from_u32(2);
/// The file was there and cannot be read now.
pub(super) const UNREADABLE: VarInt = VarInt::from_u32(3);
/// The one who asked does not want the rest.
pub(super) const NOT_WANTED: VarInt = VarInt::from_u32(4);
/// The peer asked for nothing, or took nothing, for too long; ends a connection.
pub(super) const STALLED: VarInt = VarInt::from_u32(5);
/// All is said; ends a connection.
pub const DONE: VarInt = VarInt::from_u32(0);

/// A stream that the peer reset in place of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason(*.0))]
pub struct Reset(VarInt);

impl Reset {
    /// With one of the codes above.
    pub(super) const fn new(code: VarInt) -> Self {
        Self(code)
    }

    /// Whether there is no such site or file at the peer.
    pub fn is_not_found(self) -> bool {
        self.0 == NOT_FOUND
    }
}

fn reason(code: VarInt) -> &'static str {
    match code {
        NOT_FOUND => "the peer does not have it",
        BAD_REQUEST => "the peer did not understand the request",
        UNREADABLE => "the peer cannot read it any more",
        _ => "the peer ended the transfer",
    }
}
