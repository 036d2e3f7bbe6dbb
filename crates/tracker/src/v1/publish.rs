//! What a peer says about its own files.

use actix_web::web::{Data, Json};
use peer_core::FileName;
use peer_core::limits::{
    BODY_MAX_BYTES, FILE_SIZE_MAX, FILES_PER_PEER_MAX, PEER_TTL_MAX_SECS, PEER_TTL_MIN_SECS,
    PEERS_PER_FILE_MAX, PUBLISH_MAX,
};
use registry::{Entry, Publisher, Verdict};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, Post};
use super::schema::{FileNameText, PeerIdText, whole};
use crate::error::{ApiError, FieldError, InvalidBody, Place, Refusal};
use crate::legacy::{OK, Status};
use crate::server::App;

/// Largest body with a list of files, in bytes: 1,000 names and hashes of the usual length have a tenth of it.
const LIST_MAX_BYTES: usize = 2 << 20;

/// Who a peer says that it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct PeerClaim {
    /// Its id, an Ed25519 public key in base64url; the request is then signed with its key.
    #[schema(value_type = Option<PeerIdText>)]
    #[serde(default)]
    id: Option<String>,
    /// The port at which it serves its files.
    #[schema(minimum = 1, maximum = 65535)]
    #[serde(default, deserialize_with = "whole")]
    port: Option<u64>,
}

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

/// How long a peer lives.
#[derive(Debug, Serialize, ToSchema)]
struct Life {
    /// Seconds after its last sign of life until it is not handed out any more; null is never.
    ttl: Option<u64>,
    /// Seconds after which it should give the next sign of life; null where it need not.
    keepalive: Option<u64>,
}

impl Life {
    fn new(longest_secs: u64, asked_secs: Option<u64>) -> Self {
        let ttl = match (longest_secs, asked_secs) {
            (0, asked) => asked,
            (longest, asked) => Some(asked.map_or(longest, |asked| asked.min(longest))),
        };
        Self { ttl, keepalive: ttl.map(|ttl| (ttl / 2).max(1)) }
    }
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

fn publisher<B>(post: &Post<B>, claim: Option<&PeerClaim>, ttl: Option<u64>) -> Result<Publisher, ApiError> {
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

/// The names in a list, all of which have to be good.
pub(super) fn file_names(
    list: &'static str,
    names: &[String],
    most: usize,
) -> Result<Vec<FileName>, ApiError> {
    if names.len() > most {
        return Err(ApiError::TooMany { what: "names", most });
    }
    let mut errors = Vec::new();
    let mut files = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        match name.parse() {
            Ok(file) => files.push(file),
            Err(why) => errors.push(FieldError::refused_item(list, index, why, Some(name))),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(ApiError::Invalid(errors)) }
}

/// A sign of life.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct HeartbeatBody {
    /// Whose: by id, or the caller's address.
    #[serde(default)]
    peer: Option<PeerClaim>,
    /// A new time to live, in seconds.
    #[schema(minimum = 30, maximum = 315_360_000)]
    #[serde(default, deserialize_with = "whole")]
    ttl: Option<u64>,
}

impl Body for HeartbeatBody {
    const MAX_BYTES: usize = BODY_MAX_BYTES;

    fn id(&self) -> Option<&str> {
        self.peer.as_ref()?.id.as_deref()
    }
}

/// Whether a peer is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"alive": true, "ttl": 3600, "keepalive": 1800}))]
pub(crate) struct HeartbeatAnswer {
    /// False when the peer has nothing published, or was silent for too long: it has to publish again.
    alive: bool,
    #[serde(flatten)]
    life: Life,
}

/// A sign of life: it keeps all files of the peer, however many they are.
///
/// A peer with an id is from now on where this came from. It also brings back what was withheld after reports, when its wait is
/// over.
#[utoipa::path(
    post, path = "/v1/heartbeat", tag = "peers", request_body(content = HeartbeatBody, description = "May be left out", example = json!({"ttl": 3600})),
    params(("Peer-Signature" = Option<String>, Header, description = "`id=ID, time=SECONDS, sig=SIGNATURE`, where an id speaks")),
    responses(
        (status = 200, description = "Whether the peer is there", body = HeartbeatAnswer),
        (status = 401, description = "A signature is missing or not good", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 415, description = "Not JSON", body = Refusal),
        (status = 422, description = "Not as wanted", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn heartbeat(
    post: Post<HeartbeatBody>,
    app: Data<App>,
) -> Result<Json<HeartbeatAnswer>, ApiError> {
    let publisher = publisher(&post, post.body.peer.as_ref(), post.body.ttl)?;
    let alive = app.registry.heartbeat(&publisher).await?;
    Ok(Json(HeartbeatAnswer { alive, life: Life::new(app.peer_ttl_secs, post.body.ttl) }))
}
