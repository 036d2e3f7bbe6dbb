//! The alerts and the dashboard of deploy/ against what the services count.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::metrics::{Admin, Sample};
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::skip::skipped;
use black_box::tracker::{Tracker, on_both_stores};
use serde_json::Value;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(file)
}

/// All samples of both services, with both stores, and of a matchmaker that is one of several.
fn samples() -> Vec<Sample> {
    let (tracker, matchmaker) = services();
    let redis = RedisServer::start_new();
    let node =
        Launch::new(Binary::Matchmaker).set("REDIS_URL", &redis.url()).set("MATCHMAKER_NODES", "on").start();
    let node = Admin::at(node.address("matchmaker-admin")).samples();
    let on_redis = Tracker::sharing(&redis).admin().samples();
    [tracker.admin().samples(), on_redis, matchmaker.samples(), node].concat()
}

/// Both services, which have answered something, and the admin listener of the matchmaker.
fn services() -> (Tracker, Admin) {
    let tracker = Tracker::over(Launch::new(Binary::Standalone).start(), None).when_ready();
    assert_eq!(tracker.peers("a.html"), Vec::<String>::new());
    let matchmaker = Admin::at(tracker.process.address("matchmaker-admin"));
    (tracker, matchmaker)
}

#[test]
fn what_is_served_passes_the_check_of_prometheus() {
    let (tracker, matchmaker) = services();
    let on_redis = Tracker::on_redis(&Launch::new(Binary::Tracker));
    on_redis.add("203.0.113.5", "a.html", "abc");
    for admin in [tracker.admin(), on_redis.admin(), matchmaker] {
        let mut command = Command::new("promtool");
        command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let Ok(mut promtool) = command.spawn() else {
            skipped("promtool", "tests/run installs it");
            return;
        };
        let text = admin.get("/metrics").text();
        assert!(text.contains("_total "), "{text}");
        promtool.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
        let output = promtool.wait_with_output().expect("it ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}\n{text}");
    }
}

#[test]
fn requests_and_what_the_store_took_are_timed_by_class() {
    on_both_stores(|tracker| {
        let store = if tracker.redis.is_some() { "tracker_redis_round_trip" } else { "tracker_commit" };
        let count =
            |class| tracker.admin().sum("tracker_request_duration_seconds_count", &[("class", class)]);
        let before = ["read", "write", "other"].map(count);
        tracker.add("203.0.113.5", "a.html", "abc");
        for _ in 0..3 {
            assert_eq!(tracker.peers("a.html"), ["203.0.113.5"]);
        }
        assert_eq!(tracker.get("/v1/made/up").status, 404);
        let grown: Vec<f64> =
            ["read", "write", "other"].map(count).iter().zip(before).map(|(now, then)| now - then).collect();
        assert_eq!(grown, [3.0, 1.0, 1.0]);
        let samples = tracker.admin().samples();
        let buckets_of = |name: &'static str| {
            samples.iter().filter(move |sample| sample.name == format!("{name}_seconds_bucket"))
        };
        let durations = "tracker_request_duration";
        assert_eq!(buckets_of(durations).count(), 3 * 15, "fifteen buckets for each class and no more");
        // Prometheus gives no quantile of a histogram without its last bucket.
        let is_last = |sample: &&Sample| sample.labels.contains(r#"le="+Inf""#);
        assert_eq!(buckets_of(durations).filter(is_last).count(), 3);
        assert_eq!(buckets_of(store).filter(is_last).count(), 1);
        // The disk has what was published within a second.
        eventually(PATIENCE, "the store is timed", || {
            let sum = |what| tracker.admin().sum(&format!("{store}_seconds_{what}"), &[]);
            (sum("count") > 0.0 && sum("sum") > 0.0).then_some(())
        });
    });
}

/// The names of our metrics in an expression.
fn names(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("tracker_") || word.starts_with("matchmaker_"))
}

/// The outcomes in an expression: whole ones, and those that end in `.*`.
fn outcomes(expression: &str) -> impl Iterator<Item = &str> {
    let chosen = expression.split("outcome=").skip(1);
    chosen.filter_map(|rest| rest.trim_start_matches('~').split('"').nth(1)).flat_map(|all| all.split('|'))
}

#[track_caller]
fn assert_counted(expression: &str, samples: &[Sample]) {
    let known: BTreeSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    for name in names(expression) {
        assert!(known.contains(name), "nothing is called {name}: {expression}");
    }
    for outcome in outcomes(expression) {
        let is_there = |sample: &Sample| match outcome.strip_suffix(".*") {
            Some(start) => sample.labels.contains(&format!("outcome=\"{start}")),
            None => sample.has("outcome", outcome),
        };
        assert!(samples.iter().any(is_there), "no outcome is called {outcome}: {expression}");
    }
}

#[test]
fn every_expression_of_the_dashboard_names_what_is_counted() {
    let text = std::fs::read_to_string(deploy("grafana/dashboard.json")).expect("a dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let samples = samples();
    let mut shown = BTreeSet::new();
    for panel in panels {
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression");
            assert!(names(expression).next().is_some(), "{expression}");
            assert_counted(expression, &samples);
            shown.extend(names(expression));
        }
    }
    let query = &dashboard["templating"]["list"][1]["query"]["query"];
    assert_counted(query.as_str().expect("a query"), &samples);
    let counted: BTreeSet<&str> = samples.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(shown, counted, "the dashboard shows all that is counted");
}

#[test]
fn every_alert_names_what_is_counted_and_is_tested() {
    let rules = std::fs::read_to_string(deploy("prometheus/alerts.yml")).expect("rules");
    assert_counted(&rules, &samples());
    let tests = std::fs::read_to_string(deploy("prometheus/alerts-test.yml")).expect("tests of the rules");
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(!alerts.is_empty());
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
    }
}

#[test]
fn every_alert_comes_when_it_should() {
    let output =
        Command::new("promtool").args(["test", "rules"]).arg(deploy("prometheus/alerts-test.yml")).output();
    let Ok(output) = output else {
        skipped("promtool", "tests/run installs it");
        return;
    };
    assert!(output.status.success(), "{output:?}");
}
