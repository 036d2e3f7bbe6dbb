//! The admin listener: `/live`, `/ready` and `/metrics`, away from the public port.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use prometheus_client::registry::Registry;

use crate::exposition::expose;
use crate::settings::{BadSetting, Setting, Settings};
use crate::{Failure, ListenAddrs, Shutdown, bind_tcp};

/// Seconds that a scrape in progress has to end at shutdown.
const DRAIN_SECS: u64 = 1;

/// Says whether the service can do its work, or why not.
pub type Readiness = Arc<dyn Fn() -> Result<Ready, String> + Send + Sync>;

/// How well a service does its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// All of it.
    Fully,
    /// What it can do alone; the rest is missing for this reason.
    Degraded(String),
}

/// Where the admin listener binds.
#[derive(Debug, Clone)]
pub struct AdminAddrs {
    addrs: ListenAddrs,
    is_default: bool,
}

impl AdminAddrs {
    /// Reads `setting`.
    pub fn read(settings: &Settings, setting: &'static Setting) -> Result<Self, BadSetting> {
        Ok(Self { addrs: ListenAddrs::read(settings, setting)?, is_default: settings.is_default(setting) })
    }

    /// Binds them. When nobody chose the address and it is taken, as by a second instance on one machine, the
    /// service does without: a port that no one asked for must not keep it from starting.
    pub fn bind(&self) -> Result<Vec<TcpListener>, Failure> {
        match bind_tcp(&self.addrs) {
            Err(failure) if self.is_default => {
                tracing::warn!(%failure, "no admin listener");
                Ok(Vec::new())
            }
            bound => bound,
        }
    }
}

/// Serves `listeners` until `shutdown`. May be spawned on any runtime.
pub fn serve(
    service: &'static str,
    listeners: Vec<TcpListener>,
    metrics: Arc<Registry>,
    ready: Readiness,
    shutdown: Shutdown,
) -> impl Future<Output = Result<(), Failure>> + Send {
    let server = server(service, listeners, metrics, ready);
    async move {
        let Some(server) = server? else {
            shutdown.cancelled().await;
            return Ok(());
        };
        let handle = server.handle();
        tokio::spawn(async move {
            shutdown.cancelled().await;
            handle.stop(true).await;
        });
        server.await.map_err(|error| Failure::run(service, error))
    }
}

fn server(
    service: &'static str,
    listeners: Vec<TcpListener>,
    metrics: Arc<Registry>,
    ready: Readiness,
) -> Result<Option<Server>, Failure> {
    if listeners.is_empty() {
        return Ok(None);
    }
    let mut server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&metrics)))
            .app_data(web::Data::new(Arc::clone(&ready)))
            .route("/live", web::get().to(live))
            .route("/ready", web::get().to(readiness))
            .route("/metrics", web::get().to(scrape))
    })
    .workers(1)
    .disable_signals()
    .shutdown_timeout(DRAIN_SECS);
    for listener in listeners {
        log_listening(service, listener.local_addr().ok());
        server = server.listen(listener).map_err(|error| Failure::run(service, error))?;
    }
    Ok(Some(server.run()))
}

/// The line that names a bound address; with port 0 it is where one learns the port.
pub fn log_listening(service: &'static str, addr: Option<SocketAddr>) {
    if let Some(addr) = addr {
        tracing::info!(service, %addr, "listening");
    }
}

async fn live() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}

async fn readiness(ready: web::Data<Readiness>) -> HttpResponse {
    match ready() {
        Ok(Ready::Fully) => HttpResponse::Ok().json(serde_json::json!({"status": "ok"})),
        // Taking it out of service would help nobody: it does what it can.
        Ok(Ready::Degraded(reason)) => {
            HttpResponse::Ok().json(serde_json::json!({"status": "degraded", "detail": reason}))
        }
        Err(reason) => HttpResponse::ServiceUnavailable().json(serde_json::json!({"detail": reason})),
    }
}

async fn scrape(request: HttpRequest, metrics: web::Data<Registry>) -> HttpResponse {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    match expose(&metrics, accept.unwrap_or_default()) {
        Ok((format, text)) => HttpResponse::Ok().insert_header((header::CONTENT_TYPE, format)).body(text),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}
