//! The model: known points, units, and that more asks for more.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use clap::Parser;

use super::assumptions::Assumptions;
use super::measured::Measured;
use super::model::{DatagramBytes, Plan};
use super::{PlanArgs, page, plan};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: PlanArgs,
}

fn args(words: &[&str]) -> PlanArgs {
    Cli::parse_from([&["bench"], words].concat()).args
}

/// Figures by which sums can be done in the head.
fn measured() -> Measured {
    Measured {
        lookup_us: 20.0,
        lookup_redis_us: 5.0,
        publish_us: 10.0,
        publish_redis_us: 20.0,
        mapping_bytes: 200.0,
        keepalive_us: 10.0,
        connect_us: 5.0,
        peer_bytes: 400.0,
        home_bytes: 250.0,
        heard_us: 10.0,
        find_us: 2.0,
        message_us: 4.0,
        beat_us: vec![(1.0, 10.0), (1_001.0, 1_010.0)],
    }
}

fn assumed(words: &[&str]) -> Assumptions {
    args(words).assumptions
}

fn bytes() -> DatagramBytes {
    DatagramBytes { keepalive: 200.0, your_addr: 150.0, connect: 180.0, introduction: 300.0 }
}

#[track_caller]
fn assert_is(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() <= expected.abs() * 1e-9, "{what}: {found} and not {expected}");
}

#[test]
fn a_million_peers_are_as_many_as_can_be_reckoned_by_hand() {
    let words = ["--peak=1", "--lookups-per-hour=3.6", "--connects-per-hour=3.6", "--sessions-per-day=0.864"];
    let plan = Plan::of(1e6, &assumed(&words), &measured(), &bytes());
    assert_is("lookups", plan.rates.lookups, 1_000.0);
    assert_is("publishes", plan.rates.publishes, 200.0);
    assert_is("keepalives", plan.rates.keepalives, 50_000.0);
    assert_is("connects", plan.rates.connects, 1_000.0);
    // 22,000 us a second for lookups and publishes: one tracker, and the one to spare.
    assert_is("trackers", plan.trackers, 2.0);
    // 510,000 us a second, of 2 cores' worth that a machine of 4 may use.
    assert_is("matchmakers", plan.matchmakers, 2.0);
    // Two ways each in 40 s, and 20 a second that come.
    assert_is("heard", plan.rates.heard, 50_020.0);
    assert_is("presence", plan.presence_cores, 0.5002);
    assert_is("beats", plan.rates.beats, 1.0);
    // Half of all connects are for a peer of the other node: a find, an ask and an answer.
    assert_is("messages", plan.rates.messages, 1_000.0);
    let other_us = 11.0 + 500.0 * 2.0 + 1_000.0 * 4.0 + 1_000.0 * 5.0 + 200.0 * 20.0;
    assert_is("Redis", plan.redis_cores, 0.5002 + other_us / 1e6);
    // A million peers of 20 mappings and two homes.
    assert_is("data", plan.redis_gib, 4.5e9 / 1_073_741_824.0);
    assert_is("masters", plan.redis, 3.0);
    assert_eq!(plan.redis_by, "CPU");
    assert_is("cores", plan.cores, 4.0 * 4.0 + 6.0 * 2.0);
    assert_is("memory", plan.gib, 4.0 * 8.0 + 6.0 * 16.0);
    let out = 1_200.0 * 1_200.0 + 50_000.0 * 150.0 + 2_000.0 * 300.0;
    assert_is("out", plan.out_mbit, out * 8.0 / 1e6);
    assert_is("a month", plan.month_gb, out * 2_592_000.0 / 1e9);
    assert_is("price", plan.month_usd, 28.0 * 15.0 + 128.0 * 2.0 + plan.month_gb * 0.01);
    assert!(plan.beyond.is_empty());
}

#[test]
fn more_peers_take_no_less_of_anything() {
    let (measured, assumed) = (Measured::read().unwrap(), assumed(&[]));
    let plans: Vec<Plan> =
        (0..60).map(|step| Plan::of(1e4 * 1.25_f64.powi(step), &assumed, &measured, &bytes())).collect();
    for pair in plans.windows(2) {
        let [less, more] = pair else { unreachable!("a window of two") };
        for (what, of) in FIGURES {
            assert!(of(more) >= of(less), "{what} at {} and {}", less.peers, more.peers);
        }
    }
}

