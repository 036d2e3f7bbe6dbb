//! How much there is, once or every second.

use std::convert::Infallible;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Json};
use futures_util::stream::{self, Stream};
use registry::Stats;
use serde::Serialize;
use service::Shutdown;
use utoipa::ToSchema;

use crate::call;
use crate::error::{ApiError, Refusal};
use crate::server::App;
use crate::stats::STATS_INTERVAL;

/// Counts of the whole service.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"peers": 2, "files": 3, "mappings": 4}))]
pub(crate) struct StatsAnswer {
    /// Peers that have at least one file.
    peers: u64,
    /// Files that at least one peer has.
    files: u64,
    /// Pairs of a peer and a file that it has.
    mappings: u64,
}

impl From<Stats> for StatsAnswer {
    fn from(Stats { peers, files, mappings }: Stats) -> Self {
        Self { peers, files, mappings }
    }
}

/// How much there is. The dead count until they are swept, which takes a second or so.
#[utoipa::path(
    get, path = "/v1/stats", tag = "service",
    responses(
        (status = 200, description = "Counts, at most a second old", body = StatsAnswer),
        (status = 429, description = "The caller asks too often", body = Refusal),
        (status = 503, description = "The store is not there", body = Refusal),
    )
)]
pub(crate) async fn stats(app: Data<App>) -> Result<Json<StatsAnswer>, ApiError> {
    Ok(Json(app.stats.read(&*app.registry).await?.into()))
}

/// The same every second, as server-sent events (WHATWG HTML, "Server-sent events").
///
/// An event `stats` has the counts as JSON; an event `unavailable` says that the store is not there.
#[utoipa::path(
    get, path = "/v1/stats/stream", tag = "service",
    responses(
        (status = 200, description = "Events until either side ends", content_type = "text/event-stream", body = String, example = "event: stats\ndata: {\"peers\":2,\"files\":3,\"mappings\":4}\n\n"),
        (status = 429, description = "The caller asks too often, or listens as often as it may", body = Refusal),
        (status = 503, description = "As many listen as may", body = Refusal),
    )
)]
pub(crate) async fn stream(app: Data<App>, shutdown: Data<Shutdown>) -> Result<HttpResponse, ApiError> {
    let place = app.listeners.listen(call::entered()?)?;
    let ticks = tokio::time::interval(STATS_INTERVAL);
    let events =
        stream::unfold((app, shutdown, ticks, place), |(app, shutdown, mut ticks, place)| async move {
            tokio::select! {
                // Else it would hold up the drain.
                () = shutdown.cancelled() => return None,
                _ = ticks.tick() => {}
            }
            let event = event(&app).await;
            Some((Ok::<_, Infallible>(event), (app, shutdown, ticks, place)))
        });
    Ok(event_stream(events))
}

/// An answer of server-sent events.
pub(super) fn event_stream(events: impl Stream<Item = Result<Bytes, Infallible>> + 'static) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("Cache-Control", "no-cache"))
        // nginx would keep the events back otherwise.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(Box::pin(events))
}

async fn event(app: &App) -> Bytes {
    let stats = app.stats.read(&*app.registry).await.ok();
    let data = stats.and_then(|stats| serde_json::to_string(&StatsAnswer::from(stats)).ok());
    match data {
        Some(data) => format!("event: stats\ndata: {data}\n\n").into(),
        None => Bytes::from_static(b"event: unavailable\ndata: {}\n\n"),
    }
}
