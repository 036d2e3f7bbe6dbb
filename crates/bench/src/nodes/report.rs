//! What `bench nodes` found, as tables, a page and a picture.

use std::path::Path;

use super::cost::{Costs, Each};
use super::expected::Expected;
use super::processes::Comparison;
use super::{Findings, Simulated};
use crate::figures::{float, mebibytes, thousands};
use crate::report::{Circumstances, Curves, Line, Report, Table};

pub(super) fn print_and_write(
    circumstances: &Circumstances,
    findings: &Findings,
    directory: Option<&Path>,
) -> anyhow::Result<()> {
    let body = body(findings);
    println!("{}\n{body}", circumstances.describe());
    let Some(directory) = directory else { return Ok(()) };
    let report = Report {
        kind: "nodes",
        title: "Very many matchmakers over one Redis",
        circumstances,
        body: &body,
        figures: findings,
        charts: &[],
        curves: &curves(findings),
    };
    report.write(directory)
}

fn body(findings: &Findings) -> String {
    let Findings { connects_per_hour, costs, engine, simulated, comparison } = findings;
    format!(
        "## What each word costs Redis\n\n{}\n## Fleets in virtual time\n\nThe real engines; each peer has an id, keeps \
         alive every 20 s, and asks for {connects_per_hour} others an hour.\n\n{}\n\
         One engine with {} peers of version 2: {:.0} bytes of memory each, {:.2} us for a keepalive, beside {:.2} us for a legacy \
         register, without the kernel's part.\n\n## The same by processes\n\n\
         {} real matchmakers over a real Redis with {} peers for {} s, each of which asks for one other, beside the same \
         simulated.\n\n{}\n{NOTES}",
        cost_table(costs).render(),
        fleet_table(costs, simulated).render(),
        thousands(float(engine.peers as u64)),
        engine.peer_bytes,
        engine.keepalive_us,
        engine.legacy_register_us,
        comparison.nodes,
        comparison.peers,
        comparison.seconds,
        self::comparison(comparison).render(),
    )
}

const NOTES: &str = "## How to read it\n\n\
    * **Redis us** is CPU time of Redis by its own count (`INFO cpu`), which writes an append-only file as the container's does. \
    What it forks is not in it.\n\
    * **heard** is the script by which a node says that it hears a peer, once when it comes and every 40 s; *known* are peers that \
    have published, whose sign of life it renews. **beat** is the script by which a node says every 2 s that it is there; its \
    answer names all that are, so that beats cost all nodes together by the square of their number.\n\
    * **of a core** is what the counted words take at the measured cost, with *known* peers. Redis runs commands on one core.\n\
    * **at most** is how many peers such a fleet may have until one core of Redis is full. What it has left over after beats is \
    shared among peers, each with two homes and its connects.\n\
    * **engine** is the memory of one engine with its peers, as the kernel holds it for this process (VmRSS).\n\
    * A fleet is counted over 40 s, a whole walk of each node, after all have come.\n";

fn cost_table(costs: &Costs) -> Table {
    let mut table = Table::new(1, ["word", "Redis us", "bytes in", "bytes out", "memory"]);
    let mut row = |name: String, each: &Each, memory: String| {
        let bytes = |bytes: f64| format!("{bytes:.0}");
        table.row([
            name,
            format!("{:.1}", each.redis_us),
            bytes(each.in_bytes),
            bytes(each.out_bytes),
            memory,
        ]);
    };
    row("heard, 4 at once".into(), &costs.heard_few, format!("{:.0} B a home", costs.home_bytes));
    row("heard, 256 at once".into(), &costs.heard_many, String::new());
    row("heard, 256 at once, known".into(), &costs.heard_known, String::new());
    row("find".into(), &costs.find, String::new());
    row("message of 150 bytes".into(), &costs.message, String::new());
    for beat in &costs.beats {
        let memory = format!("{:.1} KiB a node", beat.memory_bytes / 1_024.0);
        row(format!("beat, {} nodes", beat.nodes), &beat.each, memory);
    }
    table
}

