//! What goes on now, for the dashboard.

use std::convert::Infallible;

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data};
use futures_util::stream::{self, StreamExt as _};
use service::Shutdown;

use super::stats::event_stream;
use crate::call;
use crate::error::{ApiError, Refusal};
use crate::server::App;

/// Figures of the last five minutes, and then of every second, as server-sent events.
///
/// An event `history` has a list of samples, an event `sample` a single one, in JSON: `at_ms` since 1970, `elapsed_ms` since the
/// sample before, `stored` (peers, files and mappings; null while the store is away), `store` (its kind, whether it is ready, how many us it
/// took to answer), `answers` by status, `p50_us` and `p99_us` of the time that they took, `memory_bytes`, and `matchmaker`
/// (null where none is connected): its peers now, by kind of NAT too, and datagrams and connects since the sample before.
#[utoipa::path(
    get, path = "/v1/stats/live", tag = "service",
    responses(
        (status = 200, description = "Events until either side ends", content_type = "text/event-stream", body = String, example = "event: history\ndata: []\n\nevent: sample\ndata: {\"at_ms\":1764000000000,\"elapsed_ms\":1000,\"stored\":{\"peers\":2,\"files\":3,\"mappings\":4},\"store\":{\"kind\":\"embedded\",\"ready\":true,\"answer_us\":11},\"answers\":{\"200\":7,\"404\":1},\"p50_us\":95,\"p99_us\":223,\"memory_bytes\":31457280,\"matchmaker\":null}\n\n"),
        (status = 429, description = "The caller asks too often, or listens as often as it may", body = Refusal),
        (status = 503, description = "As many listen as may", body = Refusal),
    )
)]
pub(crate) async fn live(app: Data<App>, shutdown: Data<Shutdown>) -> Result<HttpResponse, ApiError> {
    let place = app.listeners.listen(call::entered()?)?;
    let (history, latest) = app.live.listen();
    let samples = stream::unfold((latest, shutdown, place), |(mut latest, shutdown, place)| async move {
        tokio::select! {
            // Else it would hold up the drain.
            () = shutdown.cancelled() => return None,
            changed = latest.changed() => changed.ok()?,
        }
        let event = latest.borrow_and_update().clone();
        Some((event, (latest, shutdown, place)))
    });
    let events = stream::once(async { history }).chain(samples);
    Ok(event_stream(events.map(Ok::<Bytes, Infallible>)))
}
