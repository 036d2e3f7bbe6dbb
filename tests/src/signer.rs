//! A peer with a key, which signs its requests as docs/PROTOCOL.md says; written from there and not from the server.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::http::Request;

/// The name by which the harness calls every server in its `Host` header.
pub const HOST: &str = "tracker";

/// A peer with an id.
#[derive(Debug)]
pub struct Signer {
    key: SigningKey,
}

impl Signer {
    /// Always the same for a number.
    pub fn new(number: u8) -> Self {
        Self { key: SigningKey::from_bytes(&[number; 32]) }
    }

    /// Its id.
    pub fn id(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.key.verifying_key().to_bytes())
    }

    /// A signed POST, as of now.
    pub fn post(&self, path: &str, body: &Value) -> Request {
        let body = body.to_string();
        let header = self.header("POST", path, &body, HOST, now());
        Request::post(path).body("application/json", body).header("Peer-Signature", header)
    }

    /// The signature of a register of version 2 of the rendezvous, at an address as the server wrote it.
    pub fn rendezvous(&self, token: &str, address: std::net::SocketAddr) -> String {
        let message = format!("peer-matchmaker-v2\nregister\n{token}\n{address}");
        BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()).to_bytes())
    }

    /// The header of a signature over anything.
    pub fn header(&self, method: &str, path: &str, body: &str, server: &str, time: u64) -> String {
        let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body));
        let message = format!("peer-tracker-v1\n{method}\n{path}\n{digest}\n{server}\n{time}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()).to_bytes());
        format!("id={}, time={time}, sig={signature}", self.id())
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}
