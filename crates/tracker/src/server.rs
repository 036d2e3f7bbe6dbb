//! The HTTP server around the routes: sockets, limits, counting, drain.

use std::net::TcpListener;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{Data, PayloadConfig};
use actix_web::{Error, HttpServer, ResponseError as _};
use peer_core::Owner;
use peer_core::limits::BODY_MAX_BYTES;
use registry::Registry;
use service::admin::log_listening;
use service::telemetry::{RequestId, Served, Traces, X_REQUEST_ID, shown};
use service::{Failure, Shutdown};

use crate::answered::{Answered, OfThread, Route};
use crate::caller::{self, Caller};
use crate::error::ApiError;
use crate::listeners::Listeners;
use crate::live::Live;
use crate::metrics::Metrics;
use crate::operator::OperatorToken;
use crate::proxies::TrustedProxies;
use crate::rate::Callers;
use crate::signature::ServerName;
use crate::stats::LiveStats;
use crate::{call, legacy, openapi, pages, v1};

/// How long requests in flight have at shutdown, in seconds: less than the 8 that a supervisor waits, by the one
/// that the server takes beyond it and one to spare.
const DRAIN_SECS: u64 = 5;
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may be idle between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// Whether the matchmaker of this process hears a peer.
pub type Hears = Arc<dyn Fn(Owner) -> bool + Send + Sync>;

/// What every request can reach.
///
/// Each thread has one of its own for each socket that it serves, so that what all requests count up and down is in no other
/// thread's cache: its own references too, which stand in front of it.
#[repr(align(128))]
pub(crate) struct App {
    shared: Arc<Shared>,
    counters: Arc<OfThread>,
}

impl App {
    fn of_thread(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), counters: shared.answered.of_thread() }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// What all threads share.
pub(crate) struct Shared {
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) trusted: TrustedProxies,
    pub(crate) metrics: Metrics,
    pub(crate) answered: Arc<Answered>,
    /// How often each caller may ask; `None` for no limit.
    pub(crate) callers: Option<Callers>,
    pub(crate) server_name: Option<ServerName>,
    pub(crate) operator: Option<OperatorToken>,
    /// `PEER_TTL_SECS`, as peers are told; 0 is for ever.
    pub(crate) peer_ttl_secs: u64,
    pub(crate) stats: LiveStats,
    pub(crate) listeners: Listeners,
    pub(crate) live: Live,
    /// There where a matchmaker runs in this process.
    pub(crate) hears: Option<Hears>,
    pub(crate) traces: Traces,
    /// `redis` or `embedded`.
    pub(crate) store_kind: &'static str,
}

/// Serves `listeners` until `shutdown`, then drains.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let failed = |error| Failure::run("tracker", error);
    let streams_end = Data::new(shutdown.clone());
    let mut server = HttpServer::new(move || {
        actix_web::App::new()
            .app_data(Data::new(App::of_thread(&shared)))
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

/// Names the trace that a request is part of (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The way in and out of every request: which and whose it is, whether it may come in, and how it ended.
async fn enter(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(app) = request.app_data::<Data<App>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let id = request_id(&app, &request);
    let mut answer = id.clone().scope(answer(&app, &id, request, next)).await?;
    answer.headers_mut().insert(X_REQUEST_ID, id.header());
    Ok(answer)
}

async fn answer<B: MessageBody + 'static>(
    app: &App,
    id: &RequestId,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let since = Instant::now();
    let (route, method) = (Route::of(request.path()), method(request.method()));
    let resolved = resolve(app, &request);
    let caller = resolved.as_ref().ok().copied();
    let admitted = resolved.and_then(|caller| admit(app, caller).map(|()| caller));
    let parent = app.traces.are_on().then(|| by_proxy(app, &request, &TRACEPARENT).cloned()).flatten();
    let answer = match admitted {
        Ok(caller) => {
            call::entering(caller, next.call(request)).await.map(ServiceResponse::map_into_left_body)
        }
        Err(refused) => Ok(request.into_response(refused.error_response()).map_into_right_body()),
    };
    let status = match &answer {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    let (status, took) = (status.as_u16(), since.elapsed());
    app.counters.count(route, status, took);
    if let Some(caller) = caller {
        let caller = caller.peer.ip();
        tracing::debug!(
            caller = %shown(caller),
            method,
            route = route.name,
            status,
            took_us = took.as_micros(),
            "request"
        );
        let parent = parent.as_ref().and_then(|parent| parent.to_str().ok());
        app.traces.request(Served { method, route: route.name, status, took, id, caller, parent });
    }
    answer
}

/// What the request is called in the log and in its answer: as a trusted proxy says, so that its log and ours can be read
/// together, or else something of our own.
fn request_id(app: &App, request: &ServiceRequest) -> RequestId {
    by_proxy(app, request, &X_REQUEST_ID).and_then(RequestId::taken).unwrap_or_else(RequestId::random)
}

/// A header, where it is the word of a trusted proxy.
fn by_proxy<'a>(app: &App, request: &'a ServiceRequest, name: &HeaderName) -> Option<&'a HeaderValue> {
    let value = request.headers().get(name)?;
    let socket = request.peer_addr()?;
    app.trusted.contains(socket.ip().to_canonical()).then_some(value)
}

/// Methods that strangers make up are one, as paths are.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Whose it is.
fn resolve(app: &App, request: &ServiceRequest) -> Result<Caller, ApiError> {
    let socket = request.peer_addr().ok_or(ApiError::Unavailable)?;
    let caller = caller::resolve(socket, request.headers(), &app.trusted).ok_or(ApiError::Unavailable)?;
    if caller.broken_headers > 0 {
        app.metrics.broken_proxy_headers.inc_by(caller.broken_headers.into());
    }
    Ok(caller)
}

fn admit(app: &App, caller: Caller) -> Result<(), ApiError> {
    match &app.callers {
        Some(callers) if !caller.is_local() => callers.admit(caller.peer).map_err(ApiError::TooOften),
        _ => Ok(()),
    }
}
