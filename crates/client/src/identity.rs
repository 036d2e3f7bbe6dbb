use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use peer_core::datagram::v2::{SignedText, Token};
use peer_core::{PeerId, PeerSignature};

/// The Ed25519 key of a peer (RFC 8032), by which others find it wherever it is.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// From the 32 bytes of a private key.
    pub fn from_bytes(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// A new one, from the operating system's random source.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self::from_bytes(&secret))
    }

    /// The 32 bytes of the private key: whoever has them is this peer.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The name that others know it by: the public key.
    pub fn id(&self) -> PeerId {
        PeerId::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Shows the server that whoever is at `addr`, to which it gave `token`, holds this key.
    pub(crate) fn sign_register(&self, token: Token, addr: std::net::SocketAddr) -> PeerSignature {
        let text = SignedText::of_register(token, addr);
        PeerSignature::from_bytes(self.0.sign(text.as_bytes()).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the private key.
        write!(f, "Identity({})", self.id())
    }
}
