//! Requests that are signed: whose id speaks?
//!
//! ```text
//! Peer-Signature: id=ID, time=SECONDS, sig=SIGNATURE
//! ```
//!
//! The signature is made over six lines, joined by one line feed each, without one at the end: the words
//! `peer-tracker-v1`, the method, the path, the SHA-256 of the body in base64url without padding, the name of the server, and the
//! time in seconds since 1970.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderName};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use peer_core::{PeerId, PeerSignature};
use registry::Registry;
use sha2::{Digest as _, Sha256};

use crate::error::ApiError;

/// The header of a signed request.
pub(crate) const PEER_SIGNATURE: HeaderName = HeaderName::from_static("peer-signature");
/// First line of what is signed: a signature that was made for anything else says nothing here.
const CONTEXT: &str = "peer-tracker-v1";
/// How far the time of a signature may be from ours, in seconds.
const CLOCK_SKEW_MAX_SECS: u64 = 60;
/// How long a signature is remembered, in seconds: longer than its time can be valid.
const REMEMBERED_SECS: u32 = 130;

/// What peers call this service, as a host with or without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerName(Box<str>);

impl FromStr for ServerName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if text.is_empty() || text.len() > 255 || !text.bytes().all(allowed) {
            return Err("a name of a host, with or without a port, of 1 to 255 characters");
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

/// Why a signature is not believed. The text goes to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum BadSignature {
    /// An id is named without one.
    Missing,
    /// The header is not of the form.
    Malformed,
    /// The id in the body is not the one that signed.
    OtherId,
    /// The time is too far from ours.
    Late,
    /// It was not made with the key of the id over this request.
    Forged,
    /// It came before.
    Replayed,
}

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "an id speaks by a Peer-Signature header",
            Self::Malformed => "the form is Peer-Signature: id=<43 characters>, time=<seconds since 1970>, sig=<86 characters>",
            Self::OtherId => "the id in the body is not the one of the signature",
            Self::Late => "the time of the signature is more than 60 seconds from that of this server",
            Self::Forged => "the signature was not made by this id over this request and for this server",
            Self::Replayed => "the signature was used before; make a new one with a new time",
        })
    }
}

/// The header, read and not yet believed.
#[derive(Debug, PartialEq, Eq)]
struct Claim {
    id: PeerId,
    time: u64,
    signature: PeerSignature,
}

impl FromStr for Claim {
    type Err = BadSignature;

    fn from_str(text: &str) -> Result<Self, BadSignature> {
        let mut parts = text.split(',').map(str::trim);
        let mut part = |name: &str| {
            let (key, value) = parts.next()?.split_once('=')?;
            (key == name).then_some(value)
        };
        let (id, time, signature) = (part("id"), part("time"), part("sig"));
        let claim = || {
            let time = time?;
            // One text for one time, since it is the text that is signed.
            let plain =
                time.bytes().all(|byte| byte.is_ascii_digit()) && (time == "0" || !time.starts_with('0'));
            let time = time.parse().ok().filter(|_| plain)?;
            Some(Self { id: id?.parse().ok()?, time, signature: signature?.parse().ok()? })
        };
        claim().filter(|_| parts.next().is_none()).ok_or(BadSignature::Malformed)
    }
}

/// The id that signed the request, or `None` where it is not signed at all. A signature that is not good is an error,
/// and one that is has served with this.
pub(crate) async fn verify(
    request: &HttpRequest,
    body: &[u8],
    server: Option<&ServerName>,
    registry: &dyn Registry,
) -> Result<Option<PeerId>, ApiError> {
    let mut headers = request.headers().get_all(PEER_SIGNATURE);
    let Some(header) = headers.next() else { return Ok(None) };
    if headers.next().is_some() {
        return Err(BadSignature::Malformed.into());
    }
    let claim: Claim = header.to_str().map_err(|_| BadSignature::Malformed)?.parse()?;
    if claim.time.abs_diff(now_secs()) > CLOCK_SKEW_MAX_SECS {
        return Err(BadSignature::Late.into());
    }
    let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let server = server.map_or_else(|| host().to_ascii_lowercase(), |name| name.0.to_string());
    let message = message(request.method().as_str(), request.path(), body, &server, claim.time);
    if !claim.id.signed(message.as_bytes(), &claim.signature) {
        return Err(BadSignature::Forged.into());
    }
    let token = Sha256::digest(claim.signature.to_bytes()).into();
    if !registry.first_use(token, REMEMBERED_SECS).await? {
        return Err(BadSignature::Replayed.into());
    }
    Ok(Some(claim.id))
}

/// What is signed.
fn message(method: &str, path: &str, body: &[u8], server: &str, time: u64) -> String {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body));
    format!("{CONTEXT}\n{method}\n{path}\n{digest}\n{server}\n{time}")
}

fn now_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn the_message_is_as_documented() {
        assert_eq!(
            message("POST", "/v1/heartbeat", b"{}", "tracker.example.org", 1_764_100_000),
            "peer-tracker-v1\nPOST\n/v1/heartbeat\nRBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o\ntracker.example.org\n\
             1764100000"
        );
    }

    #[test]
    fn the_header_has_one_form() {
        let id = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
        let sig = PeerSignature::from_bytes([7; 64]).to_string();
        let good = format!("id={id}, time=1764100000, sig={sig}");
        let claim: Claim = good.parse().unwrap();
        assert_eq!(
            (claim.id.to_string(), claim.time, claim.signature.to_string()),
            (id.to_owned(), 1_764_100_000, sig.clone())
        );
        assert_eq!(format!("id={id},time=1764100000,sig={sig}").parse(), Ok(claim));
        for bad in [
            String::new(),
            format!("id={id}"),
            format!("time=1764100000, id={id}, sig={sig}"),
            format!("id={id}, time=1764100000, sig={sig}, x=1"),
            format!("id={id}, time=01764100000, sig={sig}"),
            format!("id={id}, time=+1764100000, sig={sig}"),
            format!("id={id}, time=, sig={sig}"),
            format!("id={id}, time=99999999999999999999, sig={sig}"),
            format!("id={id}x, time=1764100000, sig={sig}"),
            format!("id={id}, time=1764100000, sig={sig}="),
        ] {
            assert_eq!(bad.parse::<Claim>(), Err(BadSignature::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn a_server_name_is_a_host() {
        assert_eq!(
            "Tracker.Example.org:8000".parse::<ServerName>().unwrap().0.as_ref(),
            "tracker.example.org:8000"
        );
        for bad in ["", "https://x", "a b", "a\nb"] {
            assert!(bad.parse::<ServerName>().is_err(), "{bad:?}");
        }
    }
}
