//! The HTTP server around the routes: sockets, limits, counting, drain.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, PayloadConfig};
use actix_web::{Error, HttpServer};
use peer_core::limits::BODY_MAX_BYTES;
use registry::Registry;
use service::admin::log_listening;
use service::{Failure, Shutdown};

use crate::legacy;
use crate::metrics::Metrics;
use crate::proxies::TrustedProxies;

/// How long requests in flight have at shutdown, in seconds: less than the 8 that a supervisor waits, by the one
/// that the server takes beyond it and one to spare.
const DRAIN_SECS: u64 = 5;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be idle between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What every request can reach.
pub(crate) struct App {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) trusted: TrustedProxies,
    pub(crate) metrics: Metrics,
}

/// Serves `listeners` until `shutdown`, then drains.
pub(crate) async fn serve(
    app: Data<App>,
    listeners: Vec<TcpListener>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let failed = |error| Failure::run("tracker", error);
    let mut server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(Data::clone(&app))
            .app_data(PayloadConfig::new(BODY_MAX_BYTES))
            .wrap(from_fn(count))
            .configure(legacy::routes)
    })
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(DRAIN_SECS)
    .disable_signals();
    for listener in listeners {
        log_listening("tracker", listener.local_addr().ok());
        server = server.listen(listener).map_err(failed)?;
    }
    let server = server.run();
    let handle = server.handle();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.stop(true).await;
    });
    server.await.map_err(failed)
}

async fn count(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let app = request.app_data::<Data<App>>().cloned();
    let route = request.match_pattern();
    let answer = next.call(request).await;
    if let Some(app) = app {
        let status = match &answer {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        app.metrics.request(route, status.as_u16());
    }
    answer
}
