use std::net::SocketAddr;
use std::time::Duration;

use matchmaker::{Arrival, Engine, Legacy, Outbox};
use nat_simulator::Actions;

/// Registrations of a simulated server.
const CLIENTS_MAX: u32 = 64;

/// The engine as a program of a simulated host, with one socket.
#[derive(Debug)]
pub(crate) struct Server {
    engine: Engine,
    outbox: Outbox,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self { engine: Engine::new(CLIENTS_MAX, Legacy::On), outbox: Outbox::default() }
    }

    pub(crate) fn on_datagram(
        &mut self,
        now: Duration,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    ) {
        let now_us = u64::try_from(now.as_micros()).expect("no simulation lasts as long");
        let arrival = Arrival { from, socket: 0, local: Some(to.ip()), local_port: to.port() };
        self.outbox.clear();
        self.engine.handle(now_us, arrival, bytes, &mut self.outbox);
        for outgoing in self.outbox.iter() {
            let source = SocketAddr::new(outgoing.local.unwrap_or(to.ip()), to.port());
            actions.send(source, outgoing.to, outgoing.bytes);
        }
    }
}
