//! Two peers that register with a matchmaker and ask for each other.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::tally::SharedTally;

use super::datagram::{self, DATAGRAM_BYTES, Expected, REGISTER};
use super::stun;
use super::v2::V2Peer;

/// The kinds of exchange that a load is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Each datagram registers its sender; one answer
    Register,
    /// Each asks for a registered peer; two answers, one to either side
    Connect,
    /// Ten registrations for each connect
    Mixed,
    /// Registrations that must get the fixed answer of `bench udp-echo`
    Echo,
    /// Each is a Binding request of STUN; one answer
    Stun,
    /// Each is a keepalive of version 2, with an id and a token; one answer
    V2Keepalive,
    /// Each is the first register of an id of version 2, with a signature; one answer
    V2Signed,
}

impl Mode {
    /// Whether the peers have to be registered for it.
    pub(crate) fn registers(self) -> bool {
        !matches!(self, Self::Echo | Self::Stun) && !self.is_v2()
    }

    fn is_v2(self) -> bool {
        matches!(self, Self::V2Keepalive | Self::V2Signed)
    }
}

/// In [`Mode::Mixed`] one turn of this many connects. An odd number, so that both sides come to ask.
const MIXED_CONNECT_EVERY: u64 = 11;
/// An answer that is not there after so long is lost.
const LOST: Duration = Duration::from_secs(1);

/// One of the two: a socket on an address of its own.
#[derive(Debug)]
struct Peer {
    socket: UdpSocket,
    address: SocketAddrV4,
    /// Asks for this peer.
    connect: Vec<u8>,
}

impl Peer {
    async fn open(ip: Ipv4Addr, server: SocketAddr) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind((ip, 0)).await?;
        // A connected socket takes answers from the address only that it asked.
        socket.connect(server).await?;
        let address = datagram::v4(socket.local_addr()?)?;
        Ok(Self { socket, address, connect: datagram::connect(ip) })
    }

    /// Waits for one answer. False where none came.
    async fn hear(&self, due: Expected, since: Instant, tally: &SharedTally) -> anyhow::Result<bool> {
        self.hear_with(|datagram| due.check(datagram), since, tally).await
    }

    async fn hear_with(
        &self,
        check: impl FnOnce(&[u8]) -> Result<(), String>,
        since: Instant,
        tally: &SharedTally,
    ) -> anyhow::Result<bool> {
        let mut buffer = [0; DATAGRAM_BYTES];
        let Ok(received) = timeout(LOST, self.socket.recv(&mut buffer)).await else {
            tally.lost("no answer within a second");
            return Ok(false);
        };
        tally.answered(since, check(buffer.get(..received?).unwrap_or_default()));
        Ok(true)
    }
}

/// Two peers, who act in turns.
#[derive(Debug)]
pub(crate) struct Pair {
    server: SocketAddr,
    ips: [Ipv4Addr; 2],
    peers: [Peer; 2],
    v2: [V2Peer; 2],
    turns: u64,
}

impl Pair {
    /// Opens both sockets. `number` chooses their addresses: each pair has its own two of 127.0.0.0/8.
    pub(crate) async fn open(number: u16, server: SocketAddr) -> anyhow::Result<Self> {
        let [high, low] = number.to_be_bytes();
        let ips = [Ipv4Addr::new(127, 1, high, low), Ipv4Addr::new(127, 2, high, low)];
        let [first, second] = ips;
        let peers = [Peer::open(first, server).await?, Peer::open(second, server).await?];
        let v2 = peers.each_ref().map(|peer| V2Peer::new(peer.address));
        Ok(Self { server, ips, peers, v2, turns: 0 })
    }

    /// Registers both, so that each can ask for the other.
    pub(crate) async fn register(&mut self, tally: &SharedTally) -> anyhow::Result<()> {
        for _ in 0..self.peers.len() {
            self.turn(Mode::Register, Instant::now(), tally).await?;
        }
        Ok(())
    }

    /// One exchange. Latencies are counted from `since`.
    pub(crate) async fn turn(
        &mut self,
        mode: Mode,
        since: Instant,
        tally: &SharedTally,
    ) -> anyhow::Result<()> {
        let turn = self.turns;
        self.turns += 1;
        if mode.is_v2() {
            return self.v2_turn(turn, mode, since, tally).await;
        }
        let [first, second] = &self.peers;
        let (speaker, other) = if turn.is_multiple_of(2) { (first, second) } else { (second, first) };
        let connects = match mode {
            Mode::Connect => true,
            Mode::Mixed => turn.is_multiple_of(MIXED_CONNECT_EVERY),
            Mode::Register | Mode::Echo | Mode::Stun | Mode::V2Keepalive | Mode::V2Signed => false,
        };
        let heard = if connects {
            tally.expect(2);
            speaker.socket.send(&other.connect).await?;
            let told = speaker.hear(Expected::Peer(other.address), since, tally).await?;
            told & other.hear(Expected::Peer(speaker.address), since, tally).await?
        } else {
            tally.expect(1);
            let due = match mode {
                Mode::Echo => Expected::Fixed,
                Mode::Stun => Expected::Mapped(speaker.address, turn),
                _ => Expected::OwnAddress(speaker.address),
            };
            match mode {
                Mode::Stun => speaker.socket.send(&stun::request(turn)).await?,
                _ => speaker.socket.send(REGISTER).await?,
            };
            speaker.hear(due, since, tally).await?
        };
        if !heard {
            self.reopen(mode, tally).await?;
        }
        Ok(())
    }

    async fn v2_turn(
        &mut self,
        turn: u64,
        mode: Mode,
        since: Instant,
        tally: &SharedTally,
    ) -> anyhow::Result<()> {
        let ([first, second], [of_first, of_second]) = (&self.peers, &mut self.v2);
        let (speaker, v2) = if turn.is_multiple_of(2) { (first, of_first) } else { (second, of_second) };
        tally.expect(1);
        speaker.socket.send(&v2.register(mode == Mode::V2Signed)).await?;
        if !speaker.hear_with(|datagram| v2.check(datagram), since, tally).await? {
            self.reopen(mode, tally).await?;
        }
        Ok(())
    }

    /// Takes new sockets, so that an answer that comes after all is not taken for the next one.
    async fn reopen(&mut self, mode: Mode, tally: &SharedTally) -> anyhow::Result<()> {
        let [first, second] = self.ips;
        self.peers = [Peer::open(first, self.server).await?, Peer::open(second, self.server).await?];
        self.v2 = self.peers.each_ref().map(|peer| V2Peer::new(peer.address));
        if mode.registers() {
            for peer in &self.peers {
                tally.expect(1);
                peer.socket.send(REGISTER).await?;
                peer.hear(Expected::OwnAddress(peer.address), Instant::now(), tally).await?;
            }
        }
        Ok(())
    }
}