fn rates(simulated: &Simulated) -> Expected {
    let rate = |count: u64| float(count) / simulated.seconds;
    let done = simulated.load.done;
    Expected {
        heard: rate(done.heard),
        beats: rate(done.beats),
        finds: rate(done.finds),
        messages: rate(done.messages),
    }
}

fn fleet_table(costs: &Costs, simulated: &[Simulated]) -> Table {
    let mut table = Table::new(
        0,
        [
            "nodes",
            "peers",
            "heard/s",
            "beats/s",
            "finds/s",
            "messages/s",
            "commands/s",
            "KB/s in",
            "KB/s out",
            "homes",
            "unmet",
            "engine",
            "of a core",
            "at most",
        ],
    );
    for fleet in simulated {
        let (rates, nodes, peers) = (rates(fleet), float(fleet.nodes as u64), float(fleet.peers as u64));
        let share = rates.core_share(costs, nodes);
        let beats = rates.beats_alone().core_share(costs, nodes);
        let at_most = if share > beats { peers * (1.0 - beats).max(0.0) / (share - beats) } else { 0.0 };
        let kilobytes = |bytes: u64| thousands(float(bytes) / 1e3 / fleet.seconds);
        table.row([
            thousands(nodes),
            thousands(peers),
            thousands(rates.heard),
            thousands(rates.beats),
            format!("{:.1}", rates.finds),
            format!("{:.1}", rates.messages),
            thousands(fleet.load.all_calls() / fleet.seconds),
            kilobytes(fleet.load.in_bytes),
            kilobytes(fleet.load.out_bytes),
            thousands(float(fleet.homes as u64)),
            fleet.missed.to_string(),
            mebibytes(fleet.engines_bytes / fleet.nodes.max(1) as u64),
            format!("{:.1} %", share * 100.0),
            thousands(at_most),
        ]);
    }
    table
}

pub(super) fn comparison(comparison: &Comparison) -> Table {
    let mut table = Table::new(1, ["counted", "processes", "simulated", "apart"]);
    let mut row = |name: &str, real: u64, simulated: u64| {
        let apart = (float(simulated) / float(real.max(1)) - 1.0) * 100.0;
        table.row([
            name.to_owned(),
            thousands(float(real)),
            thousands(float(simulated)),
            format!("{apart:+.1} %"),
        ]);
    };
    let (real, simulated) = (&comparison.real, &comparison.simulated);
    for (name, calls) in &real.calls {
        row(name, *calls, simulated.calls.get(name).copied().unwrap_or_default());
    }
    row("bytes in", real.in_bytes, simulated.in_bytes);
    row("bytes out", real.out_bytes, simulated.out_bytes);
    row("matched across nodes", real.matched, simulated.matched);
    table
}

fn curves(findings: &Findings) -> Vec<Curves> {
    let share = |fleet: &Simulated| {
        let (rates, nodes) = (rates(fleet), float(fleet.nodes as u64));
        let beats = rates.beats_alone().core_share(&findings.costs, nodes);
        (nodes, beats * 100.0, rates.core_share(&findings.costs, nodes) * 100.0)
    };
    let shares: Vec<_> = findings.simulated.iter().map(share).collect();
    let beats = shares.iter().map(|(nodes, beats, _)| (*nodes, *beats)).collect();
    let all = shares.iter().map(|(nodes, _, all)| (*nodes, *all)).collect();
    let out = findings
        .simulated
        .iter()
        .map(|fleet| (float(fleet.nodes as u64), float(fleet.load.out_bytes) / fleet.seconds / 1e3));
    let line = |label: &str, points, hue| Line { label: label.to_owned(), points, hue };
    vec![
        Curves {
            title: "CPU time of Redis, % of a core".to_owned(),
            across: "nodes".to_owned(),
            magnitudes: true,
            lines: vec![line("all", all, 1), line("beats", beats, 2)],
        },
        Curves {
            title: "Sent by Redis, KB/s".to_owned(),
            across: "nodes".to_owned(),
            magnitudes: true,
            lines: vec![line("all", out.collect(), 1)],
        },
    ]
}
