//! kill -9 of redis in the middle of a stream of adds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use black_box::container::ContainerImage;
use black_box::http::{Connection, Request};
use black_box::tracker::escape;

use super::endpoint::{Endpoint, add_request, peers_of};
use super::server;

const ONE: &str = "203.0.113.5";

/// Connections that add at the same time.
const WRITERS: usize = 4;

/// How many adds the crash comes into the middle of.
const ADDS: usize = 10_000;

/// Each writer's pace: all adds take 5 s, so that some were acknowledged well before the crash and some just before it.
const PACE: Duration = Duration::from_millis(2);

/// What may be lost: a write that was not yet a second old (`appendfsync everysec`).
const UNSYNCED_LIMIT: Duration = Duration::from_secs(1);

/// For all adds, on a loaded machine.
const STREAM_LIMIT: Duration = Duration::from_mins(2);

fn name(number: usize) -> String {
    format!("site/{number:05}.html")
}

/// Adds every `WRITERS`-th name from `first` on. Gives the names and times of those that were acknowledged.
fn write(endpoint: Endpoint, first: usize, done: &AtomicUsize, over: &AtomicBool) -> Vec<(usize, Instant)> {
    let mut acknowledged = Vec::new();
    let mut connection = Connection::open(endpoint.tracker).unwrap();
    let started = Instant::now();
    for (turn, number) in (first..ADDS).step_by(WRITERS).enumerate() {
        thread::sleep((PACE * u32::try_from(turn).unwrap()).saturating_sub(started.elapsed()));
        let answer = connection.exchange(&add_request(ONE, &name(number))).expect("the tracker stays");
        match answer.status {
            200 => acknowledged.push((number, Instant::now())),
            503 => assert!(over.load(Ordering::SeqCst), "refused before the crash: {}", answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
    acknowledged
}

#[test]
fn every_add_acknowledged_a_second_before_redis_is_killed_is_there_afterwards() {
    let Some(image) = ContainerImage::build() else { return };
    // One caller adds them all, faster than a person would.
    let container = server(&image, &["--env=TRACKER_RATE_PER_SEC=0"]);
    let endpoint = Endpoint::of(&container);
    let redis = container.program("redis").unwrap();
    let (done, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (acknowledged, killed_at) = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|first| {
                let (done, over) = (&done, &over);
                scope.spawn(move || write(endpoint, first, done, over))
            })
            .collect();
        container.eventually(STREAM_LIMIT, "half of the adds are answered", || {
            (done.load(Ordering::SeqCst) > ADDS / 2).then_some(())
        });
        over.store(true, Ordering::SeqCst);
        // Taken before the kill: it can only be stricter than the promise.
        let killed_at = Instant::now();
        container.kill9(redis);
        let all: Vec<(usize, Instant)> =
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        (all, killed_at)
    });
    container.wait_until_ready();

    let promised: Vec<usize> = acknowledged
        .iter()
        .filter(|(_, at)| *at + UNSYNCED_LIMIT <= killed_at || *at > killed_at + UNSYNCED_LIMIT)
        .map(|(number, _)| *number)
        .collect();
    let before = acknowledged.iter().filter(|(_, at)| *at <= killed_at).count();
    assert!(before > ADDS / 3, "only {before} adds were acknowledged before the crash");
    assert!(promised.len() > ADDS / 5, "only {} adds were old enough to be promised", promised.len());

    let mut connection = Connection::open(endpoint.tracker).unwrap();
    let missing: Vec<usize> = promised
        .iter()
        .copied()
        .filter(|number| {
            let request = Request::get(format!("/peers?filename={}", escape(&name(*number))));
            let answer = connection.exchange(&request).unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            peers_of(&answer.json()) != [ONE]
        })
        .collect();
    println!("{} of {ADDS} acknowledged, {} promised", acknowledged.len(), promised.len());
    assert!(missing.is_empty(), "{} acknowledged adds are gone: {missing:?}", missing.len());
}
