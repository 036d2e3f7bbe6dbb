//! Who has which slot, and the connections to all of them: found out, watched and renewed.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult,
    from_redis_value, pipe,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::slots::{Address, Slots};
use super::{ClusterConnection, values_of};
use crate::redis::clock::RedisClock;
use crate::redis::scripts::Scripts;

/// How often who has what is asked for while all is well.
const ASK_INTERVAL: Duration = Duration::from_secs(1);
/// Servers besides the masters that are connected to since a redirection named them, in servers.
const STRANGERS_MAX: usize = 16;

/// Who has which slot now.
pub(super) struct Map {
    slots: Slots,
    /// The masters in the order of `slots`, then others to which commands were redirected.
    nodes: Vec<Node>,
}

#[derive(Clone)]
struct Node {
    address: Address,
    /// `None` while there is none.
    connection: Option<MultiplexedConnection>,
}

impl Map {
    pub(super) fn master_of(&self, slot: u16) -> Option<usize> {
        self.slots.master_of(slot)
    }

    pub(super) fn place(&self, address: &Address) -> Option<usize> {
        self.nodes.iter().position(|node| node.address == *address)
    }

    pub(super) fn address(&self, node: usize) -> Option<&Address> {
        self.nodes.get(node).map(|node| &node.address)
    }

    /// Whether every slot has a master that is connected.
    pub(super) fn is_whole(&self) -> bool {
        let masters = self.nodes.iter().take(self.slots.masters.len());
        self.slots.are_all_served() && masters.into_iter().all(|node| node.connection.is_some())
    }

    pub(super) fn connection(&self, node: usize) -> Option<MultiplexedConnection> {
        self.nodes.get(node)?.connection.clone()
    }
}

/// What requests found out to be otherwise than the map says.
pub(super) struct Doubts {
    /// Wakes up who looks after the map.
    raised: Arc<Notify>,
    /// Servers that are not in it.
    strangers: Mutex<Vec<Address>>,
    /// Whether the map is to be asked for anew.
    about_map: Mutex<bool>,
}

impl Doubts {
    /// Something is otherwise, and perhaps `server` is not known.
    pub(super) fn raise(&self, server: Option<&Address>) {
        if let Some(server) = server {
            let mut strangers = self.strangers.lock();
            if strangers.len() < STRANGERS_MAX && !strangers.contains(server) {
                strangers.push(server.clone());
            }
        }
        *self.about_map.lock() = true;
        self.raised.notify_one();
    }
}

/// What one server says of itself and of the Cluster.
struct Said {
    place: usize,
    time_ms: u64,
    /// Whether it can serve, and how new what it knows is.
    standing: Option<(bool, u64)>,
    slots: Option<Slots>,
}

/// Looks after the map of a Cluster.
pub(in crate::redis) struct MapKeeper {
    /// The servers that the URL names, and how any server is spoken to.
    seeds: Vec<ConnectionInfo>,
    config: AsyncConnectionConfig,
    scripts: Arc<Scripts>,
    map: watch::Sender<Arc<Map>>,
    doubts: Arc<Doubts>,
    asked: Option<Instant>,
}

impl MapKeeper {
    pub(in crate::redis) fn new(
        seeds: Vec<ConnectionInfo>,
        config: AsyncConnectionConfig,
        scripts: Arc<Scripts>,
        raised: Arc<Notify>,
    ) -> Self {
        let nobody = Map { slots: Slots::nobody(), nodes: Vec::new() };
        let doubts = Doubts { raised, strangers: Mutex::default(), about_map: Mutex::new(false) };
        Self {
            seeds,
            config,
            scripts,
            map: watch::Sender::new(Arc::new(nobody)),
            doubts: Arc::new(doubts),
            asked: None,
        }
    }

    /// A connection by this map, which is to be looked after as long as it is used.
    pub(in crate::redis) fn connection(&self) -> ClusterConnection {
        ClusterConnection {
            map: self.map.subscribe(),
            doubts: Arc::clone(&self.doubts),
            scripts: Arc::clone(&self.scripts),
        }
    }

