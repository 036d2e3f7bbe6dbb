use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use service::admin::{self, log_listening};
use service::{Failure, Shutdown, bind_udp};
use socket2::SockRef;

use crate::Engine;
use crate::metrics::Metrics;
use crate::settings::MatchmakerSettings;
use crate::socket::{self, Shared, Socket};

/// Receive buffer that is asked for, in bytes: room for bursts while we are not on a core.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Receive buffer below which the log warns, in bytes.
const RECEIVE_BUFFER_LEAST_BYTES: usize = 1 << 20;
/// How often expired registrations are taken away.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between two lines of the log about what was dropped: however much a stranger sends, that is all it gets.
const TICKS_PER_SUMMARY: u32 = 10;

/// A matchmaker whose sockets are bound.
pub struct Matchmaker {
    shared: Arc<Shared>,
    admin_listeners: Vec<TcpListener>,
    metrics: Arc<Registry>,
}

impl Matchmaker {
    /// Binds the sockets, on the runtime that will run them.
    pub fn bind(settings: &MatchmakerSettings) -> Result<Self, Failure> {
        let sockets = bind_udp(&settings.listen, RECEIVE_BUFFER_BYTES)?;
        let admin_listeners = settings.admin.bind()?;
        let mut sockets_with_state = Vec::with_capacity(sockets.len());
        for socket in sockets {
            check_receive_buffer(&socket);
            let addr = socket.local_addr().ok();
            sockets_with_state
                .push(Socket::new(socket).map_err(|error| Failure::run(format!("{addr:?}"), error))?);
        }
        let mut metrics = Registry::default();
        let shared = Shared {
            sockets: sockets_with_state,
            engine: Mutex::new(Engine::new(settings.max_clients)),
            metrics: Metrics::register(&mut metrics),
            start: Instant::now(),
        };
        Ok(Self { shared: Arc::new(shared), admin_listeners, metrics: Arc::new(metrics) })
    }

    /// The addresses that are bound.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.shared.sockets.iter().map(Socket::addr).collect()
    }

    /// Serves until `shutdown`. A failure of any part ends the others too.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let mut loops = tokio::task::JoinSet::new();
        for (index, addr) in self.addrs().into_iter().enumerate() {
            log_listening("matchmaker", Some(addr));
            loops.spawn(socket::serve(Arc::clone(&self.shared), index, shutdown.clone()));
        }
        loops.spawn(tick(Arc::clone(&self.shared), shutdown.clone()));
        // Nothing but the sockets is needed, and they are bound.
        let ready: admin::Readiness = Arc::new(|| Ok(()));
        loops.spawn(admin::serve(
            "matchmaker-admin",
            self.admin_listeners,
            self.metrics,
            ready,
            shutdown.clone(),
        ));
        let mut result = Ok(());
        while let Some(ended) = loops.join_next().await {
            shutdown.cancel();
            let ended = ended.unwrap_or_else(|error| Err(Failure::run("matchmaker", error)));
            result = result.and(ended);
        }
        result
    }
}

async fn tick(shared: Arc<Shared>, shutdown: Shutdown) -> Result<(), Failure> {
    let mut interval = tokio::time::interval(TICK);
    let (mut ticks, mut last_drops) = (0_u32, 0_u64);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = interval.tick() => {}
        }
        let now_ms = shared.now_ms();
        let registrations = {
            let mut engine = shared.engine.lock();
            engine.tick(now_ms);
            engine.len()
        };
        shared.metrics.registrations.set(i64::try_from(registrations).unwrap_or(i64::MAX));
        ticks = ticks.wrapping_add(1);
        if ticks.is_multiple_of(TICKS_PER_SUMMARY)
            && let Some(dropped) = shared.metrics.drops_since(&mut last_drops)
        {
            tracing::info!(registrations, dropped, "datagrams dropped so far");
        }
    }
}

fn check_receive_buffer(socket: &std::net::UdpSocket) {
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
