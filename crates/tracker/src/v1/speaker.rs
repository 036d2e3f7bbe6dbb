//! The peer that speaks: who it says that it is, where it is, and how long it lives.

use peer_core::limits::{PEER_TTL_MAX_SECS, PEER_TTL_MIN_SECS};
use registry::Publisher;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::Post;
use super::schema::{PeerIdText, whole};
use crate::error::{ApiError, FieldError, Place};

/// Who a peer says that it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct PeerClaim {
    /// Its id, an Ed25519 public key in base64url; the request is then signed with its key.
    #[schema(value_type = Option<PeerIdText>)]
    #[serde(default)]
    pub(super) id: Option<String>,
    /// The port at which it serves its files.
    #[schema(minimum = 1, maximum = 65535)]
    #[serde(default, deserialize_with = "whole")]
    port: Option<u64>,
}

/// How long a peer lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Life {
    /// Seconds after its last sign of life until it is not handed out any more; null is never.
    ttl: Option<u64>,
    /// Seconds after which it should give the next sign of life; null where it need not.
    keepalive: Option<u64>,
}

impl Life {
    pub(super) fn new(longest_secs: u64, asked_secs: Option<u64>) -> Self {
        let ttl = match (longest_secs, asked_secs) {
            (0, asked) => asked,
            (longest, asked) => Some(asked.map_or(longest, |asked| asked.min(longest))),
        };
        Self { ttl, keepalive: ttl.map(|ttl| (ttl / 2).max(1)) }
    }
}

/// Who publishes or gives a sign of life, and for how long that lasts.
pub(super) fn publisher<B>(
    post: &Post<B>,
    claim: Option<&PeerClaim>,
    ttl: Option<u64>,
) -> Result<Publisher, ApiError> {
    let mut errors = Vec::new();
    let ttl_range = u64::from(PEER_TTL_MIN_SECS)..=u64::from(PEER_TTL_MAX_SECS);
    if ttl.is_some_and(|secs| !ttl_range.contains(&secs)) {
        let why = format!("a time to live is {PEER_TTL_MIN_SECS} to {PEER_TTL_MAX_SECS} seconds");
        errors.push(FieldError::refused(Place::Body, "ttl", why, None));
    }
    let at = claim.and_then(|claim| claim.port).map(u16::try_from);
    if let Some(Err(_) | Ok(0)) = at {
        errors.push(FieldError::refused(Place::Body, "port", "a port is 1 to 65535", None));
    }
    if !errors.is_empty() {
        return Err(ApiError::Invalid(errors));
    }
    let ttl_secs = ttl.and_then(|secs| u32::try_from(secs).ok());
    Ok(Publisher { owner: post.owner, address: post.caller, port: at.and_then(Result::ok), ttl_secs })
}
