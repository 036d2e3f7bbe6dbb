use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use peer_core::{NodeId, Owner};
use prometheus_client::registry::Registry;
use service::admin::{self, Ready, log_listening};
use service::settings::catalogue::{MATCHMAKER_ALT_PORT, MATCHMAKER_STUN_OTHER, MATCHMAKER_TOKEN_KEY};
use service::{Failure, ListenAddrs, Shutdown, bind_udp};
use socket2::SockRef;

use crate::metrics::Metrics;
use crate::nodes::link::{self, Link};
use crate::nodes::{NodeMetrics, drain};
use crate::settings::MatchmakerSettings;
use crate::socket::{self, Listener, Shared};
use crate::{Endpoints, Engine, TokenKeys, V2Settings};

/// Receive buffer that is asked for, in bytes: room for bursts while we are not on a core.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Receive buffer below which the log warns, in bytes.
const RECEIVE_BUFFER_LEAST_BYTES: usize = 1 << 20;
/// Cores without a thread of ours, where there is more than one: the kernel's work of receiving needs one too. With a
/// thread on every core each finds fewer datagrams at once; measured on two cores, an answer costs nearly a fifth more.
const SPARE_CORES: usize = 1;
/// Threads, and sockets, of an address at most: they come out of the runtime's pool for what blocks.
const THREADS_MAX: usize = 32;
/// How often expired registrations are taken away.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two lines of the log about what was dropped: however much a stranger sends, that is all it gets.
const TICKS_PER_SUMMARY: u32 = 10;

/// A matchmaker whose sockets are bound.
pub struct Matchmaker {
    shared: Arc<Shared>,
    /// Listeners on main ports; those behind them are on the alternate port.
    mains: usize,
    admin_listeners: Vec<TcpListener>,
    metrics: Arc<Registry>,
    /// What speaks with the Redis that nodes share, where there is one.
    link: Option<Link>,
    /// How long it serves on after it was told to end, where others go on.
    drain: Duration,
}

impl Matchmaker {
    /// Binds the sockets.
    pub fn bind(settings: &MatchmakerSettings) -> Result<Self, Failure> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = cores.saturating_sub(SPARE_CORES).clamp(1, THREADS_MAX);
        let mut listeners = bind(&settings.listen, threads)?;
        let mains = listeners.len();
        if let Some(port) = settings.alt_port {
            // A peer asks there once, where it asks the main port again and again.
            listeners.extend(bind(&settings.listen.at_port(port, &MATCHMAKER_ALT_PORT), 1)?);
        }
        let addrs: Vec<SocketAddr> = listeners.iter().map(Listener::addr).collect();
        let (main, alt) = addrs.split_at(mains);
        let (start, epoch) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH));
        let random = |error: getrandom::Error| Failure::run(MATCHMAKER_TOKEN_KEY.name, error);
        let first_keys = settings.token_keys.map_or_else(TokenKeys::random, Ok).map_err(random)?;
        let v2 = V2Settings {
            max_clients: settings.max_clients,
            legacy: settings.legacy,
            keys: first_keys,
            epoch_ms: epoch.map_or(0, |epoch| u64::try_from(epoch.as_millis()).unwrap_or(0)),
        };
        let mut engine = Engine::new(settings.max_clients, settings.legacy)
            .with_endpoints(Endpoints::new(main, alt))
            .with_v2(&v2);
        if let Some(stun) = &settings.stun {
            engine = engine.with_stun(stun).map_err(|bad| Failure::run(MATCHMAKER_STUN_OTHER.name, bad))?;
        }
        let admin_listeners = settings.admin.bind()?;
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (nodes, link) = match &settings.nodes {
            Some(nodes) => {
                let id = NodeId::from_bits(getrandom::u64().map_err(random)?);
                engine = engine.with_nodes(id);
                let node_metrics = NodeMetrics::register(&mut registry);
                let public = nodes.public_or(main);
                let own_keys = settings.token_keys;
                let ends = link::queues(id, nodes.clone(), public, own_keys, node_metrics).map_err(random)?;
                (Some(ends.0), Some(ends.1))
            }
            None => (None, None),
        };
        let drain = settings.nodes.as_ref().map_or(Duration::ZERO, |nodes| nodes.drain);
        let shared = Arc::new(Shared { listeners, engine, metrics, start, nodes, first_keys });
        Ok(Self { shared, mains, admin_listeners, metrics: Arc::new(registry), link, drain })
    }

    /// The addresses that are bound on main ports.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.shared.listeners.iter().take(self.mains).map(Listener::addr).collect()
    }

    /// What tells whether this matchmaker hears a peer.
    pub fn hearing(&self) -> impl Fn(Owner) -> bool + Send + Sync + use<> {
        let shared = Arc::clone(&self.shared);
        move |owner| shared.engine.hears(shared.now_us(), owner)
    }

    /// Serves until `shutdown`, and where there are other nodes until its peers have moved there. A failure of any part ends
    /// the others too.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let mut parts = tokio::task::JoinSet::new();
        let told = shutdown;
        let shutdown = if self.link.is_some() { Shutdown::new() } else { told.clone() };
        if let Some(link) = self.link {
            let (shared, stop, drain) = (Arc::clone(&self.shared), shutdown.clone(), self.drain);
            // A thread of its own: however long Redis takes, it takes nothing of the sockets' time.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| Failure::run("runtime", error))?;
            parts.spawn_blocking(move || {
                runtime.block_on(link.run(shared, stop));
                Ok(())
            });
            parts.spawn(drain::drain(Arc::clone(&self.shared), told, shutdown.clone(), drain));
        }
        for (index, listener) in self.shared.listeners.iter().enumerate() {
            let service = if index < self.mains { "matchmaker" } else { "matchmaker-alt" };
            log_listening(service, Some(listener.addr()));
            for thread in 0..listener.threads() {
                let (shared, shutdown) = (Arc::clone(&self.shared), shutdown.clone());
                // It waits in the kernel, not in the runtime: a poll would cost a system call a batch.
                parts.spawn_blocking(move || socket::serve(&shared, index, thread, &shutdown));
            }
        }
        parts.spawn(tick(Arc::clone(&self.shared), shutdown.clone()));
        let ready = readiness(&self.shared);
        parts.spawn(admin::serve(
            "matchmaker-admin",
            self.admin_listeners,
            self.metrics,
            ready,
            shutdown.clone(),
        ));
        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            shutdown.cancel();
            let ended = ended.unwrap_or_else(|error| Err(Failure::run("matchmaker", error)));
            result = result.and(ended);
        }
        result
    }
}

