//! The routes of the original, answer for answer.

use actix_web::body::BoxBody;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::web::{self, Data, Json, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder};
use peer_core::limits::PEERS_MAX;
use peer_core::{ContentHash, FileName, Peer};
use registry::{Entry, Publisher, Report, Verdict};
use serde::Serialize;
use utoipa::ToSchema;

use crate::call::Call;
use crate::error::{ApiError, InvalidBody, Refusal};
use crate::resource;
use crate::server::App;
use crate::v1::find::files_query;

/// Room for the body of [`Peers`] without them, in bytes, and for each: what is usual. More costs a copy.
const PEERS_JSON_BYTES: usize = 128;
const PEER_JSON_BYTES: usize = "\"255.255.255.255\",".len();

/// Puts the routes into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config
        .service(resource::get("/", root))
        .service(resource::get("/peers", peers))
        .service(resource::get("/all_trackers", files))
        // The newest published client uses GET for both, which the original refuses, so that it never publishes.
        .service(resource::get_or_post("/add", add))
        .service(resource::get_or_post("/remove", remove))
        .service(resource::post("/peer_offline", peer_offline))
        .default_service(web::to(not_found));
}

/// That it was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
pub(crate) struct Status {
    /// `ok`; `removed` of `/peer_offline`.
    status: &'static str,
}

pub(crate) const OK: Json<Status> = Json(Status { status: "ok" });

/// That the tracker answers.
#[utoipa::path(get, path = "/", operation_id = "legacy_root", tag = "legacy", responses((status = 200, description = "It does", body = Status)))]
pub(crate) async fn root() -> impl Responder {
    OK
}

/// The peers of a file.
#[derive(ToSchema)]
#[schema(example = json!({"filename": "site/index.html", "peers": ["198.51.100.1", "203.0.113.5"]}))]
pub(crate) struct Peers {
    /// Its name.
    #[schema(value_type = String)]
    filename: FileName,
    /// Addresses of living peers, at most 100 of them.
    #[schema(value_type = Vec<String>, example = json!(["198.51.100.1", "203.0.113.5"]))]
    peers: Vec<Peer>,
}

impl Peers {
    /// The answer that is asked for most, and the longest: written straight into its body.
    fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::with_capacity(PEERS_JSON_BYTES + self.peers.len() * PEER_JSON_BYTES);
        json.extend_from_slice(br#"{"filename":"#);
        // Writing to a Vec cannot fail.
        _ = serde_json::to_writer(&mut json, self.filename.as_str());
        json.extend_from_slice(br#","peers":["#);
        for (place, peer) in self.peers.iter().enumerate() {
            json.extend_from_slice(if place == 0 { b"\"" } else { b",\"" });
            // An address has nothing to escape.
            peer.write(&mut json);
            json.push(b'"');
        }
        json.extend_from_slice(b"]}");
        json
    }
}

impl Responder for Peers {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        const JSON: HeaderValue = HeaderValue::from_static("application/json");
        HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON)).body(self.to_json())
    }
}

/// The addresses of peers that have a file.
#[utoipa::path(
    get, path = "/peers", operation_id = "legacy_peers", tag = "legacy",
    params(("filename" = String, Query, description = "Name of the file", min_length = 1, max_length = 1024, pattern = r"^(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\\\u0000-\u001f\u007f-\u009f]+$", example = "site/index.html")),
    responses(
        (status = 200, description = "Addresses, none where nobody has the file", body = Peers),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often, or something is full", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn peers(call: Call, app: Data<App>) -> Result<Peers, ApiError> {
    let mut errors = Vec::new();
    let Some(file) = call.params.required::<FileName>("filename", &mut errors) else {
        return Err(ApiError::Invalid(errors));
    };
    let peers = app.registry.addresses(call.caller, &file, PEERS_MAX).await?;
    Ok(Peers { filename: file, peers })
}

