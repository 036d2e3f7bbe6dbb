//! What a right answer of a tracker looks like.

use std::borrow::Cow;

use serde::Deserialize;

use super::population::File;

/// The answer that a request must get.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expected {
    /// `{"filename": this file, "peers": [as many addresses]}`.
    Peers(File, u64),
    /// `{"status":"ok"}`.
    Added,
    /// So many files, each of them accepted.
    Published(usize),
}

/// What was wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("status {0} instead of 200")]
    Status(u16),
    #[error("the body is not what it must be: {0}")]
    Body(String),
}

#[derive(Deserialize)]
struct PeersBody<'a> {
    #[serde(borrow)]
    filename: Cow<'a, str>,
    #[serde(borrow)]
    // Addresses need no escapes; borrowed, they cost the generator nothing.
    peers: Vec<&'a str>,
}

#[derive(Deserialize)]
struct StatusBody<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
}

impl Expected {
    /// Whether an answer is the one that was due.
    pub(crate) fn check(self, status: u16, body: &[u8]) -> Result<(), Wrong> {
        if status != 200 {
            return Err(Wrong::Status(status));
        }
        let right = match self {
            Self::Peers(file, peers) => serde_json::from_slice::<PeersBody<'_>>(body).is_ok_and(|answer| {
                answer.filename == file.to_string() && u64::try_from(answer.peers.len()) == Ok(peers)
            }),
            Self::Published(files) => {
                let body = String::from_utf8_lossy(body);
                body.matches(r#""accepted":true"#).count() == files && !body.contains(r#""accepted":false"#)
            }
            Self::Added => {
                serde_json::from_slice::<StatusBody<'_>>(body).is_ok_and(|answer| answer.status == "ok")
            }
        };
        if right {
            Ok(())
        } else {
            Err(Wrong::Body(String::from_utf8_lossy(body).chars().take(200).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_another_status_is_wrong() {
        assert_eq!(Expected::Added.check(503, br#"{"status":"ok"}"#), Err(Wrong::Status(503)));
    }

    #[test]
    fn peers_of_another_file_or_in_another_number_are_wrong() {
        let due = Expected::Peers(File(1), 2);
        let body = |file: File, peers: &str| format!(r#"{{"filename": "{file}", "peers": [{peers}]}}"#);
        assert_eq!(due.check(200, body(File(1), r#""198.18.0.1", "198.18.0.2""#).as_bytes()), Ok(()));
        assert!(due.check(200, body(File(2), r#""198.18.0.1", "198.18.0.2""#).as_bytes()).is_err());
        assert!(due.check(200, body(File(1), r#""198.18.0.1""#).as_bytes()).is_err());
        assert!(due.check(200, b"{}").is_err());
        assert!(due.check(200, b"").is_err());
    }

    #[test]
    fn a_publication_must_be_answered_with_ok() {
        assert_eq!(Expected::Added.check(200, br#"{"status":"ok"}"#), Ok(()));
        assert!(Expected::Added.check(200, br#"{"status":"removed"}"#).is_err());
    }

    #[test]
    fn each_file_of_a_publication_must_be_accepted() {
        let accepted = r#"{"files":[{"filename":"a","accepted":true},{"filename":"b","accepted":true}]}"#;
        assert_eq!(Expected::Published(2).check(200, accepted.as_bytes()), Ok(()));
        assert!(Expected::Published(3).check(200, accepted.as_bytes()).is_err());
        let refused = accepted.replacen("true", "false", 1);
        assert!(Expected::Published(1).check(200, refused.as_bytes()).is_err());
    }
}