/// Nothing but the sockets is needed, and they are bound. Where other nodes cannot be reached, it is said.
fn readiness(shared: &Arc<Shared>) -> admin::Readiness {
    let shared = Arc::clone(shared);
    Arc::new(move || match &shared.nodes {
        Some(nodes) if nodes.is_leaving() => Err("peers are told to move to other nodes".to_owned()),
        Some(nodes) if !nodes.is_linked() => {
            Ok(Ready::Degraded("no connection to Redis: peers of other nodes cannot be reached".to_owned()))
        }
        _ => Ok(Ready::Fully),
    })
}

/// Sockets on all of `addrs`, `threads` for each address.
fn bind(addrs: &ListenAddrs, threads: usize) -> Result<Vec<Listener>, Failure> {
    let bound = bind_udp(addrs, threads, RECEIVE_BUFFER_BYTES)?.into_iter();
    let listener = |sockets: Vec<UdpSocket>| {
        sockets.first().into_iter().for_each(check_receive_buffer);
        Listener::new(sockets).map_err(|error| Failure::run("matchmaker", error))
    };
    bound.map(listener).collect()
}

async fn tick(shared: Arc<Shared>, shutdown: Shutdown) -> Result<(), Failure> {
    let mut interval = tokio::time::interval(TICK);
    let (mut ticks, mut last_drops) = (0_u32, 0_u64);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = interval.tick() => {}
        }
        shared.engine.tick(shared.now_us());
        let registrations = shared.engine.len();
        shared.metrics.registrations.set(i64::try_from(registrations).unwrap_or(i64::MAX));
        shared.metrics.v2_registrations.set(i64::try_from(shared.engine.v2_len()).unwrap_or(i64::MAX));
        shared.metrics.set_nats(shared.engine.v2_nats());
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(TICKS_PER_SUMMARY)
            && let Some(dropped) = shared.metrics.drops_since(&mut last_drops)
        {
            tracing::info!(registrations, dropped, "datagrams dropped so far");
        }
    }
}

fn check_receive_buffer(socket: &UdpSocket) {
    // Linux tells twice of what it grants, the other half being for its own records (socket(7)).
    let granted = SockRef::from(socket).recv_buffer_size().unwrap_or(0) / 2;
    if granted < RECEIVE_BUFFER_LEAST_BYTES {
        tracing::warn!(
            granted,
            wanted = RECEIVE_BUFFER_LEAST_BYTES,
            "the kernel gives a small receive buffer, bursts may be lost; raise net.core.rmem_max"
        );
    }
}
