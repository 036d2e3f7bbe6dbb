//! The connection of a matchmaker that meets others: for commands one, and one that hears the channel of its node.

use std::time::Duration;

use deadpool_redis::redis::aio::{MultiplexedConnection, PubSubStream};
use deadpool_redis::redis::{
    AsyncConnectionConfig, ErrorKind, Pipeline, RedisError, Script, ServerErrorKind, Value, pipe,
};
use futures_util::StreamExt as _;
use peer_core::limits::{HOME_MS, NODE_MS, NODES_MAX};
use peer_core::{NodeId, keys};

use super::endpoint::Endpoint;
use super::read::{read, text};
use super::scripts::call;
use crate::RegistryError;
use crate::nodes::{Errand, Errands, Home, HomeAt, Node, SharedKeys};

/// How long a command may take: a peer that asks again after that finds its request forgotten.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a new connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a key of tokens is the current one, in ms: a day.
const KEY_MS: u64 = 86_400_000;
/// Homes that are looked at for one peer.
const HOMES_MAX: usize = 8;

/// A connection to the Redis that nodes share.
#[derive(Clone)]
pub struct NodesConnection {
    connection: MultiplexedConnection,
    node: NodeId,
    heard: Script,
    beat: Script,
    /// How long peers of the tracker live, in ms; 0 is for ever.
    peer_ttl_ms: u64,
}

/// What other nodes tell this one.
pub struct NodeMessages(PubSubStream);

impl NodeMessages {
    /// The next message; `None` when the connection ended.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        let message = self.0.next().await?;
        Some(message.get_payload_bytes().to_vec())
    }
}

impl NodesConnection {
    /// Says what is wrong with a URL, without naming it. A Cluster is none for this.
    pub fn check_url(url: &str) -> Result<(), String> {
        match Endpoint::parse(url)? {
            Endpoint::Cluster(_) => Err("a Redis that is no Cluster, for matchmakers that meet".to_owned()),
            _ => Ok(()),
        }
    }

    /// Connects, and listens to the channel of `node`. Peers of the tracker live for `peer_ttl_secs`; 0 is for ever.
    pub async fn open(
        url: &str,
        node: NodeId,
        peer_ttl_secs: u64,
    ) -> Result<(Self, NodeMessages), RegistryError> {
        let broken = |error: String| RegistryError::Broken(format!("REDIS_URL: {error}"));
        let endpoint = Endpoint::parse(url).map_err(broken)?;
        let mut finder = endpoint.finder().map_err(|error| broken(error.to_string()))?;
        let opening = async {
            let client = finder.find().await?;
            let config = AsyncConnectionConfig::new()
                .set_connection_timeout(Some(CONNECT_TIMEOUT))
                .set_response_timeout(Some(RESPONSE_TIMEOUT));
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            let (heard, beat) = (
                Script::new(concat!(include_str!("scripts/presence.lua"), include_str!("scripts/heard.lua"))),
                Script::new(concat!(include_str!("scripts/presence.lua"), include_str!("scripts/beat.lua"))),
            );
            for script in [&heard, &beat] {
                script.load_async(&mut connection).await?;
            }
            let mut channel = client.get_async_pubsub().await?;
            channel.subscribe(keys::node_channel(node)).await?;
            let peer_ttl_ms = peer_ttl_secs.saturating_mul(1_000);
            let messages = NodeMessages(channel.into_on_message());
            Ok::<_, RedisError>((Self { connection, node, heard, beat, peer_ttl_ms }, messages))
        };
        match tokio::time::timeout(2 * CONNECT_TIMEOUT, opening).await {
            Ok(opened) => opened.map_err(|error| unavailable(&error)),
            Err(_) => Err(RegistryError::Unavailable("the connection to Redis takes too long".to_owned())),
        }
    }

