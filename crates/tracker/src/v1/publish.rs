//! A peer publishes files.

use actix_web::web::{Data, Json};
use peer_core::limits::{FILE_SIZE_MAX, FILES_PER_PEER_MAX, PEERS_PER_FILE_MAX, PUBLISH_MAX};
use registry::{Entry, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, Post};
use super::schema::whole;
use super::speaker::{Life, PeerClaim, publisher};
use crate::error::{ApiError, FieldError, InvalidBody, Refusal};
use crate::server::App;

/// Largest body with a list of files, in bytes: 1,000 names and hashes of the usual length have a tenth of it.
pub(super) const LIST_MAX_BYTES: usize = 2 << 20;

/// A file of a peer.
#[derive(Debug, Deserialize, ToSchema)]
struct PublishedFile {
    /// Its name: 1 to 1,024 bytes, relative, no `.` or `..` segment, no backslash, no control characters.
    #[schema(example = "site/index.html")]
    filename: String,
    /// The hash of its content: 1 to 128 of letters, digits and `+ / = _ : . -`.
    #[schema(example = "d41d8cd98f00b204e9800998ecf8427e")]
    hash: String,
    /// Its size in bytes, up to 2^53 - 1.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    #[serde(default, deserialize_with = "whole")]
    size: Option<u64>,
}

/// Files to be published.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PublishBody {
    /// Who publishes.
    #[serde(default)]
    peer: Option<PeerClaim>,
    /// Its files.
    #[schema(max_items = 1000)]
    files: Vec<PublishedFile>,
    /// How long the peer lives after each sign of life, in seconds; at most as long as the server lets peers live.
    #[schema(minimum = 30, maximum = 315_360_000)]
    #[serde(default, deserialize_with = "whole")]
    ttl: Option<u64>,
}

impl Body for PublishBody {
    const MAX_BYTES: usize = LIST_MAX_BYTES;

    fn id(&self) -> Option<&str> {
        self.peer.as_ref()?.id.as_deref()
    }
}

/// What became of a file.
#[derive(Debug, Serialize, ToSchema)]
struct PublishedAnswer {
    /// Its name, as it was given.
    filename: String,
    /// Whether the server keeps it.
    accepted: bool,
    /// Why not, or not yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Where it is kept and not handed out: after how many seconds a publish or heartbeat brings it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<u64>,
}

impl PublishedAnswer {
    fn new(filename: String, verdict: Verdict) -> Self {
        let (accepted, reason, withheld) = match verdict {
            Verdict::Listed => (true, None, None),
            Verdict::Withheld { secs } => {
                (true, Some("other peers reported that it was not served".to_owned()), Some(secs))
            }
            Verdict::TooManyFiles => {
                (false, Some(format!("a peer has at most {FILES_PER_PEER_MAX} files")), None)
            }
            Verdict::TooManyPeers => {
                (false, Some(format!("a file has at most {PEERS_PER_FILE_MAX} peers")), None)
            }
        };
        Self { filename, accepted, reason, withheld }
    }

    fn refused(filename: String, why: String) -> Self {
        Self { filename, accepted: false, reason: Some(why), withheld: None }
    }
}

/// What became of a publish.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"files": [{"filename": "site/index.html", "accepted": true}, {"filename": "../up.html", "accepted": false, "reason": "a segment of a file name may not be '..'"}], "ttl": 3600, "keepalive": 1800}))]
pub(crate) struct PublishAnswer {
    /// Each file, in order.
    files: Vec<PublishedAnswer>,
    #[serde(flatten)]
    life: Life,
}

/// Publishes up to 1,000 files at once: a whole site.
///
/// Each file is accepted or refused on its own. Without an id the mappings belong to the caller's address; with one, and
/// a `Peer-Signature` header, to the id, wherever it calls from.
#[utoipa::path(
    post, path = "/v1/publish", tag = "peers", request_body(
        content = PublishBody,
        example = json!({"peer": {"port": 4001}, "files": [{"filename": "site/index.html", "hash": "d41d8cd98f00b204e9800998ecf8427e", "size": 0}], "ttl": 3600}),
    ),
    params(("Peer-Signature" = Option<String>, Header, description = "`id=ID, time=SECONDS, sig=SIGNATURE`, where an id speaks")),
    responses(
        (status = 200, description = "What became of each file", body = PublishAnswer),
        (status = 401, description = "A signature is missing or not good", body = Refusal),
        (status = 413, description = "Too many files", body = Refusal),
        (status = 415, description = "Not JSON", body = Refusal),
        (status = 422, description = "Not as wanted", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn publish(
    post: Post<PublishBody>,
    app: Data<App>,
) -> Result<Json<PublishAnswer>, ApiError> {
    let Post { body, .. } = &post;
    if body.files.len() > PUBLISH_MAX {
        return Err(ApiError::TooMany { what: "files", most: PUBLISH_MAX });
    }
    let publisher = publisher(&post, body.peer.as_ref(), body.ttl)?;
    let is_too_large = |file: &PublishedFile| file.size.is_some_and(|size| size > FILE_SIZE_MAX);
    if let Some(index) = body.files.iter().position(is_too_large) {
        let why = format!("a size is at most {FILE_SIZE_MAX} bytes");
        return Err(ApiError::Invalid(vec![FieldError::refused_item("files", index, why, None)]));
    }
    let parsed: Vec<Result<Entry, String>> = body.files.iter().map(entry).collect();
    let entries: Vec<Entry> = parsed.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
    let mut verdicts = app.registry.publish(&publisher, &entries).await?.into_iter();
    let life = Life::new(app.peer_ttl_secs, body.ttl);
    let files = post.body.files.into_iter().zip(parsed).filter_map(|(file, entry)| match entry {
        Ok(_) => verdicts.next().map(|verdict| PublishedAnswer::new(file.filename, verdict)),
        Err(why) => Some(PublishedAnswer::refused(file.filename, why)),
    });
    Ok(Json(PublishAnswer { files: files.collect(), life }))
}

fn entry(file: &PublishedFile) -> Result<Entry, String> {
    let name = file.filename.parse().map_err(|why: peer_core::Invalid| why.to_string())?;
    let hash = file.hash.parse().map_err(|why: peer_core::Invalid| why.to_string())?;
    Ok(Entry { file: name, hash, size: file.size })
}