    /// Looks at all servers, and sets the clock to the one that is ahead of all. Fails where no server can serve: none is
    /// there, or what there is says itself that the Cluster is down.
    pub(in crate::redis) async fn check(&mut self, clock: &RedisClock) -> RedisResult<()> {
        let mut map = Arc::clone(&self.map.borrow());
        if map.nodes.iter().all(|node| node.connection.is_none()) {
            map = self.connect_to_seeds(&map).await?;
        }
        let doubted = std::mem::take(&mut *self.doubts.about_map.lock());
        let about_map = doubted || self.asked.is_none_or(|asked| asked.elapsed() >= ASK_INTERVAL);
        let asked_ms = clock.local_ms();
        let asking = map.nodes.iter().enumerate().filter_map(|(place, node)| {
            let connection = node.connection.clone()?;
            Some(ask(place, node.address.clone(), connection, about_map))
        });
        let said: Vec<Said> = join_all(asking).await.into_iter().flatten().collect();
        let Some(time_ms) = said.iter().map(|said| said.time_ms).max() else {
            self.forget(&map);
            return Err(RedisError::from((ErrorKind::Io, "no server of the Cluster answers")));
        };
        clock.set(asked_ms, time_ms);
        let silent = map.nodes.iter().filter(|node| node.connection.is_some()).count() > said.len();
        if about_map || silent {
            self.asked = about_map.then(Instant::now);
            self.renew(&map, &said).await;
        }
        if about_map && !said.iter().any(|said| said.standing.is_some_and(|(serves, _)| serves)) {
            return Err(RedisError::from((ErrorKind::Io, "the Cluster is down")));
        }
        Ok(())
    }

    /// Publishes the map with who answered, then connects to who else is in it, and publishes it with each that is there.
    async fn renew(&self, old: &Map, said: &[Said]) {
        let newest = said.iter().filter(|said| said.slots.is_some()).max_by_key(|said| said.standing);
        let slots = newest.and_then(|said| said.slots.clone()).unwrap_or_else(|| old.slots.clone());
        let mut addresses = slots.masters.clone();
        let strangers = std::mem::take(&mut *self.doubts.strangers.lock());
        // One that is not there any more is no reason to try it at each look.
        let others = old.nodes.iter().skip(old.slots.masters.len());
        let others = others.filter(|node| node.connection.is_some()).map(|node| node.address.clone());
        for other in strangers.into_iter().chain(others) {
            if addresses.len() < slots.masters.len() + STRANGERS_MAX && !addresses.contains(&other) {
                addresses.push(other);
            }
        }
        let answered = |address: &Address| {
            let node = said
                .iter()
                .filter_map(|said| old.nodes.get(said.place))
                .find(|node| node.address == *address);
            node.and_then(|node| node.connection.clone())
        };
        let mut nodes: Vec<Node> =
            addresses.into_iter().map(|address| Node { connection: answered(&address), address }).collect();
        self.publish(slots.clone(), nodes.clone());
        let missing = nodes.iter().enumerate().filter(|(_, node)| node.connection.is_none());
        let missing = missing.map(|(place, node)| (place, node.address.clone()));
        let mut connecting: FuturesUnordered<_> =
            missing.map(async |(place, address)| (place, self.connect(&address).await)).collect();
        while let Some((place, connected)) = connecting.next().await {
            if let (Some(node), Ok(connection)) = (nodes.get_mut(place), connected) {
                node.connection = Some(connection);
                self.publish(slots.clone(), nodes.clone());
            }
        }
    }

