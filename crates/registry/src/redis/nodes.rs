//! The connection of a matchmaker that meets others: for commands one, and one that hears the channel of its node.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, ErrorKind, Pipeline, RedisError, RedisResult,
    ServerErrorKind, Value, cmd, pipe,
};
use peer_core::limits::{HOME_MS, NODE_MS, NODES_MAX};
use peer_core::{NodeId, Owner, keys};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::channel::NodeMessages;
use super::clock::RedisClock;
use super::cluster::MapKeeper;
use super::connection::Connection;
use super::endpoint::{Endpoint, Finder};
use super::read::{read, text};
use super::scripts::{Scripts, call};
use crate::RegistryError;
use crate::nodes::{Errand, Errands, Home, HomeAt, Node, SharedKeys};

/// How long a command may take: a peer that asks again after that finds its request forgotten.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the map of a Cluster is looked at while nobody doubts it.
const CHECK_INTERVAL: Duration = Duration::from_millis(250);
/// How long a key of tokens is the current one, in ms: a day.
const KEY_MS: u64 = 86_400_000;
/// Homes that are looked at for one peer.
const HOMES_MAX: usize = 8;

/// What came of each of several commands, in their order. One fails alone where the server of a Cluster that it is for is away, or
/// refuses it. All of it fails where this connection is over.
type Each<T> = Result<Vec<Result<T, RegistryError>>, RegistryError>;

/// A connection to the Redis that nodes share.
#[derive(Clone)]
pub struct NodesConnection {
    connection: Connection,
    node: NodeId,
    scripts: Arc<Scripts>,
    /// On a Cluster, what hears the channel, and what looks after the map.
    shard: Option<(MultiplexedConnection, Arc<Watch>)>,
    /// How long peers of the tracker live, in ms; 0 is for ever.
    peer_ttl_ms: u64,
}