/// Publishes a file of the caller. GET does the same, for clients that use it.
#[utoipa::path(
    method(get, post), path = "/add", operation_id = "legacy_add", tag = "legacy",
    params(
        ("filename" = String, Query, description = "Name of the file", min_length = 1, max_length = 1024, pattern = r"^(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\\\u0000-\u001f\u007f-\u009f]+$", example = "site/index.html"),
        ("hash" = String, Query, description = "Hash of its content that the caller claims", pattern = "^[A-Za-z0-9+/=_:.-]{1,128}$", example = "d41d8cd98f00b204e9800998ecf8427e"),
    ),
    responses(
        (status = 200, description = "Published", body = Status),
        (status = 403, description = "A page of another site made a browser send it", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often, or something is full", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn add(call: Call, app: Data<App>) -> Result<Json<Status>, ApiError> {
    call.may_change()?;
    let mut errors = Vec::new();
    let file = call.params.required::<FileName>("filename", &mut errors);
    let hash = call.params.required::<ContentHash>("hash", &mut errors);
    let (Some(file), Some(hash)) = (file, hash) else { return Err(ApiError::Invalid(errors)) };
    let entry = Entry { file, hash, size: None };
    let verdicts = app.registry.publish(&Publisher::legacy(call.caller), &[entry]).await?;
    match verdicts.first() {
        Some(Verdict::TooManyFiles) => Err(ApiError::TooManyFiles),
        Some(Verdict::TooManyPeers) => Err(ApiError::TooManyPeers),
        // One that is withheld is published all the same, and comes back by itself.
        Some(Verdict::Listed | Verdict::Withheld { .. }) | None => Ok(OK),
    }
}

/// Withdraws a file of the caller. GET does the same, for clients that use it.
#[utoipa::path(
    method(get, post), path = "/remove", operation_id = "legacy_remove", tag = "legacy",
    params(
        ("filename" = String, Query, description = "Name of the file", min_length = 1, max_length = 1024, pattern = r"^(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\\\u0000-\u001f\u007f-\u009f]+$", example = "site/index.html"),
        ("ip" = Option<String>, Query, description = "Another peer, which makes it a report about that one; left out, the caller", pattern = r"^(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])(?:\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}$", example = "203.0.113.5"),
    ),
    responses(
        (status = 200, description = "Withdrawn, or reported", body = Status),
        (status = 403, description = "A page of another site made a browser send it", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often, or something is full", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn remove(call: Call, app: Data<App>) -> Result<Json<Status>, ApiError> {
    call.may_change()?;
    let mut errors = Vec::new();
    let peer = call.params.optional::<Peer>("ip", &mut errors).unwrap_or(call.caller);
    let file = call.params.required::<FileName>("filename", &mut errors);
    let (Some(file), true) = (file, errors.is_empty()) else { return Err(ApiError::Invalid(errors)) };
    if peer == call.caller {
        app.registry.unpublish(peer.into(), &[file]).await?;
    } else {
        report(&app, &call, peer, Some(file)).await?;
    }
    Ok(OK)
}

/// Withdraws all files of the caller.
#[utoipa::path(
    post, path = "/peer_offline", operation_id = "legacy_peer_offline", tag = "legacy",
    params(("ip" = Option<String>, Query, description = "Another peer, which makes it a report about that one; left out, the caller", pattern = r"^(?:[1-9]|[1-9]\d|1\d\d|2[01]\d|22[0-3])(?:\.(?:\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])){3}$", example = "203.0.113.5")),
    responses(
        (status = 200, description = "Withdrawn, or reported", body = Status),
        (status = 403, description = "A page of another site made a browser send it", body = Refusal),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often, or something is full", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn peer_offline(call: Call, app: Data<App>) -> Result<Json<Status>, ApiError> {
    call.may_change()?;
    let mut errors = Vec::new();
    let peer = call.params.optional::<Peer>("ip", &mut errors).unwrap_or(call.caller);
    if !errors.is_empty() {
        return Err(ApiError::Invalid(errors));
    }
    if peer == call.caller {
        app.registry.unpublish_all(peer.into()).await?;
    } else {
        report(&app, &call, peer, None).await?;
    }
    Ok(Json(Status { status: "removed" }))
}

/// A page of the tracked files.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"files": ["site/index.html", "site/style.css"], "next": null}))]
pub(crate) struct Files {
    /// Names in order of their bytes.
    files: Vec<String>,
    /// The `cursor` of the next page; null where this is the last.
    next: Option<String>,
}

/// The tracked files, a page in order of name.
#[utoipa::path(
    get, path = "/all_trackers", operation_id = "legacy_files", tag = "legacy",
    params(
        ("prefix" = Option<String>, Query, description = "Only names that start with this", example = "site/"),
        ("limit" = Option<u16>, Query, description = "At most as many names", minimum = 1, maximum = 1000, example = 100),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of names", body = Files),
        (status = 413, description = "The body is too large", body = Refusal),
        (status = 422, description = "A parameter is missing or refused", body = InvalidBody),
        (status = 429, description = "The caller asks too often, or something is full", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn files(call: Call, app: Data<App>) -> Result<Json<Files>, ApiError> {
    let page = app.registry.files(call.caller, &files_query(&call)?).await?;
    let files = page.files.into_iter().map(|file| file.name).collect();
    Ok(Json(Files { files, next: page.last.filter(|_| page.more) }))
}

/// A client of the original that could not download from a peer removes it, for everybody. Nobody may do that to
/// another any more: such a call is a report, which hides the peer from who made it, so that this one sees what it expects.
async fn report(app: &App, call: &Call, subject: Peer, file: Option<FileName>) -> Result<(), ApiError> {
    app.metrics.reports.inc();
    let report = Report { reporter: call.caller, subject: subject.into(), file, decisive: call.operator };
    Ok(app.registry.report(&report).await?)
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn the_peers_of_a_file_are_json_whatever_its_name() {
        for name in ["a", "site/\"quoted\" 50%.html", "ü/\u{2028}/\u{1f600}"] {
            for addresses in [&[][..], &["203.0.113.5"], &["198.51.100.1", "2001:db8::7", "10.0.0.255"]] {
                let peers = addresses.iter().map(|address| address.parse().unwrap()).collect();
                let json = Peers { filename: name.parse().unwrap(), peers }.to_json();
                let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
                assert_eq!(json, serde_json::json!({"filename": name, "peers": addresses}));
            }
        }
    }
}
