//! The program with the feature `otlp` and a collector that takes what it sends: real sockets, HTTP and protobuf.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod collector;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::Request;
use black_box::process::Launch;
use black_box::tracker::{CALLER, Tracker};
use collector::{Collector, Span};
use nix::sys::signal::Signal;

fn tracker(collector: &Collector) -> Tracker {
    let launch = Launch::new(Binary::Tracker).set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url());
    Tracker::embedded(&launch)
}

/// The span of the request with this id; every one that was made is sent when the tracker ends.
#[track_caller]
fn span(collector: &Collector, id: &str) -> Span {
    eventually(PATIENCE, "the span", || {
        collector
            .spans()
            .into_iter()
            .find(|span| span.attributes.get("request_id").is_some_and(|it| it == id))
    })
}

fn end(mut tracker: Tracker) {
    tracker.process.signal(Signal::SIGTERM);
    assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0), "{}", tracker.process.said());
}

#[test]
fn each_request_is_a_span_with_what_the_log_calls_it() {
    let collector = Collector::start();
    let tracker = tracker(&collector);
    let answer =
        tracker.send(&Request::get("/peers?filename=secret-name.html").header(CALLER, "203.0.113.5"));
    let id = answer.header("x-request-id").unwrap().to_owned();
    let missing = tracker.get("/made/up").header("x-request-id").unwrap().to_owned();
    end(tracker);
    let found = span(&collector, &id);
    assert_eq!((found.service.as_str(), found.name.as_str(), found.kind), ("tracker", "GET /peers", 2));
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.route", "/peers"),
        ("http.response.status_code", "200"),
        ("client.address", "203.0.113.5"),
    ] {
        assert_eq!(found.attributes.get(name).map(String::as_str), Some(value), "{name} of {found:?}");
    }
    assert!(found.start_ns > 0 && found.end_ns >= found.start_ns);
    assert_eq!((found.trace_id.len(), found.parent_id.len()), (32, 0));
    let missing = span(&collector, &missing);
    assert_eq!(
        (missing.name.as_str(), missing.attributes["http.response.status_code"].as_str()),
        ("GET other", "404")
    );
    assert!(!format!("{:?}", collector.spans()).contains("secret-name"), "only what is bounded is told");
}

#[test]
fn a_trusted_proxy_says_what_a_request_is_part_of_and_nobody_else() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const PARENT: &str = "b7ad6b7169203331";
    let collector = Collector::start();
    let part = Request::get("/").header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    let trusting = tracker(&collector);
    let id = trusting.send(&part).header("x-request-id").unwrap().to_owned();
    end(trusting);
    let found = span(&collector, &id);
    assert_eq!((found.trace_id.as_str(), found.parent_id.as_str()), (TRACE, PARENT));
    let launch = Launch::new(Binary::Tracker)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url())
        .set("TRUSTED_PROXIES", "none");
    let alone = Tracker::embedded(&launch);
    let id = alone.send(&part).header("x-request-id").unwrap().to_owned();
    end(alone);
    let found = span(&collector, &id);
    assert!(found.trace_id != TRACE && found.parent_id.is_empty(), "{found:?}");
}

#[test]
fn a_collector_that_is_away_is_said_once_and_holds_up_nothing() {
    let collector = Collector::start();
    let away = collector.url();
    drop(collector);
    let mut tracker =
        Tracker::embedded(&Launch::new(Binary::Tracker).set("OTEL_EXPORTER_OTLP_ENDPOINT", &away));
    for _ in 0..3_000 {
        assert_eq!(tracker.get("/").status, 200);
    }
    tracker.process.signal(Signal::SIGTERM);
    assert_eq!(tracker.process.wait(PATIENCE).code(), Some(0), "{}", tracker.process.said());
    let said = tracker.process.events("the collector does not take traces; those of this time are lost");
    assert_eq!(said.len(), 1, "{}", tracker.process.said());
}
