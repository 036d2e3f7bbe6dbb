use std::net::SocketAddr;
use std::time::Duration;

use matchmaker::{Arrival, Endpoints, Engine, Legacy, Outbox, TokenKeys, V2Settings};
use nat_simulator::Actions;

/// Registrations of a simulated server.
const CLIENTS_MAX: u32 = 64;
/// Its ports.
pub(crate) const MAIN_PORT: u16 = 12_345;
const ALT_PORT: u16 = 12_346;
const PORTS: [u16; 2] = [MAIN_PORT, ALT_PORT];

/// The engine as a program of a simulated host, with a socket on each of two ports.
#[derive(Debug)]
pub(crate) struct Server {
    engine: Engine,
    outbox: Outbox,
    local: SocketAddr,
}

impl Server {
    /// One that speaks version 2, or the legacy contract only.
    pub(crate) fn new(local: SocketAddr, v2: bool) -> Self {
        let addr = |port| SocketAddr::new(local.ip(), port);
        let endpoints = Endpoints::new(&[addr(MAIN_PORT)], &[addr(ALT_PORT)]);
        let engine = Engine::new(CLIENTS_MAX, Legacy::On).with_endpoints(endpoints);
        let settings = V2Settings {
            max_clients: CLIENTS_MAX,
            legacy: Legacy::On,
            keys: TokenKeys::new([7; 16]),
            epoch_ms: 1_764_100_000_000,
        };
        let engine = if v2 { engine.with_v2(&settings) } else { engine };
        Self { engine, outbox: Outbox::default(), local }
    }

    pub(crate) fn on_datagram(
        &mut self,
        now: Duration,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        let Some(socket) = PORTS.iter().position(|port| *port == to.port()) else { return };
        let socket = u8::try_from(socket).unwrap();
        let arrival = Arrival { from, socket, local: Some(to.ip()), local_port: to.port() };
        self.engine.handle(micros(now), arrival, bytes, &mut self.outbox);
        self.send(now, actions);
    }

    /// Tells sides again that did not say that they heard.
    pub(crate) fn on_timer(&mut self, now: Duration, actions: &mut Actions) {
        self.engine.resend(micros(now), &mut self.outbox);
        self.send(now, actions);
    }

    fn send(&mut self, now: Duration, actions: &mut Actions) {
        for outgoing in self.outbox.iter() {
            let ip = outgoing.local.unwrap_or(self.local.ip());
            let source = SocketAddr::new(ip, PORTS[usize::from(outgoing.socket)]);
            actions.send(source, outgoing.to, outgoing.bytes);
        }
        self.outbox.clear();
        if let Some(due) = self.engine.resend_due_us() {
            actions.wake_at(Duration::from_micros(due).max(now));
        }
    }
}

fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).expect("no simulation lasts as long")
}
