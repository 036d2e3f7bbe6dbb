//! The HTTP server around the routes: sockets, limits, counting, drain.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, PayloadConfig};
use actix_web::{Error, HttpMessage as _, HttpServer};
use peer_core::limits::BODY_MAX_BYTES;
use registry::Registry;
use service::admin::log_listening;
use service::{Failure, Shutdown};

use crate::caller;
use crate::error::ApiError;
use crate::live::Live;
use crate::metrics::{self, Metrics};
use crate::operator::OperatorToken;
use crate::proxies::TrustedProxies;
use crate::rate::Callers;
use crate::signature::ServerName;
use crate::stats::LiveStats;
use crate::{legacy, openapi, pages, v1};

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
    /// How often each caller may ask; `None` for no limit.
    pub(crate) callers: Option<Callers>,
    pub(crate) server_name: Option<ServerName>,
    pub(crate) operator: Option<OperatorToken>,
    /// `PEER_TTL_SECS`, as peers are told; 0 is for ever.
    pub(crate) peer_ttl_secs: u64,
    pub(crate) stats: LiveStats,
    pub(crate) live: Live,
    /// `redis` or `embedded`.
    pub(crate) store_kind: &'static str,
}

/// Serves `listeners` until `shutdown`, then drains.
pub(crate) async fn serve(
    app: Data<App>,
    listeners: Vec<TcpListener>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let failed = |error| Failure::run("tracker", error);
    let streams_end = Data::new(shutdown.clone());
    let mut server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(Data::clone(&app))
            .app_data(Data::clone(&streams_end))
            .app_data(PayloadConfig::new(BODY_MAX_BYTES))
            .wrap(from_fn(enter))
            // In the order in which they are looked through: those first that are asked most.
            .configure(legacy::routes)
            .configure(v1::routes)
            .configure(openapi::routes)
            .configure(pages::routes)
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

/// The way in and out of every request: whose it is, whether it may come in, and how it ended.
async fn enter(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(app) = request.app_data::<Data<App>>().cloned() else { return next.call(request).await };
    let route = metrics::route(request.path());
    let since = Instant::now();
    let answer = match admit(&app, &request) {
        Ok(()) => next.call(request).await,
        Err(refused) => Err(refused.into()),
    };
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    app.metrics.request(route, status.as_u16());
    app.live.traffic.answered(status.as_u16(), since.elapsed());
    answer
}

fn admit(app: &App, request: &ServiceRequest) -> Result<(), ApiError> {
    let socket = request.peer_addr().ok_or(ApiError::Unavailable)?;
    let caller = caller::resolve(socket, request.headers(), &app.trusted).ok_or(ApiError::Unavailable)?;
    if caller.broken_headers > 0 {
        app.metrics.broken_proxy_headers.inc_by(caller.broken_headers.into());
    }
    request.extensions_mut().insert(caller);
    match &app.callers {
        Some(callers) if !caller.is_local() => callers.admit(caller.peer).map_err(ApiError::TooOften),
        _ => Ok(()),
    }
}
