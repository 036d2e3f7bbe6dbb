use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::Invalid;

/// The id of a peer: an Ed25519 public key (RFC 8032), written as 43 characters of base64url without padding
/// (RFC 4648 section 5).
///
/// It names whoever holds the private key, wherever that is. Any 32 bytes can be written as an id; whether they are
/// a key shows when a signature is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId([u8; Self::BYTES]);

impl PeerId {
    /// Size of the key, in bytes.
    pub const BYTES: usize = 32;
    /// Length of its text, in characters.
    pub const CHARS: usize = 43;

    /// From the key itself.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The key itself.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    /// Whether `signature` was made over `message` with the private key of this id. Strict: weak keys and signatures
    /// with a second form (RFC 8032 section 8.4) are refused, since a signature must serve once only.
    pub fn signed(self, message: &[u8], signature: &PeerSignature) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .and_then(|key| key.verify_strict(message, &Signature::from_bytes(&signature.0)))
            .is_ok()
    }
}

impl FromStr for PeerId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decode(text).map(Self).ok_or(Invalid::PeerId)
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl serde::Serialize for PeerId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An Ed25519 signature, written as 86 characters of base64url without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerSignature([u8; Self::BYTES]);

impl PeerSignature {
    /// Size of a signature, in bytes.
    pub const BYTES: usize = 64;

    /// From its bytes.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl FromStr for PeerSignature {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        decode(text).map(Self).ok_or(Invalid::PeerSignature)
    }
}

impl fmt::Display for PeerSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// One text for one value: padding, blanks and unused bits that are not zero are refused.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    match BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(length) if length == N => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use ed25519_dalek::{Signer as _, SigningKey};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_is_the_public_key_of_rfc_8032() {
        // RFC 8032 section 7.1, test 2.
        let secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let secret: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&secret[2 * i..2 * i + 2], 16).unwrap()).collect();
        let key = SigningKey::from_bytes(&secret.try_into().unwrap());
        let id = PeerId::from_bytes(key.verifying_key().to_bytes());
        assert_eq!(id.to_string(), "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw");
        let signature = PeerSignature::from_bytes(key.sign(&[0x72]).to_bytes());
        assert!(id.signed(&[0x72], &signature));
        assert!(!id.signed(&[0x73], &signature));
        let mut forged = signature.to_bytes();
        forged[0] ^= 1;
        assert!(!id.signed(&[0x72], &PeerSignature::from_bytes(forged)));
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral element: with it, one signature would fit every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!PeerId::from_bytes(neutral).signed(b"anything", &PeerSignature::from_bytes(signature)));
    }

    #[test]
    fn one_key_has_one_text() {
        let good = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
        assert!(good.parse::<PeerId>().is_ok());
        for bad in [
            "",
            "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgx",
            "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw=",
            "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw",
            " PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zg",
            "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0",
        ] {
            assert_eq!(bad.parse::<PeerId>(), Err(Invalid::PeerId), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn ids_and_signatures_survive_text(id: [u8; 32], low: [u8; 32], high: [u8; 32]) {
            let id = PeerId::from_bytes(id);
            prop_assert_eq!(id.to_string().len(), PeerId::CHARS);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&low);
            bytes[32..].copy_from_slice(&high);
            let signature = PeerSignature::from_bytes(bytes);
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
        }
    }
}
