//! What one asks about the files of others.

use std::str::FromStr;

use actix_web::web::{Data, Json};
use peer_core::limits::{EXCLUDE_MAX, FILES_DEFAULT, FILES_MAX, HOLDERS_DEFAULT, HOLDERS_MAX, LOOKUP_MAX};
use peer_core::{ContentHash, FileName, Invalid, Owner, Peer, PeerId};
use registry::{FilesQuery, Holder, Holders, HoldersQuery};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Body, Post, file_names};
use super::schema::{FileNameText, whole};
use crate::call::Call;
use crate::error::{ApiError, FieldError, InvalidBody, Place, Refusal};
use crate::server::{App, Hears};

/// Peers of each file in an answer of `lookup` when the caller names no limit.
const LOOKUP_PEERS_DEFAULT: usize = 10;
/// Most peers of each file in an answer of `lookup`.
const LOOKUP_PEERS_MAX: usize = 50;

/// A peer that has a file.
#[derive(Debug, Serialize, ToSchema)]
struct FoundPeer {
    /// Its address.
    #[schema(value_type = String, example = "203.0.113.5")]
    ip: Peer,
    /// The port at which it serves, where it said so.
    port: Option<u16>,
    /// Its id, where it has one.
    #[schema(value_type = Option<String>)]
    id: Option<PeerId>,
    /// The hash that it claims for its content.
    hash: String,
    /// The size that it claims, in bytes.
    size: Option<u64>,
    /// Its last sign of life, in seconds since 1970.
    last_seen: u64,
    /// Whether a matchmaker hears it; null where the tracker cannot know.
    online: Option<bool>,
}

impl FoundPeer {
    fn new(holder: &Holder, hears: Option<&Hears>) -> Self {
        let here = hears.map(|hears| hears(holder.owner));
        // Several matchmakers may hear it, or one of those that only the store knows of.
        let online = match (holder.online, here) {
            (Some(store), Some(here)) => Some(store || here),
            (store, here) => store.or(here),
        };
        Self {
            ip: holder.address,
            port: holder.port,
            id: holder.owner.id(),
            hash: holder.hash.to_string(),
            size: holder.size,
            last_seen: holder.last_seen_ms / 1_000,
            online,
        }
    }
}

/// The peers of a file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"filename": "site/index.html", "total": 1, "peers": [{"ip": "203.0.113.5", "port": 4001, "id": null, "hash": "d41d8cd98f00b204e9800998ecf8427e", "size": 0, "last_seen": 1_764_000_000, "online": null}]}))]
pub(crate) struct FoundFile {
    /// Its name.
    filename: String,
    /// How many peers are listed for it, with those that are withheld or died a moment ago.
    total: usize,
    /// A fair sample of the living ones, those first that are online.
    peers: Vec<FoundPeer>,
}

impl FoundFile {
    pub(super) fn new(file: &FileName, found: &Holders, app: &App) -> Self {
        let hears = app.hears.as_ref();
        let mut peers: Vec<_> = found.holders.iter().map(|holder| FoundPeer::new(holder, hears)).collect();
        peers.sort_by_key(|peer| peer.online != Some(true));
        Self { filename: file.to_string(), total: found.total, peers }
    }
}

/// Peers to leave out: addresses and ids, separated by commas.
#[derive(Debug)]
struct Exclude(Vec<Owner>);

impl FromStr for Exclude {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let owners: Result<Vec<Owner>, Invalid> =
            text.split(',').filter(|_| !text.is_empty()).map(str::parse).collect();
        let owners = owners.map_err(|why| format!("addresses and ids, separated by commas: {why}"))?;
        if owners.len() > EXCLUDE_MAX {
            return Err(format!("at most {EXCLUDE_MAX} peers can be left out"));
        }
        Ok(Self(owners))
    }
}

/// A fair random sample of the living peers that have a file, those first that are online.
///
/// The caller's own address is left out, and who the caller reported.
#[utoipa::path(
    get, path = "/v1/peers", tag = "files",
    params(
        ("filename" = String, Query, description = "Name of the file", min_length = 1, max_length = 1024, pattern = r"^(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\\\u0000-\u001f\u007f-\u009f]+$", example = "site/index.html"),
        ("hash" = Option<String>, Query, description = "Only peers that claim this hash", pattern = "^[A-Za-z0-9+/=_:.-]{1,128}$", example = "d41d8cd98f00b204e9800998ecf8427e"),
        ("limit" = Option<u16>, Query, description = "At most as many peers", minimum = 1, maximum = 200, example = 50),
        ("exclude" = Option<String>, Query, description = "Addresses and ids to leave out, separated by commas, at most 200; the pattern has IPv4 only", max_length = 2000, pattern = r"^(?:(?:(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])(?:\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}|[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])(?:,(?:(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])(?:\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}|[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]))*)?$", example = "203.0.113.5"),
    ),
    responses(
        (status = 200, description = "Peers, none where nobody has the file", body = FoundFile),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn peers(call: Call, app: Data<App>) -> Result<Json<FoundFile>, ApiError> {
    let mut errors = Vec::new();
    let file = call.params.required::<FileName>("filename", &mut errors);
    let hash = call.params.optional::<ContentHash>("hash", &mut errors);
    let limit = call.params.number("limit", (1, HOLDERS_DEFAULT, HOLDERS_MAX), &mut errors);
    let exclude = call.params.optional::<Exclude>("exclude", &mut errors).map(|exclude| exclude.0);
    let (Some(file), Some(limit), true) = (file, limit, errors.is_empty()) else {
        return Err(ApiError::Invalid(errors));
    };
    let query = HoldersQuery { file, hash, limit, exclude: exclude.unwrap_or_default() };
    let found =
        app.registry.holders(call.caller, std::slice::from_ref(&query)).await?.pop().unwrap_or_default();
    Ok(Json(FoundFile::new(&query.file, &found, &app)))
}

/// Files to be found.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct LookupBody {
    /// Their names.
    #[schema(max_items = 200, value_type = Vec<FileNameText>)]
    filenames: Vec<String>,
    /// At most as many peers of each; 10 where it is left out.
    #[schema(minimum = 1, maximum = 50)]
    #[serde(default, deserialize_with = "whole")]
    limit: Option<u64>,
}

