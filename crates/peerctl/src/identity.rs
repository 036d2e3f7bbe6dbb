//! The key of a peer, in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{SECRET_KEY_LENGTH, Signer as _, SigningKey};
use peer_core::{PeerId, PeerSignature};

use crate::failure::Failure;

/// What stands before the 32 bytes of an Ed25519 private key in PKCS #8 (RFC 8410 section 7), which has one form only.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";
/// Largest key file that is read, in bytes; ours have 119.
const KEY_FILE_MAX_BYTES: u64 = 4_096;

/// The permissions of group and others.
#[cfg(unix)]
const OTHERS_MODE: u32 = 0o077;

/// An Ed25519 key, whose public half is the id of a peer.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system has none to give.
    #[error("the operating system gives no random bytes: {0}")]
    NoRandom(#[from] getrandom::Error),
    /// A key that is overwritten is lost.
    #[error("{} is there already, and a key that is overwritten is lost", .0.display())]
    IsThere(PathBuf),
    /// The file cannot be made.
    #[error("{} cannot be written", path.display())]
    NotWritten {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// The file is not there, or not to be read.
    #[error("{} cannot be read", path.display())]
    NotRead {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        why: io::Error,
    },
    /// Its permissions let others read it.
    #[error("others may read {}, and a key is for its owner alone", .0.display())]
    ForAll(PathBuf),
    /// It is something else.
    #[error("{} is no Ed25519 private key in PEM (PKCS #8)", .0.display())]
    NoKey(PathBuf),
}

impl KeyError {
    /// What to try next.
    fn hint(&self) -> String {
        match self {
            Self::NoRandom(_) => {
                "the system has just started or is closed in; try again in a moment".to_owned()
            }
            Self::IsThere(path) => {
                format!("peerctl key --show {} prints its id; a new key needs another name", path.display())
            }
            Self::NotWritten { .. } => {
                "name a file in a directory that is there and that you may write to: peerctl key FILE"
                    .to_owned()
            }
            Self::NotRead { path, why } if why.kind() == io::ErrorKind::NotFound => {
                format!("make a key with: peerctl key {}", path.display())
            }
            Self::NotRead { .. } => "a key is read by its owner: run this as whoever made it".to_owned(),
            Self::ForAll(path) => format!("take them the right with: chmod 600 {}", path.display()),
            Self::NoKey(_) => {
                "peerctl key FILE makes one, openssl genpkey -algorithm ed25519 another".to_owned()
            }
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        let hint = error.hint();
        Self::failed(error, hint)
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.id())
    }
}

impl Identity {
    /// A new one, from the random source of the operating system.
    pub fn generate() -> Result<Self, KeyError> {
        let mut secret = [0; SECRET_KEY_LENGTH];
        getrandom::fill(&mut secret)?;
        Ok(Self::from_secret(&secret))
    }

    /// From the 32 bytes of RFC 8032.
    pub fn from_secret(secret: &[u8; SECRET_KEY_LENGTH]) -> Self {
        Self { key: SigningKey::from_bytes(secret) }
    }

    /// Its public half.
    pub fn id(&self) -> PeerId {
        PeerId::from_bytes(self.key.verifying_key().to_bytes())
    }

    /// Signs `message` (RFC 8032, Ed25519 without prehash).
    pub fn sign(&self, message: &[u8]) -> PeerSignature {
        PeerSignature::from_bytes(self.key.sign(message).to_bytes())
    }

    /// The same, for the client of the matchmaker.
    pub fn for_client(&self) -> peer_client::Identity {
        peer_client::Identity::from_bytes(self.key.as_bytes())
    }

    /// As PKCS #8 (RFC 8410), DER.
    pub fn to_pkcs8(&self) -> Vec<u8> {
        let mut der = PKCS8_PREFIX.to_vec();
        der.extend_from_slice(self.key.as_bytes());
        der
    }

    /// Writes it as PEM into a file that did not exist and that its owner alone may read.
    pub fn write_new(&self, path: &Path) -> Result<(), KeyError> {
        let cannot = |why| KeyError::NotWritten { path: path.to_owned(), why };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyError::IsThere(path.to_owned()));
            }
            opened => opened.map_err(cannot)?,
        };
        let pem = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", BASE64_STANDARD.encode(self.to_pkcs8()));
        file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(cannot)
    }

    /// Reads what [`Self::write_new`] or `openssl genpkey -algorithm ed25519` wrote. Refuses a file that others than its
    /// owner may read, as `ssh` does.
    pub fn read(path: &Path) -> Result<Self, KeyError> {
        let cannot = |why| KeyError::NotRead { path: path.to_owned(), why };
        let metadata = fs::metadata(path).map_err(cannot)?;
        if metadata.len() > KEY_FILE_MAX_BYTES {
            return Err(KeyError::NoKey(path.to_owned()));
        }
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            if metadata.mode() & OTHERS_MODE != 0 {
                return Err(KeyError::ForAll(path.to_owned()));
            }
        }
        let text = fs::read_to_string(path).map_err(cannot)?;
        Self::from_pem(&text).ok_or_else(|| KeyError::NoKey(path.to_owned()))
    }

    fn from_pem(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(PEM_BEGIN)?;
        let (body, _) = rest.split_once(PEM_END)?;
        let body: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(body).ok()?;
        let secret = der.strip_prefix(&PKCS8_PREFIX)?;
        Some(Self::from_secret(secret.try_into().ok()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn a_key_is_the_same_after_it_was_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.key");
        let identity = Identity::generate().unwrap();
        identity.write_new(&path).unwrap();
        assert_eq!(Identity::read(&path).unwrap().id(), identity.id());
        let again = identity.write_new(&path).unwrap_err().to_string();
        assert!(again.contains("is there already"), "{again}");
    }

    #[test]
    fn a_key_that_openssl_made_is_read() {
        // RFC 8410 section 10.3.
        let pem = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                   -----END PRIVATE KEY-----\n";
        let identity = Identity::from_pem(pem).unwrap();
        assert_eq!(identity.id().to_string(), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", PEM_BEGIN] {
            assert!(Identity::from_pem(text).is_none(), "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peer.key");
        Identity::from_secret(&[7; 32]).write_new(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Failure::from(Identity::read(&path).unwrap_err());
        assert!(refused.to_string().contains("others may read"), "{refused}");
        assert!(refused.hint().contains("chmod 600"), "{}", refused.hint());
    }
}
