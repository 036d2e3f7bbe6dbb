//! Honest peers beside a flood: they stay registered, ask for each other at fixed times, and notice who is missing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use crate::figures::float;
use crate::latency::Latencies;
use crate::udp::Swarm;
use crate::udp::addresses::{honest, honest_number};
use crate::udp::datagram::{self, REGISTER, Reply};

/// An answer that is not there after so long is lost.
const LOST: Duration = Duration::from_secs(1);
/// Whether the load is to end is looked for at least so often.
const LOOK: Duration = Duration::from_millis(5);
/// Further peers that ask at the end who is there, so that those asked for say nothing themselves. Each asks for few
/// enough to stay within what a source may ask at once.
const ASKERS: u16 = 10;
/// Questions of the askers on the way at once.
const ASKED_AT_ONCE: usize = 16;
/// Registrations at the start that are on the way at once.
const REGISTERED_AT_ONCE: u16 = 64;

/// What honest peers do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    pub peers: u16,
    /// Connects a second, of all peers together.
    pub connects_per_second: f64,
    /// How often each registers again.
    pub keep_alive: Duration,
}

/// What honest peers saw.
#[derive(Debug)]
pub(super) struct Seen {
    pub connects: u64,
    /// Both sides were told of each other.
    pub connects_answered: u64,
    /// The matchmaker did not know the target.
    pub connects_not_found: u64,
    pub keep_alives: u64,
    pub keep_alives_answered: u64,
    /// Answers that nobody was due, or with an address that is not right.
    pub wrong: u64,
    /// Peers that were missing when they were asked for.
    pub missing: BTreeSet<u16>,
    /// From the time that a datagram was due to be sent, of every answer.
    pub latencies: Latencies,
}

impl Seen {
    fn nothing() -> anyhow::Result<Self> {
        Ok(Self {
            connects: 0,
            connects_answered: 0,
            connects_not_found: 0,
            keep_alives: 0,
            keep_alives_answered: 0,
            wrong: 0,
            missing: BTreeSet::new(),
            latencies: Latencies::new()?,
        })
    }
}

/// Honest peers at one socket, each with an address of its own.
#[derive(Debug)]
pub(super) struct Honest {
    swarm: Swarm,
    habits: Habits,
    /// Who is due to be told of whom, since when.
    told: HashMap<(u16, u16), Instant>,
    /// Connects in the order in which they were due: asker and target.
    asked: VecDeque<(Instant, u16, u16)>,
    /// Registrations that are due an answer, since when.
    registered: HashMap<u16, Instant>,
    seen: Seen,
}

impl Honest {
    /// Opens the socket.
    pub(super) fn open(server: SocketAddr, habits: Habits) -> anyhow::Result<Self> {
        Ok(Self {
            swarm: Swarm::open(server)?,
            habits,
            told: HashMap::new(),
            asked: VecDeque::new(),
            registered: HashMap::new(),
            seen: Seen::nothing()?,
        })
    }

    /// Registers all peers and those who ask at the end. An error where one is not answered.
    pub(super) fn register_all(&mut self) -> anyhow::Result<()> {
        let all = self.habits.peers + ASKERS;
        for first in (0..all).step_by(REGISTERED_AT_ONCE.into()) {
            for number in (first..all).take(REGISTERED_AT_ONCE.into()) {
                self.register(number, Instant::now())?;
            }
            self.settle(0)?;
        }
        let seen = std::mem::replace(&mut self.seen, Seen::nothing()?);
        anyhow::ensure!(
            seen.keep_alives_answered == u64::from(all) && seen.wrong == 0,
            "{} of {all} honest peers could register",
            seen.keep_alives_answered
        );
        Ok(())
    }

    /// Acts by habit until `stop`, and gives what was seen. Blocks its thread.
    pub(super) fn run(&mut self, stop: &AtomicBool) -> anyhow::Result<Seen> {
        let start = Instant::now();
        let keep_alives_per_second = f64::from(self.habits.peers) / self.habits.keep_alive.as_secs_f64();
        let due = |number: u64, rate: f64| start + Duration::from_secs_f64(float(number) / rate);
        let (mut connects, mut keep_alives) = (0, 0);
        while !stop.load(Ordering::Relaxed) {
            let mut connect = due(connects, self.habits.connects_per_second);
            while connect <= Instant::now() {
                self.connect_some(connect)?;
                connects += 1;
                connect = due(connects, self.habits.connects_per_second);
            }
            let mut keep_alive = due(keep_alives, keep_alives_per_second);
            while keep_alive <= Instant::now() {
                let number = keep_alives % u64::from(self.habits.peers);
                self.register(u16::try_from(number)?, keep_alive)?;
                keep_alives += 1;
                keep_alive = due(keep_alives, keep_alives_per_second);
            }
            self.hear(connect.min(keep_alive))?;
        }
        self.settle(0)?;
        Ok(std::mem::replace(&mut self.seen, Seen::nothing()?))
    }