    /// This node is there. `before` is how it said so the last time, `known` the keys that it has, and `fresh` one that nobody
    /// knows. Gives the keys that all have, and who else is there.
    pub async fn beat(
        &self,
        this: &Node,
        before: &Node,
        known: &SharedKeys,
        fresh: [u8; 16],
    ) -> Result<(SharedKeys, Vec<Node>), RegistryError> {
        let mut pipe = pipe();
        call(&mut pipe, &self.beat, &[keys::nodes(), keys::token_keys()])
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
        let answers = self.query(&pipe).await?;
        let words: Vec<String> = read(answers.into_iter().next().unwrap_or_default())?;
        let mut words = words.iter();
        let (current, next, previous) = (words.next(), words.next(), words.next());
        let key = |word: Option<&String>| word.and_then(|word| unhex(word));
        let (Some(current), Some(next)) = (key(current), key(next)) else {
            return Err(RegistryError::Unavailable("the keys of tokens in Redis are none".to_owned()));
        };
        let others = words.filter_map(|word| Node::read(word)).filter(|node| node.id != self.node).collect();
        Ok((SharedKeys { current, next, previous: key(previous), shared: true }, others))
    }

    /// This node is gone.
    pub async fn leave(&self, this: &Node) -> Result<(), RegistryError> {
        let mut pipe = pipe();
        // In either form: it may not have come to say yet that it is about to end.
        for leaving in [false, true] {
            pipe.zrem(keys::nodes(), Node { leaving, ..this.clone() }.to_string());
        }
        self.query(&pipe).await.map(drop)
    }

    /// This node hears these peers. Gives of each the other nodes that said so, the last first.
    pub async fn heard(&self, homes: &[Home]) -> Result<Vec<Vec<HomeAt>>, RegistryError> {
        let mut pipe = pipe();
        for home in homes {
            let keys = [keys::peer_homes(home.owner), keys::peer_seen(home.owner)];
            let call = call(&mut pipe, &self.heard, &[&keys[0], &keys[1]]);
            call.arg(self.member(home)).arg(HOME_MS);
            // A legacy datagram can be forged: it keeps no mapping alive.
            match home.kind {
                crate::nodes::HomeKind::Legacy => call.arg("-"),
                _ => call.arg(self.peer_ttl_ms),
            };
        }
        Ok(self.query(&pipe).await?.iter().map(members).collect())
    }

    /// This node hears them no more.
    pub async fn lost(&self, homes: &[Home]) -> Result<(), RegistryError> {
        let mut pipe = pipe();
        for home in homes {
            pipe.zrem(keys::peer_homes(home.owner), self.member(home));
        }
        self.query(&pipe).await.map(drop)
    }

    /// Runs errands in one round trip, and gives what came of each.
    pub async fn run(&self, errands: &[Errand]) -> Result<Vec<Errands>, RegistryError> {
        let mut pipe = pipe();
        for errand in errands {
            match errand {
                Errand::Find(owner) => {
                    pipe.cmd("ZREVRANGE").arg(keys::peer_homes(*owner)).arg(0).arg(HOMES_MAX - 1)
                }
                Errand::Tell(node, message) => {
                    pipe.cmd("PUBLISH").arg(keys::node_channel(*node)).arg(message.as_slice())
                }
            };
        }
        let answers = self.query(&pipe).await?;
        let came = |(errand, answer): (&Errand, &Value)| match errand {
            Errand::Find(_) => Errands::Homes(members(answer)),
            Errand::Tell(..) => Errands::Told(matches!(answer, Value::Int(listeners) if *listeners > 0)),
        };
        Ok(errands.iter().zip(&answers).map(came).collect())
    }

    fn member(&self, home: &Home) -> String {
        HomeAt { node: self.node, kind: home.kind }.to_string()
    }

    async fn query(&self, pipe: &Pipeline) -> Result<Vec<Value>, RegistryError> {
        if pipe.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.connection.clone();
        let answer = match pipe.query_async(&mut connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                for script in [&self.heard, &self.beat] {
                    script.load_async(&mut connection).await.map_err(|error| unavailable(&error))?;
                }
                pipe.query_async(&mut connection).await
            }
            answer => answer,
        };
        answer.map_err(|error| unavailable(&error))
    }
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
