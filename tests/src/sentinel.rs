//! A real master, with a replica and three Sentinels where it is to fail over.

use crate::deadline::{PATIENCE, eventually};
use crate::redis::RedisServer;
use crate::resp::{self, Reply};

/// What the Sentinels call the master.
pub const MASTER: &str = "main";
/// How long a master is silent before a Sentinel takes it for down, in ms.
pub const DOWN_AFTER_MS: u32 = 1_000;

/// Servers one of which is the master, and those who see to it.
#[derive(Debug)]
pub struct SentinelSetup {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl SentinelSetup {
    /// Starts a master and one Sentinel: there is nobody to fail over to.
    pub fn start_alone() -> Self {
        let master = RedisServer::start_new();
        let sentinel = RedisServer::start_sentinel(&config(master.address().port(), 1));
        Self { servers: vec![master], sentinels: vec![sentinel] }
    }

    /// Starts all, and waits until the Sentinels know each other and the replica has what the master has.
    pub fn start_new() -> Self {
        let master = RedisServer::start_new();
        let port = master.address().port().to_string();
        let mut replica = RedisServer::with_options(&["--save", "", "--appendonly", "no"]);
        replica.add_options(&["--replicaof", "127.0.0.1", &port]);
        replica.start();
        let config = config(master.address().port(), 2);
        let sentinels: Vec<RedisServer> = (0..3).map(|_| RedisServer::start_sentinel(&config)).collect();
        let setup = Self { servers: vec![master, replica], sentinels };
        eventually(PATIENCE, "the Sentinels know all", || {
            let knows = |sentinel: &RedisServer| {
                let field = |name: &str| field(sentinel, name);
                field("num-slaves") == "1" && field("num-other-sentinels") == "2"
            };
            let linked = resp::command(setup.servers[1].address(), &["INFO", "replication"]);
            let linked = matches!(linked, Ok(Reply::Text(info)) if info.contains("master_link_status:up"));
            (linked && setup.sentinels.iter().all(knows)).then_some(())
        });
        setup
    }

    /// The value for `REDIS_URL`.
    pub fn url(&self) -> String {
        let sentinels: Vec<String> =
            self.sentinels.iter().map(|sentinel| sentinel.address().to_string()).collect();
        format!("redis+sentinel://{}/{MASTER}", sentinels.join(","))
    }

    /// The server that the first Sentinel takes for the master.
    pub fn master(&mut self) -> &mut RedisServer {
        let port = field(&self.sentinels[0], "port");
        let is = |server: &&mut RedisServer| server.address().port().to_string() == port;
        self.servers.iter_mut().find(is).expect("one of ours")
    }

    /// Asks for a failover, as an operator does before maintenance.
    pub fn fail_over(&self) {
        self.sentinels[0].command(&["SENTINEL", "FAILOVER", MASTER]);
    }
}

/// What a Sentinel is told of the master at this port.
pub fn config(master_port: u16, quorum: u8) -> String {
    format!(
        "sentinel monitor {MASTER} 127.0.0.1 {master_port} {quorum}\n\
         sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {MASTER} 5000\n\
         sentinel parallel-syncs {MASTER} 1\n"
    )
}

fn field(sentinel: &RedisServer, name: &str) -> String {
    let Reply::List(fields) = sentinel.command(&["SENTINEL", "MASTER", MASTER]) else {
        panic!("a Sentinel tells of its master by a list")
    };
    let is = |pair: &&[Reply]| pair[0] == Reply::Text(name.to_owned());
    match fields.chunks_exact(2).find(is) {
        Some([_, Reply::Text(value)]) => value.clone(),
        other => panic!("{name}: {other:?}"),
    }
}
