use crate::limits::{CONTENT_HASH_MAX_CHARS, FILE_NAME_MAX_BYTES};

/// Why a value from outside was refused. The text names what is allowed and never repeats the value: it goes
/// back to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The file name is empty.
    #[error("a file name has 1 to {FILE_NAME_MAX_BYTES} bytes of UTF-8; this one is empty")]
    NameEmpty,
    /// The file name is longer than [`FILE_NAME_MAX_BYTES`].
    #[error("a file name has 1 to {FILE_NAME_MAX_BYTES} bytes of UTF-8; this one has {bytes}")]
    NameTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The file name has a control character (Unicode category Cc).
    #[error("a file name has no control characters")]
    NameControl,
    /// The file name starts at the root.
    #[error("a file name is relative: no leading '/'")]
    NameAbsolute,
    /// The file name has a backslash, which is a separator on some systems.
    #[error("a file name has '/' between its segments and no '\\'")]
    NameBackslash,
    /// A segment of the file name is `.` or `..`, which would lead out of a folder.
    #[error("a file name has no segment '.' or '..'")]
    NameDotSegment,
    /// The content hash is empty.
    #[error("a hash has 1 to {CONTENT_HASH_MAX_CHARS} characters; this one is empty")]
    HashEmpty,
    /// The content hash is longer than [`CONTENT_HASH_MAX_CHARS`].
    #[error("a hash has 1 to {CONTENT_HASH_MAX_CHARS} characters; this one has {chars}")]
    HashTooLong {
        /// Its length in characters.
        chars: usize,
    },
    /// The content hash has a character outside of hex, base64 and multibase.
    #[error("a hash has only letters, digits and + / = _ : . -")]
    HashCharacter,
    /// The text is no IPv4 or IPv6 address.
    #[error("an address is IPv4 or IPv6 text such as 203.0.113.5 or 2001:db8::5")]
    Address,
    /// An address that no single host can have: unspecified, multicast or broadcast.
    #[error("an address belongs to one host: not unspecified, multicast or broadcast")]
    AddressNotAHost,
    /// The text is no id of a peer.
    #[error("an id is an Ed25519 public key as 43 characters of base64url without padding")]
    PeerId,
    /// The text names no node.
    #[error("a node is 16 digits of lower-case hex")]
    NodeId,
    /// The text is no signature.
    #[error("a signature is an Ed25519 signature as 86 characters of base64url without padding")]
    PeerSignature,
}
