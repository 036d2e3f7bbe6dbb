use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::identity::Identity;

/// The header of a signed request.
pub(super) const PEER_SIGNATURE: &str = "Peer-Signature";

/// Signs a POST as of now.
pub(super) fn header(identity: &Identity, path: &str, body: &[u8], server_name: &str) -> String {
    // A clock before 1970 is a clock that the tracker refuses and says so.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    at(identity, path, body, server_name, now)
}

fn at(identity: &Identity, path: &str, body: &[u8], server_name: &str, time_secs: u64) -> String {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(body));
    let message = format!("peer-tracker-v1\nPOST\n{path}\n{digest}\n{server_name}\n{time_secs}");
    let signature = identity.sign(message.as_bytes());
    format!("id={}, time={time_secs}, sig={signature}", identity.id())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn what_is_signed_are_the_six_lines_of_the_contract() {
        let identity = Identity::from_secret(&[7; 32]);
        let header = at(&identity, "/v1/heartbeat", b"{}", "tracker.example.org:8000", 1_700_000_000);
        let message = "peer-tracker-v1\nPOST\n/v1/heartbeat\n\
                       RBNvo1WzZ4oRRq0W9-hknpT7T8If536DEMBg9hyq_4o\ntracker.example.org:8000\n1700000000";
        let signature = header
            .strip_prefix(&format!("id={}, time=1700000000, sig=", identity.id()))
            .and_then(|signature| signature.parse().ok())
            .expect("the form of the header");
        assert!(identity.id().signed(message.as_bytes(), &signature));
    }
}
