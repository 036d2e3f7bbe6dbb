//! A peer withdraws what it published.

use actix_web::web::{Data, Json};
use peer_core::limits::PUBLISH_MAX;
use serde::Deserialize;
use utoipa::ToSchema;

use super::body::{Body, Post, file_names};
use super::publish::LIST_MAX_BYTES;
use super::schema::FileNameText;
use super::speaker::PeerClaim;
use crate::error::{ApiError, FieldError, InvalidBody, Refusal};
use crate::legacy::{OK, Status};
use crate::server::App;

/// Files to be withdrawn: `files`, or `all`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct UnpublishBody {
    #[serde(default)]
    peer: Option<PeerClaim>,
    #[serde(default)]
    files: Option<Vec<String>>,
    #[serde(default)]
    all: Option<bool>,
}

/// [`UnpublishBody`] as it is described.
#[derive(ToSchema)]
#[schema(as = UnpublishBody)]
#[serde(untagged)]
#[expect(dead_code, reason = "stands for its schema")]
pub(crate) enum UnpublishSchema {
    /// Some.
    Files {
        /// Whose: by id, or the caller's address.
        peer: Option<PeerClaim>,
        /// Their names.
        #[schema(max_items = 1000)]
        files: Vec<FileNameText>,
    },
    /// All.
    All {
        /// Whose: by id, or the caller's address.
        peer: Option<PeerClaim>,
        /// Whether it is meant.
        all: bool,
    },
}

impl Body for UnpublishBody {
    const MAX_BYTES: usize = LIST_MAX_BYTES;

    fn id(&self) -> Option<&str> {
        self.peer.as_ref()?.id.as_deref()
    }
}

/// Withdraws files of the caller's own, or all of them.
///
/// Either `files` or `"all": true` is given. Names that were not published do no harm.
#[utoipa::path(
    post, path = "/v1/unpublish", tag = "peers", request_body(content = UnpublishSchema, example = json!({"files": ["site/index.html"]})),
    params(("Peer-Signature" = Option<String>, Header, description = "`id=ID, time=SECONDS, sig=SIGNATURE`, where an id speaks")),
    responses(
        (status = 200, description = "Withdrawn", body = Status),
        (status = 401, description = "A signature is missing or not good", body = Refusal),
        (status = 413, description = "Too many names", body = Refusal),
        (status = 415, description = "Not JSON", body = Refusal),
        (status = 422, description = "Not as wanted", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn unpublish(post: Post<UnpublishBody>, app: Data<App>) -> Result<Json<Status>, ApiError> {
    match (&post.body.files, post.body.all) {
        (None, Some(true)) => app.registry.unpublish_all(post.owner).await?,
        (None, Some(false)) => {}
        (Some(names), None) => {
            let files = file_names("files", names, PUBLISH_MAX)?;
            app.registry.unpublish(post.owner, &files).await?;
        }
        (Some(_), Some(_)) | (None, None) => {
            let why = "either files or \"all\": true is wanted";
            return Err(ApiError::Invalid(vec![FieldError::body(why.to_owned())]));
        }
    }
    Ok(OK)
}
