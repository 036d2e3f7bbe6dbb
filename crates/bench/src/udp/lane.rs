//! Very many peers that take turns at one socket, one exchange at a time.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::tally::SharedTally;

use super::addresses::one_of_many;
use super::datagram::{self, Expected, REGISTER};
use super::swarm::Swarm;

/// What a turn of a lane is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// A random peer registers again; one answer.
    Register,
    /// A random peer asks for another; two answers, one to either side.
    Connect,
    /// A random peer says so to the bare limit and must get its fixed answer.
    Echo,
}

/// Registrations of a lane that are on the way at once. All lanes together stay within what the receive buffer of a
/// server holds where the kernel gives it no more than it does by default.
const WINDOW: usize = 8;
/// A registration without answer is sent again after so long, a few times.
const RETRY: Duration = Duration::from_millis(250);
const ATTEMPTS: usize = 8;
/// An answer that is not there after so long is lost.
const LOST: Duration = Duration::from_secs(1);

/// Every so many-th of many peers, with a socket for them.
#[derive(Debug)]
pub(crate) struct Lane {
    swarm: Swarm,
    ready: UdpSocket,
    number: u32,
    lanes: u32,
    peers: u32,
}

impl Lane {
    /// Lane `number` of `lanes`, which share `peers`.
    pub(crate) fn open(server: SocketAddr, number: u32, lanes: u32, peers: u32) -> anyhow::Result<Self> {
        let peers = peers.saturating_sub(number).div_ceil(lanes);
        let swarm = Swarm::open(server)?;
        Ok(Self { ready: swarm.ready()?, swarm, number, lanes, peers })
    }

    fn ip(&self, index: u32) -> Ipv4Addr {
        one_of_many(self.number + index * self.lanes)
    }

    /// Registers every peer, again where no answer comes.
    pub(crate) async fn register_all(&mut self, tally: &SharedTally) -> anyhow::Result<()> {
        for first in (0..self.peers).step_by(WINDOW) {
            let mut waiting: Vec<Ipv4Addr> =
                (first..self.peers).take(WINDOW).map(|index| self.ip(index)).collect();
            tally.expect(waiting.len());
            self.register(&mut waiting, tally).await?;
            if !waiting.is_empty() {
                tally.lost("no answer to a registration that was sent several times");
                return Ok(());
            }
        }
        Ok(())
    }

    async fn register(&mut self, waiting: &mut Vec<Ipv4Addr>, tally: &SharedTally) -> anyhow::Result<()> {
        let since = Instant::now();
        for attempt in 0..ATTEMPTS {
            for ip in waiting.iter() {
                self.send(*ip, REGISTER).await?;
            }
            while !waiting.is_empty() {
                let Some((to, answer)) = self.hear(RETRY).await? else { break };
                // The second answer to one that was sent twice is nobody's.
                if let Some(place) = waiting.iter().position(|ip| *ip == to) {
                    waiting.swap_remove(place);
                    let own = Expected::OwnAddress(self.swarm.peer(to));
                    tally.answered(since, own.check(&answer));
                }
            }
            if waiting.is_empty() {
                if attempt > 0 {
                    self.await_quiet().await?;
                }
                break;
            }
        }
        Ok(())
    }

    /// One exchange of random peers. Latencies are counted from `since`.
    pub(crate) async fn turn(
        &mut self,
        exchange: Exchange,
        since: Instant,
        tally: &SharedTally,
    ) -> anyhow::Result<()> {
        let (ip, other) = self.two_of();
        let at = |ip| self.swarm.peer(ip);
        let (datagram, mut due) = match exchange {
            Exchange::Register => (REGISTER.to_vec(), [Some((ip, Expected::OwnAddress(at(ip)))), None]),
            Exchange::Echo => (REGISTER.to_vec(), [Some((ip, Expected::Fixed)), None]),
            Exchange::Connect => {
                let told = [Some((ip, Expected::Peer(at(other)))), Some((other, Expected::Peer(at(ip))))];
                (datagram::connect(other), told)
            }
        };
        tally.expect(due.iter().flatten().count());
        self.send(ip, &datagram).await?;
        while due.iter().any(Option::is_some) {
            let Some((to, answer)) = self.hear(LOST).await? else {
                tally.lost("no answer within a second");
                return self.await_quiet().await;
            };
            let place = due.iter_mut().find(|due| due.is_some_and(|(ip, _)| ip == to));
            let check = match place.and_then(Option::take) {
                Some((_, expected)) => expected.check(&answer),
                None => Err(format!("nothing was due at {to}, not {:?}", String::from_utf8_lossy(&answer))),
            };
            tally.answered(since, check);
        }
        Ok(())
    }

    /// Two different peers, where there are two.
    fn two_of(&self) -> (Ipv4Addr, Ipv4Addr) {
        let index = fastrand::u32(0..self.peers.max(1));
        let step = fastrand::u32(1..self.peers.max(2));
        (self.ip(index), self.ip((index + step) % self.peers.max(1)))
    }

    async fn send(&self, from: Ipv4Addr, datagram: &[u8]) -> anyhow::Result<()> {
        Ok(self.ready.async_io(Interest::WRITABLE, || self.swarm.send(from, datagram)).await?)
    }

    /// The next answer and whose it is. `None` where there is none within `limit`.
    async fn hear(&mut self, limit: Duration) -> anyhow::Result<Option<(Ipv4Addr, Vec<u8>)>> {
        let Self { swarm, ready, .. } = self;
        let take = || swarm.receive(|to, datagram| (to, datagram.to_vec()));
        let next = ready.async_io(Interest::READABLE, take);
        Ok(timeout(limit, next).await.ok().transpose()?)
    }

    /// Waits until nothing comes any more that could be taken for the next answer.
    async fn await_quiet(&mut self) -> anyhow::Result<()> {
        while self.hear(LOST).await?.is_some() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use std::collections::BTreeSet;

    use super::*;

    fn lanes(lanes: u32, peers: u32) -> Vec<Lane> {
        let server = "127.0.0.1:9".parse().unwrap();
        (0..lanes).map(|number| Lane::open(server, number, lanes, peers).unwrap()).collect()
    }

    #[tokio::test]
    async fn lanes_share_all_peers_and_none_has_two_lanes() {
        let lanes = lanes(7, 100);
        let all = lanes.iter().flat_map(|lane| (0..lane.peers).map(|index| lane.ip(index)));
        let expected: Vec<Ipv4Addr> = (0..100).map(one_of_many).collect();
        let mut found: Vec<Ipv4Addr> = all.collect();
        found.sort();
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn the_two_of_an_exchange_are_different_peers_of_the_lane_and_sometimes_each() {
        for peers in [2, 3, 5] {
            let lane = lanes(1, peers).pop().unwrap();
            let mut seen = BTreeSet::new();
            for _ in 0..1000 {
                let (one, other) = lane.two_of();
                assert_ne!(one, other);
                seen.extend([one, other]);
            }
            assert_eq!(seen, (0..peers).map(one_of_many).collect());
        }
    }
}
