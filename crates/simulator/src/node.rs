use std::net::SocketAddr;
use std::time::Duration;

/// A program on a simulated host. It does no I/O and has no clock: datagrams and times are handed in, and it says what
/// is to be sent and when it wants to be woken.
///
/// Times count from the start of the simulation.
pub trait Node {
    /// A datagram arrived at `to`, an address and port of this host.
    fn on_datagram(
        &mut self,
        now: Duration,
        to: SocketAddr,
        from: SocketAddr,
        bytes: &[u8],
        actions: &mut Actions,
    );

    /// The time came that was last asked for by [`Actions::wake_at`]. It is forgotten then.
    fn on_timer(&mut self, now: Duration, actions: &mut Actions);
}

/// What a node wants done.
#[derive(Debug, Default)]
pub struct Actions {
    pub(crate) sends: Vec<Datagram>,
    pub(crate) wake_at: Option<Duration>,
}

impl Actions {
    /// Sends a datagram from an address and port of this host.
    pub fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: impl Into<Vec<u8>>) {
        self.sends.push(Datagram { from, to, bytes: bytes.into() });
    }

    /// Asks for [`Node::on_timer`] at this time, in place of any that was asked for before. A time that has passed is
    /// now.
    pub fn wake_at(&mut self, time: Duration) {
        self.wake_at = Some(time);
    }
}

/// A datagram on its way.
#[derive(Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}