    /// Asks for every peer, and gives those that are not there.
    pub(super) fn missing(&mut self) -> anyhow::Result<BTreeSet<u16>> {
        // They were silent, may have had to make room, and would be limited as strangers.
        for asker in self.habits.peers..self.habits.peers + ASKERS {
            self.register(asker, Instant::now())?;
        }
        self.settle(0)?;
        for number in 0..self.habits.peers {
            let asker = self.habits.peers + number % ASKERS;
            self.connect(asker, number, Instant::now())?;
            self.settle(ASKED_AT_ONCE)?;
        }
        self.settle(0)?;
        Ok(std::mem::replace(&mut self.seen, Seen::nothing()?).missing)
    }

    fn register(&mut self, number: u16, since: Instant) -> anyhow::Result<()> {
        self.seen.keep_alives += 1;
        self.registered.insert(number, since);
        self.send(number, REGISTER)
    }

    /// Lets a random peer ask for another, of whom neither is about to hear of the other.
    fn connect_some(&mut self, since: Instant) -> anyhow::Result<()> {
        let (mut one, mut other) = (0, 0);
        while one == other || self.told.contains_key(&(one, other)) || self.told.contains_key(&(other, one)) {
            one = fastrand::u16(0..self.habits.peers);
            other = fastrand::u16(0..self.habits.peers);
        }
        self.connect(one, other, since)
    }

    fn connect(&mut self, asker: u16, target: u16, since: Instant) -> anyhow::Result<()> {
        self.seen.connects += 1;
        self.told.insert((asker, target), since);
        self.told.insert((target, asker), since);
        self.asked.push_back((since, asker, target));
        self.send(asker, &datagram::connect(honest(target)))
    }