    async fn connect_to_seeds(&self, old: &Map) -> RedisResult<Arc<Map>> {
        let known = old.nodes.iter().map(|node| node.address.clone());
        let seeds = self.seeds.iter().filter_map(|seed| address_of(seed.addr()));
        let mut addresses: Vec<Address> = Vec::new();
        for address in seeds.chain(known) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let connecting = addresses.into_iter().map(async |address| {
            let connection = self.connect(&address).await;
            connection.map(|connection| Node { address, connection: Some(connection) })
        });
        let (nodes, errors): (Vec<_>, Vec<_>) =
            join_all(connecting).await.into_iter().partition(Result::is_ok);
        let nodes: Vec<Node> = nodes.into_iter().flatten().collect();
        match errors.into_iter().find_map(Result::err) {
            Some(error) if nodes.is_empty() => Err(error),
            _ => {
                *self.doubts.about_map.lock() = true;
                // Of no use to requests yet: nobody is known to have a slot.
                Ok(Arc::new(Map { slots: Slots::nobody(), nodes }))
            }
        }
    }

    /// What connects to the master of a slot.
    pub(in crate::redis) fn client_of(&self, slot: u16) -> RedisResult<Client> {
        let map = Arc::clone(&self.map.borrow());
        let nobody = || RedisError::from((ErrorKind::Io, "nobody has the slot"));
        let master = map.master_of(slot).and_then(|place| map.address(place)).ok_or_else(nobody)?;
        self.client(master)
    }

    fn client(&self, address: &Address) -> RedisResult<Client> {
        let none = || RedisError::from((ErrorKind::InvalidClientConfig, "no server of a Cluster is named"));
        let like = self.seeds.first().ok_or_else(none)?;
        Client::open(like.clone().set_addr(with_address(like.addr(), address)))
    }

    async fn connect(&self, address: &Address) -> RedisResult<MultiplexedConnection> {
        let client = self.client(address)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&self.config).await?;
        self.scripts.load(&mut connection).await?;
        Ok(connection)
    }

    fn forget(&self, map: &Map) {
        let nodes = map.nodes.iter().map(|node| Node { connection: None, ..node.clone() });
        self.publish(map.slots.clone(), nodes.collect());
    }

    fn publish(&self, slots: Slots, nodes: Vec<Node>) {
        self.map.send_replace(Arc::new(Map { slots, nodes }));
    }
}

async fn ask(
    place: usize,
    address: Address,
    mut connection: MultiplexedConnection,
    about_map: bool,
) -> Option<Said> {
    let mut ask = pipe();
    ask.cmd("TIME");
    if about_map {
        ask.cmd("CLUSTER").arg("INFO");
        ask.cmd("CLUSTER").arg("SLOTS");
    }
    let mut answers = values_of(&mut connection, &ask).await.ok()?.into_iter();
    let (secs, micros): (u64, u64) = from_redis_value(answers.next()?).ok()?;
    let standing =
        answers.next().and_then(|info| from_redis_value(info).ok()).map(|info: String| standing(&info));
    let slots = answers.next().and_then(|slots| Slots::read(&slots, &address));
    Some(Said { place, time_ms: secs.saturating_mul(1_000).saturating_add(micros / 1_000), standing, slots })
}

/// From an answer to `CLUSTER INFO`.
fn standing(info: &str) -> (bool, u64) {
    let field =
        |name: &str| info.lines().find_map(|line| line.trim_end().strip_prefix(name)?.strip_prefix(':'));
    let epoch = field("cluster_current_epoch").and_then(|epoch| epoch.parse().ok());
    (field("cluster_state") == Some("ok"), epoch.unwrap_or(0))
}

fn address_of(address: &ConnectionAddr) -> Option<Address> {
    match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Some(Address { host: host.clone(), port: *port })
        }
        _ => None,
    }
}

/// Another address, spoken to in the same way.
fn with_address(like: &ConnectionAddr, Address { host, port }: &Address) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host.clone(), *port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_cluster_stands_is_read() {
        let info =
            "cluster_enabled:1\r\ncluster_state:ok\r\ncluster_current_epoch:7\r\ncluster_my_epoch:1\r\n";
        assert_eq!(standing(info), (true, 7));
        assert_eq!(standing("cluster_state:fail\r\n"), (false, 0));
    }
}
