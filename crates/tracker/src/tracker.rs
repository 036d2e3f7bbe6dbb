use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry as MetricsRegistry;
use registry::{Bounds, EmbeddedRegistry, RedisRegistry, Registry, RegistryError};
use service::admin::{self, Readiness, Ready};
use service::telemetry::Traces;
use service::{Failure, Shutdown, bind_tcp};

use crate::answered::{self, Answered};
use crate::listeners::Listeners;
use crate::live::{self, Live, MatchmakerAdmin};
use crate::metrics::Metrics;
use crate::moving;
use crate::rate::Callers;
use crate::server::{self, Hears, Shared};
use crate::settings::{StoreSettings, TrackerSettings};
use crate::stats::LiveStats;

/// How often the sweep goes on when nothing was left to do.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Time for requests between two steps of a sweep that has more to do.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// How often callers that ask no more are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(1);

/// How long the start waits for the store.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(150);
/// How often it looks meanwhile.
const SETTLE_POLL: Duration = Duration::from_millis(2);

/// A tracker whose sockets are bound and whose store is open.
pub struct Tracker {
    app: Arc<Shared>,
    listeners: Vec<TcpListener>,
    admin_listeners: Vec<TcpListener>,
    metrics: Arc<MetricsRegistry>,
    matchmaker: MatchmakerAdmin,
}

impl Tracker {
    /// Binds the sockets and opens the store, on the runtime that lives as long as the process. `hears` tells of the matchmaker of
    /// this process, where there is one.
    pub async fn bind(settings: TrackerSettings, hears: Option<Hears>) -> Result<Self, Failure> {
        let listeners = bind_tcp(&settings.listen)?;
        let admin_listeners = settings.admin.bind()?;
        let store_kind = settings.store.kind();
        let registry = open_registry(settings.store, settings.peer_ttl).await?;
        settle(&*registry).await;
        let mut metrics = MetricsRegistry::default();
        let tracker_metrics = Metrics::register(&mut metrics, &*registry, store_kind);
        let counted = Arc::new(Answered::default());
        answered::register(&mut metrics, &counted);
        let app = Shared {
            registry,
            trusted: settings.trusted,
            metrics: tracker_metrics,
            answered: counted,
            callers: settings.rate.map(Callers::new),
            server_name: settings.server_name,
            operator: settings.operator,
            peer_ttl_secs: settings.peer_ttl_secs,
            stats: LiveStats::default(),
            listeners: Listeners::default(),
            live: Live::default(),
            hears,
            traces: Traces::start(&settings.traces, "tracker")?,
            store_kind,
        };
        let metrics = Arc::new(metrics);
        Ok(Self { app: Arc::new(app), listeners, admin_listeners, metrics, matchmaker: settings.matchmaker })
    }

    /// Serves until `shutdown`, then drains and closes the store. A failure of any part ends the others too.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let registry = Arc::clone(&self.app.registry);
        let ready: Readiness = {
            let registry = Arc::clone(&registry);
            Arc::new(move || registry.ready().map(|()| Ready::Fully).map_err(|error| error.to_string()))
        };
        let ended = |result: Result<(), Failure>| {
            shutdown.cancel();
            result
        };
        let app = Arc::clone(&self.app);
        let (served, administered, swept, (), ()) = tokio::join!(
            async { ended(server::serve(self.app, self.listeners, shutdown.clone()).await) },
            async {
                ended(
                    admin::serve(
                        "tracker-admin",
                        self.admin_listeners,
                        self.metrics,
                        ready,
                        shutdown.clone(),
                    )
                    .await,
                )
            },
            async { ended(sweep(&app, &shutdown).await) },
            forget_idle_callers(&app, &shutdown),
            live::watch(&app, self.matchmaker, &shutdown),
        );
        registry.close().await;
        // It blocks, and this is the end.
        let closed = tokio::task::spawn_blocking(move || app.traces.close()).await;
        closed.map_err(|error| Failure::run("traces", error))?;
        served.and(administered).and(swept)
    }
}

/// What the program does in place of serving.
#[derive(Debug, Clone, Copy, clap::Subcommand)]
pub enum Move {
    /// Write all mappings to standard output, one line of JSON each. The embedded store can be opened when no tracker serves it
    Export,
    /// Take over the mappings that an export wrote, from standard input; what is there already stays
    Import {
        /// Give every peer a whole time to live from now, as for a backup that is older than that
        #[arg(long)]
        fresh: bool,
    },
}

impl Move {
    /// Does it, with the store of `settings`.
    pub async fn run(self, settings: TrackerSettings) -> Result<(), Failure> {
        let registry = open_registry(settings.store, settings.peer_ttl).await?;
        let moved = match self {
            Self::Export => moving::export(&*registry, std::io::stdout()).await,
            Self::Import { fresh } => moving::import(&*registry, std::io::stdin().lock(), fresh).await,
        };
        registry.close().await;
        let count = moved?;
        let _ = writeln!(std::io::stderr(), "{count} mappings");
        Ok(())
    }
}

async fn open_registry(store: StoreSettings, ttl: registry::PeerTtl) -> Result<Arc<dyn Registry>, Failure> {
    let failed = |error: RegistryError| Failure::Run(error.to_string());
    match store {
        StoreSettings::Redis { url } => {
            let registry = RedisRegistry::open(&url, ttl, Bounds::default()).map_err(failed)?;
            Ok(Arc::new(registry))
        }
        StoreSettings::Embedded { data_dir } => {
            let open = tokio::task::spawn_blocking(move || {
                EmbeddedRegistry::open(&data_dir, ttl, Bounds::default())
            });
            let registry = open.await.map_err(|error| Failure::run("store", error))?.map_err(failed)?;
            Ok(Arc::new(registry))
        }
    }
}

/// Waits a moment for the store, so that whoever sees our port open does not meet a store that is still on its way.
/// One that is away altogether is not waited for: callers are told so.
async fn settle(registry: &dyn Registry) {
    let ready = async {
        while registry.ready().is_err() {
            tokio::time::sleep(SETTLE_POLL).await;
        }
    };
    // Either way the tracker starts.
    let _ = tokio::time::timeout(SETTLE_TIMEOUT, ready).await;
}

/// Clears up behind the dead until `shutdown`. A store that is away is waited for; one that is broken ends us.
async fn sweep(app: &Shared, shutdown: &Shutdown) -> Result<(), Failure> {
    let mut pause = SWEEP_INTERVAL;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        pause = SWEEP_INTERVAL;
        let swept = tokio::select! {
            // What is cut off is taken up by the next sweep.
            () = shutdown.cancelled() => return Ok(()),
            swept = app.registry.sweep() => swept,
        };
        match swept {
            Ok(swept) => {
                app.metrics.swept(swept.mappings);
                if swept.more {
                    pause = SWEEP_PAUSE;
                }
            }
            Err(error @ RegistryError::Broken(_)) => return Err(Failure::Run(error.to_string())),
            Err(error) => tracing::debug!(%error, "no sweep"),
        }
    }
}

/// Keeps the table of callers small until `shutdown`.
async fn forget_idle_callers(app: &Shared, shutdown: &Shutdown) {
    let Some(callers) = &app.callers else { return };
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(FORGET_INTERVAL) => callers.forget_idle(),
        }
    }
}
