//! Figures that the plan stands on, out of the reports in docs/benchmarks. They are in the program, so that it plans anywhere.

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

use crate::figures::float;
use crate::nodes::cost::on_line;

const HTTP: (&str, &str) =
    ("2026-11-26-http", include_str!("../../../../docs/benchmarks/2026-11-26-http.json"));
const MAPPINGS: (&str, &str) =
    ("2026-11-26-mappings-redis", include_str!("../../../../docs/benchmarks/2026-11-26-mappings-redis.json"));
const REGISTRATIONS: (&str, &str) =
    ("2026-11-25-registrations", include_str!("../../../../docs/benchmarks/2026-11-25-registrations.json"));
const NODES: (&str, &str) =
    ("2026-11-26-nodes", include_str!("../../../../docs/benchmarks/2026-11-26-nodes.json"));

/// Registrations beside which an answer of the matchmaker was measured.
const BESIDE: u64 = 1_000_000;

/// All that is taken from reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Measured {
    /// CPU time of the tracker for a `GET /peers` that no cache answers, in us.
    pub lookup_us: f64,
    /// Of Redis for it.
    pub lookup_redis_us: f64,
    /// CPU time of the tracker for a `POST /add`, in us.
    pub publish_us: f64,
    /// Of Redis for it.
    pub publish_redis_us: f64,
    /// Memory of Redis for a mapping, in bytes.
    pub mapping_bytes: f64,
    /// CPU time of the matchmaker for a keepalive of version 2, in us: a legacy register with the kernel's part, and what the
    /// engine takes more for one of version 2.
    pub keepalive_us: f64,
    /// CPU time of the matchmaker for each of the two sides of a connect, in us.
    pub connect_us: f64,
    /// Memory of a matchmaker for a peer of version 2, in bytes.
    pub peer_bytes: f64,
    /// Memory of Redis for a peer that is heard in one way, in bytes.
    pub home_bytes: f64,
    /// CPU time of Redis when a node says that it hears a peer which has published, in us.
    pub heard_us: f64,
    /// CPU time of Redis to find who hears a peer, in us.
    pub find_us: f64,
    /// CPU time of Redis for a message from node to node, in us.
    pub message_us: f64,
    /// Nodes, and the CPU time of Redis for a beat beside so many, in us.
    pub beat_us: Vec<(f64, f64)>,
}

impl Measured {
    /// As the reports have it.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let (http, mappings) = (figures(HTTP)?, figures(MAPPINGS)?);
        let (registrations, nodes) = (figures(REGISTRATIONS)?, figures(NODES)?);
        let tracker = |operation: &str, process: &str| {
            let median = median(&http, "tracker, Redis", operation)?;
            number(median, &format!("/cpu_us/{process}"))
        };
        let counts = registrations.pointer("/counts").and_then(Value::as_array).context("no counts")?;
        let beside = counts
            .iter()
            .find(|count| count.pointer("/registrations").and_then(Value::as_u64) == Some(BESIDE))
            .context("no such count of registrations")?;
        let udp = |operation: &str| number(median(beside, "matchmaker", operation)?, "/cpu_us_sum");
        let engine = |name: &str| number(&nodes, &format!("/engine/{name}"));
        let word = |name: &str| number(&nodes, &format!("/costs/{name}/redis_us"));
        let beats = nodes.pointer("/costs/beats").and_then(Value::as_array).context("no beats")?;
        let beat = |beat: &Value| anyhow::Ok((number(beat, "/nodes")?, number(beat, "/each/redis_us")?));
        Ok(Self {
            lookup_us: tracker("GET /peers, cold", "server")?,
            lookup_redis_us: tracker("GET /peers, cold", "redis")?,
            publish_us: tracker("POST /add", "server")?,
            publish_redis_us: tracker("POST /add", "redis")?,
            mapping_bytes: number(&mappings, "/bytes_per_mapping")?,
            keepalive_us: udp("register")? + engine("keepalive_us")? - engine("legacy_register_us")?,
            connect_us: udp("connect")?,
            peer_bytes: engine("peer_bytes")?,
            home_bytes: number(&nodes, "/costs/home_bytes")?,
            heard_us: word("heard_known")?,
            find_us: word("find")?,
            message_us: word("message")?,
            beat_us: beats.iter().map(beat).collect::<anyhow::Result<_>>()?,
        })
    }

    /// CPU time of Redis for a beat beside so many nodes, in us.
    pub(crate) fn beat_us(&self, nodes: f64) -> f64 {
        on_line(&self.beat_us, nodes).max(0.0)
    }

    /// What was measured, how much it is, and the report that says so.
    pub(crate) fn table(&self) -> Vec<(&'static str, String, &'static str)> {
        let us = |value: f64| format!("{value:.1} us");
        let bytes = |value: f64| format!("{value:.0} B");
        let beats = self.beat_us.iter().map(|(nodes, us)| format!("{us:.0} us beside {nodes:.0}"));
        vec![
            ("tracker, `GET /peers` that no cache answers", us(self.lookup_us), HTTP.0),
            ("Redis, the same", us(self.lookup_redis_us), HTTP.0),
            ("tracker, `POST /add`", us(self.publish_us), HTTP.0),
            ("Redis, the same", us(self.publish_redis_us), HTTP.0),
            ("Redis, memory of a mapping", bytes(self.mapping_bytes), MAPPINGS.0),
            (
                "matchmaker, a keepalive of version 2",
                us(self.keepalive_us),
                "2026-11-25-registrations, -26-nodes",
            ),
            ("matchmaker, a side of a connect", us(self.connect_us), REGISTRATIONS.0),
            ("matchmaker, memory of a peer", bytes(self.peer_bytes), NODES.0),
            ("Redis, memory of a peer that is heard in one way", bytes(self.home_bytes), NODES.0),
            ("Redis, a peer is said to be heard", us(self.heard_us), NODES.0),
            ("Redis, who hears a peer", us(self.find_us), NODES.0),
            ("Redis, a message from node to node", us(self.message_us), NODES.0),
            ("Redis, a node says that it is there", beats.collect::<Vec<_>>().join(", "), NODES.0),
        ]
    }
}

fn figures((name, text): (&str, &str)) -> anyhow::Result<Value> {
    let report: Value = serde_json::from_str(text).with_context(|| format!("reading {name}"))?;
    report.get("figures").cloned().with_context(|| format!("{name} has no figures"))
}

fn median<'a>(figures: &'a Value, server: &str, operation: &str) -> anyhow::Result<&'a Value> {
    let is_it = |median: &&Value| {
        let text = |name| median.get(name).and_then(Value::as_str);
        text("server") == Some(server) && text("operation") == Some(operation)
    };
    let medians = figures.get("medians").and_then(Value::as_array).context("no medians")?;
    medians.iter().find(is_it).with_context(|| format!("no {operation} of {server}"))
}

fn number(value: &Value, pointer: &str) -> anyhow::Result<f64> {
    let found = value.pointer(pointer);
    let found = found.and_then(|found| found.as_f64().or_else(|| found.as_u64().map(float)));
    found.filter(|figure| *figure > 0.0).with_context(|| format!("no figure at {pointer}"))
}