type Figure = (&'static str, fn(&Plan) -> f64);
const FIGURES: [Figure; 9] = [
    ("trackers", |plan| plan.trackers),
    ("matchmakers", |plan| plan.matchmakers),
    ("Redis masters", |plan| plan.redis),
    ("cores", |plan| plan.cores),
    ("memory", |plan| plan.gib),
    ("in", |plan| plan.in_mbit),
    ("out", |plan| plan.out_mbit),
    ("GB", |plan| plan.month_gb),
    ("USD", |plan| plan.month_usd),
];

#[test]
fn each_assumption_counts_for_what_it_says() {
    let measured = Measured::read().unwrap();
    let of = |words: &[&str]| Plan::of(1e8, &assumed(words), &measured, &bytes());
    let usual = of(&[]);
    let more = |words: &[&str], of_plan: fn(&Plan) -> f64| of_plan(&of(words)) / of_plan(&usual);
    assert_is("keepalives", more(&["--keepalive-secs=40"], |plan| plan.rates.keepalives), 0.5);
    assert_is("peak", more(&["--peak=4"], |plan| plan.rates.lookups), 2.0);
    assert_is("a peak is no more in a month", more(&["--peak=4"], |plan| plan.month_gb), 1.0);
    assert_is("files", more(&["--files-per-peer=40"], |plan| plan.rates.publishes), 2.0);
    assert!(more(&["--files-per-peer=40"], |plan| plan.redis_gib) > 1.5);
    assert!(more(&["--utilisation=0.25"], |plan| plan.matchmakers) > 1.9);
    assert!(more(&["--cores-per-node=8"], |plan| plan.matchmakers) < 0.6);
    assert!(more(&["--replicas=0"], |plan| plan.cores) < 1.0);
    assert!(more(&["--price-egress-gb=0.02"], |plan| plan.month_usd) > 1.0);
    assert!(more(&["--gib-per-redis=1"], |plan| plan.redis) > 1.0);
    assert_eq!(of(&["--gib-per-redis=1"]).redis_by, "memory");
}

#[test]
fn what_cannot_be_is_named() {
    let measured = measured();
    let plan = Plan::of(1e10, &assumed(&[]), &measured, &bytes());
    assert_eq!(plan.beyond.len(), 3, "{:?}", plan.beyond);
    assert!(Plan::of(1e4, &assumed(&[]), &measured, &bytes()).beyond.is_empty());
}

#[test]
fn the_figures_are_those_of_the_reports() {
    let measured = Measured::read().unwrap();
    let report = include_str!("../../../../docs/benchmarks/2026-11-26-http.md");
    let row = |operation: &str| {
        let row =
            report.lines().find(|line| line.starts_with("| tracker, Redis") && line.contains(operation));
        let cell = |column| -> f64 { row.unwrap().split('|').nth(column).unwrap().trim().parse().unwrap() };
        (cell(5), cell(6))
    };
    for (operation, tracker_us, redis_us) in [
        ("| GET /peers, cold |", measured.lookup_us, measured.lookup_redis_us),
        ("| POST /add        |", measured.publish_us, measured.publish_redis_us),
    ] {
        let (both, redis) = row(operation);
        assert!((tracker_us + redis_us - both).abs() < 0.06, "{operation}: {tracker_us} + {redis_us}");
        assert!((redis_us - redis).abs() < 0.06, "{operation}: {redis_us}");
    }
    assert!((measured.mapping_bytes - 199.9).abs() < 0.1);
    assert!((measured.connect_us - 5.28).abs() < 0.01);
}

/// `bench plan --write docs/PLAN.md` writes it anew.
#[test]
fn the_page_in_the_documentation_is_what_the_program_says() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let directory = tempfile::tempdir().unwrap();
    page::write(&plan(&args(&[])).unwrap(), &directory.path().join("PLAN.md")).unwrap();
    for name in ["PLAN.md", "plan.svg"] {
        let now = std::fs::read_to_string(directory.path().join(name)).unwrap();
        let there = std::fs::read_to_string(format!("{docs}/{name}")).unwrap_or_default();
        assert!(now == there, "{name} is not what it was: run `bench plan --write docs/PLAN.md`");
    }
}

#[test]
fn json_and_text_have_every_number_of_peers() {
    let planned = plan(&args(&["--peers", "10000,1000000000"])).unwrap();
    let json = serde_json::to_value(&planned).unwrap();
    assert_eq!(json.pointer("/plans/1/peers").and_then(serde_json::Value::as_f64), Some(1e9));
    assert!(json.pointer("/measured/heard_us").is_some() && json.pointer("/datagrams/keepalive").is_some());
    let text = page::text(&planned);
    assert!(text.contains("10,000") && text.contains("1,000,000,000"), "{text}");
}
