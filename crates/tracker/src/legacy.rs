//! The routes of the original, answer for answer.

use actix_web::web::{self, Data, Json, ServiceConfig};
use actix_web::{HttpResponse, Responder};
use peer_core::limits::{FILES_DEFAULT, FILES_MAX, PEERS_MAX};
use peer_core::{ContentHash, FileName, Peer};
use registry::FilesQuery;
use serde::Serialize;

use crate::call::Call;
use crate::error::ApiError;
use crate::server::App;

/// Puts the routes into an application.
pub(crate) fn routes(config: &mut ServiceConfig) {
    let other_method = |allowed| web::to(move || async move { method_not_allowed(allowed) });
    config
        .service(web::resource("/").route(web::get().to(root)).default_service(other_method("GET")))
        .service(web::resource("/peers").route(web::get().to(peers)).default_service(other_method("GET")))
        .service(
            web::resource("/all_trackers").route(web::get().to(files)).default_service(other_method("GET")),
        )
        // The newest published client uses GET for both, which the original refuses, so that it never publishes.
        .service(
            web::resource("/add")
                .route(web::get().to(add))
                .route(web::post().to(add))
                .default_service(other_method("GET, POST")),
        )
        .service(
            web::resource("/remove")
                .route(web::get().to(remove))
                .route(web::post().to(remove))
                .default_service(other_method("GET, POST")),
        )
        .service(
            web::resource("/peer_offline")
                .route(web::post().to(peer_offline))
                .default_service(other_method("POST")),
        )
        .default_service(web::to(not_found));
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

const OK: Json<Status> = Json(Status { status: "ok" });

async fn root() -> impl Responder {
    OK
}

#[derive(Serialize)]
struct Peers {
    filename: String,
    peers: Vec<Peer>,
}

async fn peers(call: Call, app: Data<App>) -> Result<Json<Peers>, ApiError> {
    let mut errors = Vec::new();
    let Some(file) = call.params.required::<FileName>("filename", &mut errors) else {
        return Err(ApiError::Invalid(errors));
    };
    let peers = app.registry.peers(call.caller, &file, PEERS_MAX).await?;
    Ok(Json(Peers { filename: file.to_string(), peers }))
}

async fn add(call: Call, app: Data<App>) -> Result<Json<Status>, ApiError> {
    call.may_change()?;
    let mut errors = Vec::new();
    let file = call.params.required::<FileName>("filename", &mut errors);
    let hash = call.params.required::<ContentHash>("hash", &mut errors);
    let (Some(file), Some(hash)) = (file, hash) else { return Err(ApiError::Invalid(errors)) };
    app.registry.add(call.caller, &file, &hash).await?;
    Ok(OK)
}

async fn remove(call: Call, app: Data<App>) -> Result<Json<Status>, ApiError> {
    call.may_change()?;
    let mut errors = Vec::new();
    let peer = call.params.optional::<Peer>("ip", &mut errors).unwrap_or(call.caller);
    let file = call.params.required::<FileName>("filename", &mut errors);
    let (Some(file), true) = (file, errors.is_empty()) else { return Err(ApiError::Invalid(errors)) };
    app.registry.remove(call.caller, peer, &file).await?;
    Ok(OK)
}

async fn peer_offline(call: Call, app: Data<App>) -> Result<Json<Status>, ApiError> {
    call.may_change()?;
    let mut errors = Vec::new();
    let peer = call.params.optional::<Peer>("ip", &mut errors).unwrap_or(call.caller);
    if !errors.is_empty() {
        return Err(ApiError::Invalid(errors));
    }
    app.registry.remove_peer(call.caller, peer).await?;
    Ok(Json(Status { status: "removed" }))
}

#[derive(Serialize)]
struct Files {
    files: Vec<String>,
    next: Option<String>,
}

async fn files(call: Call, app: Data<App>) -> Result<Json<Files>, ApiError> {
    let mut errors = Vec::new();
    let prefix = call.params.optional::<String>("prefix", &mut errors).unwrap_or_default();
    let after = call.params.optional::<String>("cursor", &mut errors).filter(|cursor| !cursor.is_empty());
    let limit = call.params.number("limit", (1, FILES_DEFAULT, FILES_MAX), &mut errors);
    let (Some(limit), true) = (limit, errors.is_empty()) else { return Err(ApiError::Invalid(errors)) };
    let page = app.registry.files(call.caller, &FilesQuery { prefix, after, limit }).await?;
    Ok(Json(Files { files: page.files, next: page.last.filter(|_| page.more) }))
}

async fn not_found() -> Result<HttpResponse, ApiError> {
    Err(ApiError::NotFound)
}

fn method_not_allowed(allowed: &'static str) -> Result<HttpResponse, ApiError> {
    Err(ApiError::MethodNotAllowed(allowed))
}
