//! The plan as a table, and as the page docs/PLAN.md with its picture.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::Planned;
use super::model::Plan;
use crate::figures::thousands;
use crate::report::{Curves, Line, Table, draw};

/// The picture's name, beside the page.
const PICTURE: &str = "plan.svg";

/// What goes to a terminal.
pub(super) fn text(planned: &Planned) -> String {
    let beyond = planned.plans.iter().flat_map(|plan| {
        plan.beyond.iter().map(move |beyond| format!("at {} peers: {beyond}\n", thousands(plan.peers)))
    });
    format!(
        "{}\n{}\n{}All figures are for the peak, prices are assumptions; docs/PLAN.md has what they stand on.\n",
        sizes(&planned.plans).render(),
        rates(&planned.plans).render(),
        beyond.collect::<Vec<_>>().concat(),
    )
}

/// Writes the page to `file`, and the picture beside it.
pub(super) fn write(planned: &Planned, file: &Path) -> anyhow::Result<()> {
    let picture = file.with_file_name(PICTURE);
    draw(&picture, &[], &curves(&planned.plans))?;
    fs::write(file, page(planned)).with_context(|| format!("writing {}", file.display()))?;
    println!("written to {}", file.display());
    Ok(())
}

fn page(planned: &Planned) -> String {
    let Planned { plans, assumptions, measured, datagrams, .. } = planned;
    let mut taken = Table::new(1, ["measured", "figure", "report in [benchmarks](benchmarks)"]);
    for (what, figure, report) in measured.table() {
        taken.row([what.to_owned(), figure, report.to_owned()]);
    }
    let mut assumed = Table::new(1, ["switch", "default", "what"]);
    for (switch, value, what) in assumptions.table() {
        assumed.row([format!("`{switch}`"), format!("{value}"), what.to_owned()]);
    }
    let beyond = plans.iter().flat_map(|plan| {
        plan.beyond.iter().map(move |what| format!("* At {} peers: {what}.\n", thousands(plan.peers)))
    });
    let mut beyond = beyond.collect::<Vec<_>>().concat();
    if beyond.is_empty() {
        beyond.push_str("* Nothing up to the largest of these numbers.\n");
    }
    format!(
        "# The plan\n\n{HEAD}\n{}\n{}\n![The figures as a picture]({PICTURE})\n\n## What stands in the way\n\n{beyond}{}\n\
         ## What it stands on\n\n{}\n\
         Datagrams with the headers of IPv4 and UDP: a keepalive of {} bytes is answered with {}, a connect of {} with {} to each \
         side, as the codec writes them.\n\n## What it assumes\n\n{}\n{TAIL}",
        sizes(plans).render(),
        rates(plans).render(),
        saturation(planned),
        taken.render(),
        datagrams.keepalive,
        datagrams.your_addr,
        datagrams.connect,
        datagrams.introduction,
        assumed.render(),
    )
}

const HEAD: &str = "Nodes, memory, bandwidth and cost for so many peers that are there at a time. `bench plan` makes this page \
    (`bench plan --write docs/PLAN.md`), each assumption is a switch of it, and `--json` gives all figures. It is a model: its costs \
    were measured on machines of two cores and are multiplied from there, nobody has run a fleet of this size, and the prices are \
    examples to be replaced.\n";

const TAIL: &str = "## What is not in it\n\n\
    * Relays: nobody's data go through these servers.\n\
    * A sweep of dead peers, the registers of peers that come (two with a signature each, beside thousands of keepalives a day), \
    legacy peers (no signature, one home), logs and metrics.\n\
    * Traffic between machines, which most providers do not charge inside a zone.\n\
    * More than one place in the world. A fleet in each region is a plan of its own: peers of different fleets do not meet, but \
    a peer may register with two.\n";