/// Looks after the map of a Cluster as long as it is there.
struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl NodesConnection {
    /// Connects, and listens to the channel of `node`. Peers of the tracker live for `peer_ttl_secs`; 0 is for ever.
    pub async fn open(
        url: &str,
        node: NodeId,
        peer_ttl_secs: u64,
    ) -> Result<(Self, NodeMessages), RegistryError> {
        let broken = |error: String| RegistryError::Broken(format!("REDIS_URL: {error}"));
        let endpoint = Endpoint::parse(url).map_err(broken)?;
        let scripts = Arc::new(Scripts::new());
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let channel = keys::node_channel(node);
        let opening = async {
            let (connection, shard, messages) = if let Endpoint::Cluster(seeds) = endpoint {
                let opened = open_cluster(seeds, config, Arc::clone(&scripts), &channel).await?;
                (opened.0, Some(opened.1), opened.2)
            } else {
                let opened = open_one(endpoint.finder()?, &config, &scripts, &channel).await?;
                (opened.0, None, opened.1)
            };
            let peer_ttl_ms = peer_ttl_secs.saturating_mul(1_000);
            Ok::<_, RedisError>((Self { connection, node, scripts, shard, peer_ttl_ms }, messages))
        };
        match tokio::time::timeout(2 * CONNECT_TIMEOUT, opening).await {
            Ok(opened) => opened.map_err(|error| unavailable(&error)),
            Err(_) => Err(RegistryError::Unavailable("the connection to Redis takes too long".to_owned())),
        }
    }

    /// This node is there. `before` is how it said so the last time, `known` the keys that it has, and `fresh` one that nobody
    /// knows. Gives the keys that all have, and who else is there; nothing where the server of a Cluster that has them is away.
    /// Fails where the channel is not heard any more.
    pub async fn beat(
        &self,
        this: &Node,
        before: &Node,
        known: &SharedKeys,
        fresh: [u8; 16],
    ) -> Result<Option<(SharedKeys, Vec<Node>)>, RegistryError> {
        let mut pipe = pipe();
        call(&mut pipe, &self.scripts.beat, &[keys::nodes(), keys::token_keys()])
            .arg(this.to_string())
            .arg(before.to_string())
            .arg(NODE_MS)
            .arg(NODES_MAX)
            .arg(hex(known.current))
            .arg(hex(known.next))
            .arg(known.previous.map_or_else(String::new, hex))
            .arg(hex(fresh))
            .arg(KEY_MS)
            .arg(u8::from(known.shared));
        let (answers, heard) = tokio::join!(self.query_each(&pipe), self.check_channel());
        heard.map_err(|error| unavailable(&error))?;
        let answer = match answers?.into_iter().next() {
            Some(Err(RegistryError::Unavailable(_))) => return Ok(None),
            answer => answer.transpose()?.unwrap_or_default(),
        };
        let words: Vec<String> = read(answer)?;
        let mut words = words.iter();
        let (current, next, previous) = (words.next(), words.next(), words.next());
        let key = |word: Option<&String>| word.and_then(|word| unhex(word));
        let (Some(current), Some(next)) = (key(current), key(next)) else {
            return Err(RegistryError::Unavailable("the keys of tokens in Redis are none".to_owned()));
        };
        let others = words.filter_map(|word| Node::read(word)).filter(|node| node.id != self.node).collect();
        Ok(Some((SharedKeys { current, next, previous: key(previous), shared: true }, others)))
    }

    /// What a call asks of Redis goes to one server each. Calls for the same number go to the same one, so that those for another
    /// need not wait for a server that is away.
    pub fn server_of_errand(&self, errand: &Errand) -> usize {
        match errand {
            Errand::Find(owner) => self.server_of_peer(*owner),
            Errand::Tell(node, _) => self.server_of(&keys::node_channel(*node)),
        }
    }

    /// The same for what is said of a peer.
    pub fn server_of_peer(&self, owner: Owner) -> usize {
        self.server_of(&keys::peer_homes(owner))
    }

    /// Whether every server is there that is needed. Of a single one it shows by its commands.
    pub fn is_whole(&self) -> bool {
        match &self.connection {
            Connection::One(_) => true,
            Connection::Cluster(cluster) => cluster.is_whole(),
        }
    }

    /// This node is gone.
    pub async fn leave(&self, this: &Node) -> Result<(), RegistryError> {
        let mut pipe = pipe();
        // In either form: it may not have come to say yet that it is about to end.
        for leaving in [false, true] {
            pipe.zrem(keys::nodes(), Node { leaving, ..this.clone() }.to_string());
        }
        self.write_each(&pipe).await.map(drop)
    }

    /// This node hears these peers. Gives of each the other nodes that said so, the last first.
    pub async fn heard(&self, homes: &[Home]) -> Each<Vec<HomeAt>> {
        let mut pipe = pipe();
        for home in homes {
            let keys = [keys::peer_homes(home.owner), keys::peer_seen(home.owner)];
            let call = call(&mut pipe, &self.scripts.heard, &[&keys[0], &keys[1]]);
            call.arg(self.member(home)).arg(HOME_MS);
            // A legacy datagram can be forged: it keeps no mapping alive.
            match home.kind {
                crate::nodes::HomeKind::Legacy => call.arg("-"),
                _ => call.arg(self.peer_ttl_ms),
            };
        }
        let others = |answer: Result<Value, RegistryError>| answer.map(|answer| members(&answer));
        Ok(self.write_each(&pipe).await?.into_iter().map(others).collect())
    }

    /// This node hears them no more.
    pub async fn lost(&self, homes: &[Home]) -> Each<()> {
        let mut pipe = pipe();
        for home in homes {
            pipe.zrem(keys::peer_homes(home.owner), self.member(home));
        }
        Ok(self.write_each(&pipe).await?.into_iter().map(|answer| answer.map(drop)).collect())
    }

    /// Runs errands in one round trip, and gives what came of each.
    pub async fn run(&self, errands: &[Errand]) -> Each<Errands> {
        let publish = if self.shard.is_some() { "SPUBLISH" } else { "PUBLISH" };
        let mut pipe = pipe();
        for errand in errands {
            match errand {
                Errand::Find(owner) => {
                    pipe.cmd("ZREVRANGE").arg(keys::peer_homes(*owner)).arg(0).arg(HOMES_MAX - 1)
                }
                Errand::Tell(node, message) => {
                    pipe.cmd(publish).arg(keys::node_channel(*node)).arg(message.as_slice())
                }
            };
        }
        let came = |errand: &Errand, answer: &Value| match errand {
            Errand::Find(_) => Errands::Homes(members(answer)),
            Errand::Tell(..) => Errands::Told(matches!(answer, Value::Int(listeners) if *listeners > 0)),
        };
        let answers = self.query_each(&pipe).await?;
        Ok(errands
            .iter()
            .zip(answers)
            .map(|(errand, answer)| answer.map(|answer| came(errand, &answer)))
            .collect())
    }

    fn server_of(&self, key: &str) -> usize {
        match &self.connection {
            Connection::One(_) => 0,
            Connection::Cluster(cluster) => cluster.master_of(key).unwrap_or(usize::MAX),
        }
    }

    /// Whether the server of the channel answers, where that is another than for commands.
    async fn check_channel(&self) -> RedisResult<()> {
        let Some((connection, _)) = &self.shard else { return Ok(()) };
        cmd("PING").exec_async(&mut connection.clone()).await
    }

    fn member(&self, home: &Home) -> String {
        HomeAt { node: self.node, kind: home.kind }.to_string()
    }

    /// As [`Self::query_each`]. What a single server refuses to write is an answer, too.
    async fn write_each(&self, pipe: &Pipeline) -> Each<Value> {
        match self.query_each(pipe).await {
            Err(RegistryError::Broken(error)) => {
                Ok(pipe.cmd_iter().map(|_| Err(RegistryError::Broken(error.clone()))).collect())
            }
            answers => answers,
        }
    }

    /// On a Cluster each command has a fate of its own. Those of a single server have one.
    async fn query_each(&self, pipe: &Pipeline) -> Each<Value> {
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = match &self.connection {
            Connection::One(connection) => connection.clone(),
            Connection::Cluster(cluster) => {
                let commands: Vec<&Cmd> = pipe.cmd_iter().collect();
                let answers = cluster.run_each(&commands).await;
                let read = |answer: RedisResult<Value>| {
                    answer.and_then(Value::extract_error).map_err(|error| unavailable(&error))
                };
                return Ok(answers.into_iter().map(read).collect());
            }
        };
        let answer: RedisResult<Vec<Value>> = match pipe.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.scripts.load(&mut connection).await.map_err(|error| unavailable(&error))?;
                pipe.query_async(&mut connection).await
            }
            answer => answer,
        };
        Ok(answer.map_err(|error| unavailable(&error))?.into_iter().map(Ok).collect())
    }
}

