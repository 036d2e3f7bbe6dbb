//! The key of a peer, in a file.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ed25519_dalek::{SECRET_KEY_LENGTH, Signer as _, SigningKey};
use peer_core::{PeerId, PeerSignature};

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

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.id())
    }
}

impl Identity {
    /// A new one, from the random source of the operating system.
    pub fn generate() -> anyhow::Result<Self> {
        let mut secret = [0; SECRET_KEY_LENGTH];
        getrandom::fill(&mut secret).context("the operating system gives no random bytes")?;
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
    pub fn write_new(&self, path: &Path) -> anyhow::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                bail!("{} is there already, and a key that is overwritten is lost", path.display())
            }
            opened => opened.with_context(|| format!("{} cannot be written", path.display()))?,
        };
        let pem = format!("{PEM_BEGIN}\n{}\n{PEM_END}\n", BASE64_STANDARD.encode(self.to_pkcs8()));
        file.write_all(pem.as_bytes())
            .and_then(|()| file.sync_all())
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Reads what [`Self::write_new`] or `openssl genpkey -algorithm ed25519` wrote. Refuses a file that others than its
    /// owner may read, as `ssh` does.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let metadata = fs::metadata(path)
            .with_context(|| format!("no key at {}; make one with: peerctl key {0}", path.display()))?;
        ensure!(metadata.len() <= KEY_FILE_MAX_BYTES, "{} is too large for a key", path.display());
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            ensure!(
                metadata.mode() & OTHERS_MODE == 0,
                "others may read {0}; a key is for its owner alone: chmod 600 {0}",
                path.display()
            );
        }
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        Self::from_pem(&text)
            .with_context(|| format!("{} is no Ed25519 private key in PEM (PKCS #8)", path.display()))
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
        let refused = Identity::read(&path).unwrap_err().to_string();
        assert!(refused.contains("chmod 600"), "{refused}");
    }
}
