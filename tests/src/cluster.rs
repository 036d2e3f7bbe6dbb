//! A real Redis Cluster: masters with or without replicas, each a process of its own.

use crate::deadline::{PATIENCE, eventually};
use crate::ports::free_port;
use crate::redis::RedisServer;
use crate::resp::{self, Reply};

/// After how long without an answer a server counts as gone, in ms: `cluster-node-timeout`.
pub const NODE_TIMEOUT_MS: u32 = 1_000;
const SLOTS: usize = 16_384;

/// Servers that are a Cluster.
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<RedisServer>,
    masters: usize,
}

impl RedisCluster {
    /// Three masters.
    pub fn start_new() -> Self {
        Self::start(3, 0)
    }

    /// Three masters with a replica each.
    pub fn start_with_replicas() -> Self {
        Self::start(3, 3)
    }

    fn start(masters: usize, replicas: usize) -> Self {
        let servers: Vec<RedisServer> = (0..masters + replicas).map(|_| start_server()).collect();
        let mut cluster = Self { servers, masters };
        let first = cluster.servers[0].address();
        for (number, server) in cluster.servers.iter().enumerate() {
            server.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            let (from, to) = (number * SLOTS / masters, (number + 1) * SLOTS / masters);
            if number < masters {
                server.command(&["CLUSTER", "ADDSLOTSRANGE", &from.to_string(), &(to - 1).to_string()]);
            }
            if number > 0 {
                let bus = cluster.bus_port(0);
                server.command(&["CLUSTER", "MEET", "127.0.0.1", &first.port().to_string(), &bus]);
            }
        }
        cluster.wait_until_all_know_each_other();
        for number in 0..replicas {
            let master = cluster.id(number % masters);
            cluster.servers[masters + number].command(&["CLUSTER", "REPLICATE", &master]);
        }
        cluster.wait_until_ok();
        for replica in &cluster.servers[masters..] {
            eventually(PATIENCE, "the replica has what its master has", || {
                let info = resp::command(replica.address(), &["INFO", "replication"]);
                matches!(info, Ok(Reply::Text(info)) if info.contains("master_link_status:up")).then_some(())
            });
        }
        cluster.masters = masters;
        cluster
    }

    /// The value for `REDIS_URL`.
    pub fn url(&self) -> String {
        let servers: Vec<String> = self.servers.iter().map(|server| server.address().to_string()).collect();
        format!("redis+cluster://{}", servers.join(","))
    }

    /// One of the servers that began as masters.
    pub fn master(&mut self, number: usize) -> &mut RedisServer {
        &mut self.servers[..self.masters][number]
    }

    /// Which of the servers that began as masters has the slot of a key.
    pub fn first_master_of(&self, key: &str) -> usize {
        let server = self.servers.iter().find(|server| server.runs()).expect("one of them runs");
        let Reply::Number(slot) = server.command(&["CLUSTER", "KEYSLOT", key]) else { panic!("a slot") };
        let slot = usize::try_from(slot).expect("a slot");
        (0..self.masters).rfind(|number| number * SLOTS / self.masters <= slot).expect("it has a master")
    }

    /// Waits until a server has the slot of a key, whose master was killed.
    pub fn wait_for_failover(&self, key: &str) {
        eventually(PATIENCE, "another server has the slot", || {
            let mut running = self.servers.iter().filter(|server| server.runs());
            let exists = |server: &RedisServer| resp::command(server.address(), &["EXISTS", key]);
            running.find(|server| matches!(exists(server), Ok(Reply::Number(_)))).map(|_| ())
        });
    }

    /// Adds a master without slots, which all others know.
    pub fn add_master(&mut self) -> usize {
        let server = start_server();
        let (first, bus) = (self.servers[0].address(), self.bus_port(0));
        server.command(&["CLUSTER", "MEET", "127.0.0.1", &first.port().to_string(), &bus]);
        self.servers.push(server);
        self.wait_until_all_know_each_other();
        self.wait_until_ok();
        self.servers.len() - 1
    }

    /// Moves a slot with all its keys from one server to another, as `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) {
        let slot = slot.to_string();
        let (source, target) = (&self.servers[from], &self.servers[to]);
        let (source_id, target_id) = (self.id(from), self.id(to));
        target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id]);
        source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id]);
        let port = target.address().port().to_string();
        loop {
            let keys = source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).texts();
            if keys.is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.iter().map(String::as_str));
            source.command(&migrate);
        }
        for server in [target, source] {
            server.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
        for server in &self.servers {
            _ = resp::command(server.address(), &["CLUSTER", "SETSLOT", &slot, "NODE", &target_id]);
        }
    }

    /// All keys of all masters.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.servers[..self.masters]
            .iter()
            .flat_map(|server| server.command(&["KEYS", "*"]).texts())
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Sends a command to the server that has `key`.
    #[track_caller]
    pub fn command(&self, key: &str, words: &[&str]) -> Reply {
        for server in &self.servers {
            match resp::command(server.address(), words) {
                Ok(Reply::Error(error)) if error.starts_with("MOVED") => {}
                Ok(Reply::Error(error)) => panic!("{words:?}: {error}"),
                Ok(reply) => return reply,
                Err(_) => {}
            }
        }
        panic!("nobody has {key}")
    }

    fn id(&self, number: usize) -> String {
        match self.servers[number].command(&["CLUSTER", "MYID"]) {
            Reply::Text(id) => id,
            reply => panic!("{reply:?}"),
        }
    }

    /// As the server says itself: it was chosen when it was started.
    fn bus_port(&self, number: usize) -> String {
        match self.servers[number].command(&["CONFIG", "GET", "cluster-port"]) {
            Reply::List(pair) => match &pair[..] {
                [_, Reply::Text(port)] => port.clone(),
                other => panic!("{other:?}"),
            },
            reply => panic!("{reply:?}"),
        }
    }

    fn wait_until_all_know_each_other(&self) {
        let expected = format!("cluster_known_nodes:{}", self.servers.len());
        self.wait_for_info(&expected);
    }

    /// Waits until every server says that all slots are served.
    pub fn wait_until_ok(&self) {
        self.wait_for_info("cluster_state:ok");
    }

    fn wait_for_info(&self, line: &str) {
        for server in self.servers.iter().filter(|server| server.runs()) {
            eventually(PATIENCE, line, || {
                let info = resp::command(server.address(), &["CLUSTER", "INFO"]);
                matches!(info, Ok(Reply::Text(info)) if info.lines().any(|said| said == line)).then_some(())
            });
        }
    }
}

fn start_server() -> RedisServer {
    let mut server = RedisServer::reserved();
    server.add_options(&[
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        &free_port().to_string(),
        "--cluster-node-timeout",
        &NODE_TIMEOUT_MS.to_string(),
    ]);
    server.start();
    server
}