async fn open_one(
    mut finder: Finder,
    config: &AsyncConnectionConfig,
    scripts: &Scripts,
    channel: &str,
) -> RedisResult<(Connection, NodeMessages)> {
    let client = finder.find().await?;
    let mut connection = client.get_multiplexed_async_connection_with_config(config).await?;
    scripts.load(&mut connection).await?;
    Ok((Connection::One(connection), NodeMessages::of_server(&client, channel).await?))
}

async fn open_cluster(
    seeds: Vec<ConnectionInfo>,
    config: AsyncConnectionConfig,
    scripts: Arc<Scripts>,
    channel: &str,
) -> RedisResult<(Connection, (MultiplexedConnection, Arc<Watch>), NodeMessages)> {
    let raised = Arc::new(Notify::new());
    let mut keeper = MapKeeper::new(seeds, config.clone(), scripts, Arc::clone(&raised));
    let clock = RedisClock::new();
    keeper.check(&clock).await?;
    let client = keeper.client_of(keys::slot(channel.as_bytes()))?;
    let (messages, listener) = NodeMessages::of_shard(&client, config, channel).await?;
    let connection = Connection::Cluster(keeper.connection());
    let watch = tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(CHECK_INTERVAL) => {}
                () = raised.notified() => {}
            }
            // What is wrong shows by the commands.
            let _ = keeper.check(&clock).await;
        }
    });
    Ok((connection, (listener, Arc::new(Watch(watch))), messages))
}

fn members(answer: &Value) -> Vec<HomeAt> {
    let Value::Array(members) = answer else { return Vec::new() };
    members.iter().filter_map(|member| HomeAt::read(text(member)?)).collect()
}

/// What Redis refuses, full or read-only, it will refuse again; everything else is over with a new connection.
fn unavailable(error: &RedisError) -> RegistryError {
    let errors = error.clone().into_server_errors();
    let is_lasting = |code: &str| matches!(code, "OOM" | "READONLY" | "MISCONF" | "NOREPLICAS");
    if errors.is_some_and(|errors| errors.iter().any(|(_, error)| is_lasting(error.code()))) {
        RegistryError::Broken(error.to_string())
    } else {
        RegistryError::Unavailable(error.to_string())
    }
}

fn hex(key: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(key))
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| digits).map(u128::to_be_bytes)
}