impl Body for LookupBody {
    /// Room for 200 of the longest names, most of whose bytes are escaped.
    const MAX_BYTES: usize = 1 << 20;
}

/// The peers of each of several files.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"files": [{"filename": "site/index.html", "total": 1, "peers": [{"ip": "203.0.113.5", "port": 4001, "id": null, "hash": "d41d8cd98f00b204e9800998ecf8427e", "size": 0, "last_seen": 1_764_000_000, "online": null}]}]}))]
pub(crate) struct LookupAnswer {
    /// In the order in which they were asked for.
    files: Vec<FoundFile>,
}

/// The peers of a page and of all that it links to, up to 200 files at once.
#[utoipa::path(
    post, path = "/v1/lookup", tag = "files", request_body(content = LookupBody, example = json!({"filenames": ["site/index.html", "site/style.css"], "limit": 10})),
    responses(
        (status = 200, description = "The peers of each file", body = LookupAnswer),
        (status = 401, description = "A signature is not good", body = Refusal),
        (status = 413, description = "Too many names", body = Refusal),
        (status = 415, description = "Not JSON", body = Refusal),
        (status = 422, description = "Not as wanted", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn lookup(post: Post<LookupBody>, app: Data<App>) -> Result<Json<LookupAnswer>, ApiError> {
    let limit = post.body.limit.map_or(Ok(LOOKUP_PEERS_DEFAULT), usize::try_from).unwrap_or(usize::MAX);
    if !(1..=LOOKUP_PEERS_MAX).contains(&limit) {
        let why = format!("a whole number from 1 to {LOOKUP_PEERS_MAX} is wanted");
        return Err(ApiError::Invalid(vec![FieldError::refused(Place::Body, "limit", why, None)]));
    }
    let queries: Vec<HoldersQuery> = file_names("filenames", &post.body.filenames, LOOKUP_MAX)?
        .into_iter()
        .map(|file| HoldersQuery { file, hash: None, limit, exclude: Vec::new() })
        .collect();
    let found = app.registry.holders(post.caller, &queries).await?;
    let files =
        queries.iter().zip(found).map(|(query, found)| FoundFile::new(&query.file, &found, &app)).collect();
    Ok(Json(LookupAnswer { files }))
}

/// A file in a listing.
#[derive(Debug, Serialize, ToSchema)]
struct ListedFile {
    /// Its name.
    filename: String,
    /// How many peers are listed for it, with those that are withheld or died a moment ago.
    peers: usize,
}

/// A page of a listing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"files": [{"filename": "site/index.html", "peers": 1}], "next": null}))]
pub(crate) struct Listing {
    /// In order of the bytes of their names.
    files: Vec<ListedFile>,
    /// The `cursor` of the next page; null where this is the last.
    next: Option<String>,
}

/// The files that living peers have, a page in order of name: a site's listing by its prefix.
#[utoipa::path(
    get, path = "/v1/files", tag = "files",
    params(
        ("prefix" = Option<String>, Query, description = "Only names that start with this", example = "site/"),
        ("limit" = Option<u16>, Query, description = "At most as many files", minimum = 1, maximum = 1000, example = 100),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of files", body = Listing),
        (status = 422, description = "A parameter is refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn files(call: Call, app: Data<App>) -> Result<Json<Listing>, ApiError> {
    let page = app.registry.files(call.caller, &files_query(&call)?).await?;
    let files =
        page.files.into_iter().map(|file| ListedFile { filename: file.name, peers: file.peers }).collect();
    Ok(Json(Listing { files, next: page.last.filter(|_| page.more) }))
}

/// `prefix`, `cursor` and `limit` of a listing.
pub(crate) fn files_query(call: &Call) -> Result<FilesQuery, ApiError> {
    let mut errors = Vec::new();
    let prefix = call.params.optional::<String>("prefix", &mut errors).unwrap_or_default();
    let after = call.params.optional::<String>("cursor", &mut errors).filter(|cursor| !cursor.is_empty());
    let limit = call.params.number("limit", (1, FILES_DEFAULT, FILES_MAX), &mut errors);
    match limit {
        Some(limit) if errors.is_empty() => Ok(FilesQuery { prefix, after, limit }),
        _ => Err(ApiError::Invalid(errors)),
    }
}
