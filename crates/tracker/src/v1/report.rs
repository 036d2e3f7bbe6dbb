//! What one says about another.

use actix_web::web::{Data, Json};
use peer_core::limits::BODY_MAX_BYTES;
use peer_core::{FileName, Invalid, Owner, Peer, PeerId};
use registry::Report;
use serde::Deserialize;
use service::telemetry::shown;
use utoipa::ToSchema;

use super::body::{Body, Post};
use super::schema::{AddressText, FileNameText, PeerIdText};
use crate::error::{ApiError, FieldError, InvalidBody, Place, Refusal};
use crate::legacy::{OK, Status};
use crate::server::App;

/// Longest reason, in characters.
const REASON_MAX_CHARS: usize = 200;

/// "This peer did not serve it."
#[derive(Debug, Deserialize)]
pub(crate) struct ReportBody {
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    ip: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// [`ReportBody`] as it is described.
#[derive(ToSchema)]
#[schema(as = ReportBody)]
#[serde(untagged)]
#[expect(dead_code, reason = "stands for its schema")]
pub(crate) enum ReportSchema {
    /// About whoever is at an address.
    Address {
        /// The address.
        ip: AddressText,
        /// The file; left out, all files of the peer.
        filename: Option<FileNameText>,
        /// What happened, for the operator's log.
        #[schema(max_length = 200)]
        reason: Option<String>,
    },
    /// About whoever has an id.
    Id {
        /// The id.
        id: PeerIdText,
        /// The file; left out, all files of the peer.
        filename: Option<FileNameText>,
        /// What happened, for the operator's log.
        #[schema(max_length = 200)]
        reason: Option<String>,
    },
}

impl Body for ReportBody {
    const MAX_BYTES: usize = BODY_MAX_BYTES;
}

/// Says that a peer did not serve a file.
///
/// The peer is hidden from the caller for that file at once, for ten minutes. It goes for everybody when callers of three
/// different networks said so within ten minutes, or when the operator does. A publish or heartbeat of the
/// peer after that brings it back: at once the first time, after a growing wait each further time.
#[utoipa::path(
    post, path = "/v1/report", tag = "files", request_body(
        content = ReportSchema,
        example = json!({"ip": "203.0.113.5", "filename": "site/index.html", "reason": "timed out"}),
    ),
    responses(
        (status = 200, description = "Taken note of", body = Status),
        (status = 401, description = "A signature is not good", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 415, description = "Not JSON", body = Refusal),
        (status = 422, description = "Not as wanted", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn report(post: Post<ReportBody>, app: Data<App>) -> Result<Json<Status>, ApiError> {
    let ReportBody { filename, ip, id, reason } = &post.body;
    let mut errors = Vec::new();
    let mut refuse = |name, why: Invalid, input: &str| {
        errors.push(FieldError::refused(Place::Body, name, why, Some(input)));
    };
    let file = filename
        .as_ref()
        .and_then(|name| name.parse::<FileName>().inspect_err(|why| refuse("filename", *why, name)).ok());
    let subject = match (ip, id) {
        (Some(ip), None) => {
            ip.parse::<Peer>().inspect_err(|why| refuse("ip", *why, ip)).ok().map(Owner::Address)
        }
        (None, Some(id)) => {
            id.parse::<PeerId>().inspect_err(|why| refuse("id", *why, id)).ok().map(Owner::Key)
        }
        _ => {
            errors.push(FieldError::body("either ip or id is wanted".to_owned()));
            None
        }
    };
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_MAX_CHARS) {
        let why = format!("a reason has at most {REASON_MAX_CHARS} characters");
        errors.push(FieldError::refused(Place::Body, "reason", why, None));
    }
    let (Some(subject), true) = (subject, errors.is_empty()) else { return Err(ApiError::Invalid(errors)) };
    log(post.caller, &subject, file.as_ref(), reason.as_deref());
    app.metrics.reports.inc();
    let report = Report { reporter: post.caller, subject, file, decisive: post.operator };
    app.registry.report(&report).await?;
    Ok(OK)
}

fn log(reporter: Peer, subject: &Owner, file: Option<&FileName>, reason: Option<&str>) {
    let reporter = shown(reporter.ip());
    match subject {
        Owner::Address(subject) => {
            tracing::debug!(%reporter, subject = %shown(subject.ip()), ?file, ?reason, "report");
        }
        Owner::Key(subject) => tracing::debug!(%reporter, %subject, ?file, ?reason, "report"),
    }
}
