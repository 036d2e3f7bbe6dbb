use ureq::http::StatusCode;

use crate::failure::Failure;

/// Why a tracker did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum TrackerError {
    /// It is not named as one is.
    #[error("the URL of a tracker is http:// or https:// and a host, not {0:?}")]
    Url(String),
    /// Credentials in a URL end in logs and lists of processes.
    #[error("the URL of a tracker has no user and password")]
    Credentials,
    /// There is nobody whose word for a tracker could be believed.
    #[error("this system has no certificates to check https with {0}")]
    NoCertificates(String),
    /// It is not there, or not to be spoken with.
    #[error("the tracker at {origin} cannot be asked")]
    NotAsked {
        /// Scheme and host.
        origin: String,
        /// What the connection says.
        #[source]
        why: Box<ureq::Error>,
    },
    /// It says no.
    #[error("the tracker at {origin} refused it with {status}: {detail}")]
    Refused {
        /// Scheme and host.
        origin: String,
        /// The status.
        status: StatusCode,
        /// Its words.
        detail: String,
    },
    /// It says no as no tracker does.
    #[error("{origin} answered with {status}, which is not how a tracker refuses")]
    NoTracker {
        /// Scheme and host.
        origin: String,
        /// The status.
        status: StatusCode,
    },
    /// Its answer cannot be read.
    #[error("the answer of {origin} is not of the form that docs/PROTOCOL.md gives: {why}")]
    Form {
        /// Scheme and host.
        origin: String,
        /// What is wrong with it.
        why: String,
    },
    /// Its stream of events cannot be read any more.
    #[error("the tracker's stream {0}")]
    Stream(String),
}

impl TrackerError {
    /// What to try next.
    fn hint(&self) -> String {
        match self {
            Self::Url(_) | Self::Credentials => {
                "name it as in --tracker https://tracker.example.org or http://127.0.0.1:8000".to_owned()
            }
            Self::NoCertificates(_) => {
                "install those of the system (Debian: apt install ca-certificates)".to_owned()
            }
            Self::NotAsked { origin, .. } => {
                let what = if origin.starts_with("https:") { "there and speaks TLS" } else { "there" };
                format!("see whether it is {what}: curl {origin}/; --tracker or PEERCTL_TRACKER names another")
            }
            Self::Refused { status: StatusCode::UNAUTHORIZED, .. } => {
                "see that this machine's clock is right, and name the tracker as it calls itself: --server-name HOST"
                    .to_owned()
            }
            Self::Refused { status: StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, .. } => {
                "come again in a while: it was tried several times already".to_owned()
            }
            Self::Refused { origin, .. } => format!("what is allowed is on {origin}/docs"),
            Self::NoTracker { origin, .. } | Self::Form { origin, .. } => format!(
                "something else may be at {origin}, or a tracker of another version than this peerctl: curl {origin}/v1/stats"
            ),
            Self::Stream(_) => "the tracker may have been started again: run the command once more".to_owned(),
        }
    }
}

impl From<TrackerError> for Failure {
    fn from(error: TrackerError) -> Self {
        let hint = error.hint();
        match error {
            TrackerError::Url(_) | TrackerError::Credentials => Self::usage(error, hint),
            error => Self::failed(error, hint),
        }
    }
}