/// What the presence of peers does to one Redis, by the same figures.
fn saturation(planned: &Planned) -> String {
    let Planned { assumptions, measured, .. } = planned;
    let a_peer_us = assumptions.homes_per_peer * measured.heard_us / 40.0;
    let nodes_full =
        (1..=4_096_u32).map(f64::from).find(|nodes| nodes / 2.0 * measured.beat_us(*nodes) > 1e6);
    let nodes_full = nodes_full.map_or("more than 4,096".to_owned(), thousands);
    format!(
        "* **Presence is what Redis does most**: every peer is said again every 40 s in {} ways, at {:.1} us each. One core of Redis is \
         full of that alone at {} peers. It spreads over a Cluster by peer.\n\
         * **Beats grow by the square** of the nodes: each says every 2 s that it is there and hears who all are. {} nodes fill a core of \
         the one Redis that keeps the list; at 1,000 they take {:.0} % of it. Larger nodes are the remedy, not more of them.\n\
         * **Messages between nodes** are of little weight: {:.1} us for a connect, of which a peer makes some an hour. On a Cluster \
         without sharded channels every message goes to every master; with them (`SPUBLISH`) it does not.\n",
        assumptions.homes_per_peer,
        measured.heard_us,
        thousands(1e6 / a_peer_us),
        nodes_full,
        500.0 * measured.beat_us(1_000.0) / 1e4,
        measured.find_us + 2.0 * measured.message_us,
    )
}

fn sizes(plans: &[Plan]) -> Table {
    let mut table = Table::new(
        0,
        [
            "peers",
            "trackers",
            "matchmakers",
            "Redis masters",
            "by",
            "data in Redis, GiB",
            "cores",
            "memory, GiB",
            "in, Mbit/s",
            "out, Mbit/s",
            "sent, GB/month",
            "USD/month",
            "USD/million peers",
        ],
    );
    for plan in plans {
        table.row([
            thousands(plan.peers),
            thousands(plan.trackers),
            thousands(plan.matchmakers),
            thousands(plan.redis),
            plan.redis_by.to_owned(),
            few(plan.redis_gib),
            thousands(plan.cores),
            thousands(plan.gib),
            few(plan.in_mbit),
            few(plan.out_mbit),
            thousands(plan.month_gb),
            thousands(plan.month_usd),
            thousands(plan.month_usd / plan.peers * 1e6),
        ]);
    }
    table
}

fn rates(plans: &[Plan]) -> Table {
    let mut table = Table::new(
        0,
        [
            "peers",
            "lookups/s",
            "publishes/s",
            "keepalives/s",
            "connects/s",
            "heard/s",
            "beats/s",
            "messages/s",
            "cores of Redis",
            "of it presence",
            "of it beats",
        ],
    );
    for plan in plans {
        let rates = plan.rates;
        table.row([
            thousands(plan.peers),
            few(rates.lookups),
            few(rates.publishes),
            few(rates.keepalives),
            few(rates.connects),
            few(rates.heard),
            few(rates.beats),
            few(rates.messages),
            small(plan.redis_cores),
            small(plan.presence_cores),
            small(plan.beats_cores),
        ]);
    }
    table
}

fn curves(plans: &[Plan]) -> Vec<Curves> {
    let line = |label: &str, hue, of: fn(&Plan) -> f64| Line {
        label: label.to_owned(),
        points: plans.iter().map(|plan| (plan.peers, of(plan))).collect(),
        hue,
    };
    let chart = |title: &str, lines| Curves {
        title: title.to_owned(),
        across: "peers".to_owned(),
        magnitudes: true,
        lines,
    };
    vec![
        chart("USD a month for a million peers", vec![line("", 1, |plan| plan.month_usd / plan.peers * 1e6)]),
        chart(
            "Machines for a million peers",
            vec![
                line("trackers", 1, |plan| plan.trackers / plan.peers * 1e6),
                line("matchmakers", 2, |plan| plan.matchmakers / plan.peers * 1e6),
                line("Redis masters", 3, |plan| plan.redis / plan.peers * 1e6),
            ],
        ),
    ]
}

/// With a decimal where that says something.
fn few(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { thousands(value) }
}

fn small(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { thousands(value) }
}