    fn send(&self, number: u16, datagram: &[u8]) -> anyhow::Result<()> {
        loop {
            match self.swarm.send(honest(number), datagram) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait(PollFlags::POLLOUT, Instant::now() + LOOK)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until no more than `most` connects, and no registrations, are due an answer.
    fn settle(&mut self, most: usize) -> anyhow::Result<()> {
        while self.told.len() / 2 > most || !self.registered.is_empty() {
            self.hear(Instant::now() + LOOK)?;
        }
        Ok(())
    }

    /// Waits for answers until `until` at most, and takes what is there.
    fn hear(&mut self, until: Instant) -> anyhow::Result<()> {
        self.wait(PollFlags::POLLIN, until)?;
        loop {
            match self.swarm.receive(|to, datagram| (to, Reply::read(datagram))) {
                Ok((to, reply)) => self.take(to, reply, Instant::now()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.give_up(Instant::now());
        Ok(())
    }

    fn wait(&self, what: PollFlags, until: Instant) -> anyhow::Result<()> {
        let left = until.saturating_duration_since(Instant::now()).min(LOOK);
        let mut sockets = [PollFd::new(self.swarm.as_fd(), what)];
        match ppoll(&mut sockets, Some(TimeSpec::from_duration(left)), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, to: Ipv4Addr, reply: Option<Reply>, now: Instant) {
        let since = honest_number(to).and_then(|number| match reply? {
            Reply::YourAddr { addr: (ip, port) } if self.is(number, ip, port) => {
                let since = self.registered.remove(&number)?;
                self.seen.keep_alives_answered += 1;
                Some(since)
            }
            Reply::Peer { peer: (ip, port) } => {
                let other = honest_number(ip).filter(|other| self.is(*other, ip, port))?;
                let since = self.told.remove(&(number, other))?;
                if !self.told.contains_key(&(other, number)) {
                    self.seen.connects_answered += 1;
                }
                Some(since)
            }
            Reply::Error { msg } => {
                let target = honest_number(msg.split_ascii_whitespace().nth(1)?.parse().ok()?)?;
                let since = self.told.remove(&(number, target))?;
                self.told.remove(&(target, number));
                self.seen.connects_not_found += 1;
                self.seen.missing.insert(target);
                Some(since)
            }
            Reply::YourAddr { .. } => None,
        });
        match since {
            Some(since) => self.seen.latencies.record(now.saturating_duration_since(since)),
            None => self.seen.wrong += 1,
        }
    }

    fn is(&self, number: u16, ip: Ipv4Addr, port: u16) -> bool {
        self.swarm.peer(honest(number)) == std::net::SocketAddrV4::new(ip, port)
    }

    /// Forgets what will not be answered any more. A target of which nobody was told counts as missing.
    fn give_up(&mut self, now: Instant) {
        let is_lost = |since: Instant| now.saturating_duration_since(since) > LOST;
        while let Some(&(since, asker, target)) = self.asked.front().filter(|(since, ..)| is_lost(*since)) {
            self.asked.pop_front();
            for pair in [(asker, target), (target, asker)] {
                // It may have been answered, and asked again since.
                if self.told.get(&pair) == Some(&since) {
                    self.told.remove(&pair);
                    self.seen.missing.insert(target);
                }
            }
        }
        self.registered.retain(|_, since| !is_lost(*since));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    const HABITS: Habits = Habits { peers: 3, connects_per_second: 1.0, keep_alive: Duration::from_secs(1) };

    fn peers() -> (Honest, std::net::UdpSocket) {
        let server = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        (Honest::open(server.local_addr().unwrap(), HABITS).unwrap(), server)
    }

    fn peer(honest_peers: &Honest, number: u16) -> Reply {
        let address = honest_peers.swarm.peer(honest(number));
        Reply::Peer { peer: (*address.ip(), address.port()) }
    }

    #[test]
    fn a_connect_is_answered_when_both_sides_were_told_of_each_other() {
        let (mut peers, _server) = peers();
        let now = Instant::now();
        peers.connect(0, 1, now).unwrap();
        let (zero, one) = (peer(&peers, 0), peer(&peers, 1));
        peers.take(honest(0), Some(one), now);
        assert_eq!(peers.seen.connects_answered, 0);
        peers.take(honest(1), Some(zero), now);
        assert_eq!((peers.seen.connects_answered, peers.seen.wrong, peers.told.len()), (1, 0, 0));
    }

    #[test]
    fn a_target_that_is_not_found_is_missing() {
        let (mut peers, _server) = peers();
        let now = Instant::now();
        peers.connect(0, 2, now).unwrap();
        let msg = format!("target {} not found or offline", honest(2));
        peers.take(honest(0), Some(Reply::Error { msg }), now);
        peers.give_up(now + Duration::from_secs(5));
        assert_eq!((peers.seen.connects_not_found, peers.seen.missing.len()), (1, 1));
        assert!(peers.seen.missing.contains(&2) && peers.told.is_empty());
    }

    #[test]
    fn silence_is_no_answer_and_a_second_question_has_its_own_time() {
        let (mut peers, _server) = peers();
        let now = Instant::now();
        let (zero, one) = (peer(&peers, 0), peer(&peers, 1));
        peers.connect(0, 1, now).unwrap();
        peers.take(honest(0), Some(one), now);
        peers.take(honest(1), Some(zero), now);
        peers.connect(1, 0, now + Duration::from_secs(4)).unwrap();
        peers.give_up(now + Duration::from_millis(4500));
        assert_eq!((peers.told.len(), peers.seen.missing.len()), (2, 0));
        peers.give_up(now + Duration::from_secs(6));
        assert_eq!((peers.told.len(), peers.seen.missing.len()), (0, 1));
        assert_eq!((peers.seen.connects, peers.seen.connects_answered), (2, 1));
    }

    #[test]
    fn an_answer_that_nobody_was_due_is_wrong() {
        let (mut peers, _server) = peers();
        let one = peer(&peers, 1);
        peers.take(honest(0), Some(one), Instant::now());
        peers.take(honest(0), None, Instant::now());
        let stranger = Reply::YourAddr { addr: (honest(0), 1) };
        peers.take(honest(0), Some(stranger), Instant::now());
        assert_eq!(peers.seen.wrong, 3);
    }
}
