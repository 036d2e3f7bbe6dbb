//! `deploy/cluster`: three trackers behind a proxy, three matchmakers and a Redis Cluster, killed and restarted under load.

mod load;
mod project;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use black_box::container::ContainerImage;
use black_box::deadline::eventually;
use black_box::http::{Connection, Request};
use serde_json::json;

use super::endpoint::peers_of;
use crate::connects::Connects;
use load::Load;
use project::Project;

/// How long the whole may take to come up, or to come back, on a loaded machine.
const LIMIT: Duration = Duration::from_mins(1);
/// An outage of callers while a master is replaced: 2 s until it counts as gone, and an election.
const FAILOVER_LIMIT: Duration = Duration::from_secs(5);
/// The append-only file is written once a second: what was acknowledged in the last one may be lost with a master.
const UNSAFE: Duration = Duration::from_secs(1);
/// How long a part of the fleet is cut off.
const PARTITION: Duration = Duration::from_secs(10);
/// Connects of all peers that are waited for, before and after what happens.
const CONNECTS: usize = 20;
/// From one connect of a peer to the next: it has four a second.
const REST: Duration = Duration::from_millis(300);

#[test]
fn a_fleet_of_containers_serves_on_while_parts_of_it_are_killed_cut_off_and_restarted() {
    let Some(image) = ContainerImage::build() else { return };
    let Some(project) = Project::open(&image) else { return };
    let proxy = Project::tracker();
    eventually(LIMIT, "the trackers are behind the proxy", || {
        let answer = Connection::open(proxy).and_then(|mut it| it.exchange(&Request::get("/"))).ok();
        answer.filter(|answer| answer.status == 200)
    });
    let programs = Project::programs();
    for program in &programs {
        project.await_ready(program);
    }
    assert_the_proxy_says_who_calls(proxy);
    let [first, second, third] = Project::matchmakers();

    let load = Load::start(proxy);
    let survivors = Connects::start(&[first, third, first, third], 1, REST);
    let goes_on = |requests| {
        load.wait_for(requests);
        survivors.wait_for(CONNECTS);
        survivors.assert_none_failed();
    };
    goes_on(100);
    for program in ["tracker-2", "matchmaker-2"] {
        project.kill(program);
        goes_on(200);
        project.await_ready(program);
        assert_eq!(load.failures(), Vec::<String>::new(), "kill -9 of {program} is not seen at the proxy");
    }

    let mut crashes = vec![Instant::now()];
    let master = project.a_master();
    project.kill(&master);
    goes_on(300);
    project.await_cluster(&master);
    goes_on(100);
    assert_was_short("kill -9 of a master", &load, 0, &survivors);

    let before = load.failures().len();
    crashes.push(Instant::now());
    let part = [project.a_master(), "tracker-2".to_owned(), "matchmaker-2".to_owned()];
    for service in &part {
        project.cut_off(service);
    }
    let cut_off = Instant::now();
    goes_on(200);
    eventually(2 * PARTITION, "the partition ends", || (cut_off.elapsed() >= PARTITION).then_some(()));
    for service in &part {
        project.join_again(service);
    }
    project.await_cluster(&part[0]);
    for program in &programs {
        project.await_ready(program);
    }
    goes_on(100);
    assert_was_short("a master, a tracker and a matchmaker cut off", &load, before, &survivors);
    survivors.stop();

    let before = load.failures().len();
    let all = Connects::start(&[first, second, third, first, second, third], 11, REST);
    for program in programs {
        project.restart(&program);
        project.await_ready(&program);
        load.wait_for(50);
        all.wait_for(CONNECTS);
    }
    assert_eq!(load.failures()[before..], Vec::<String>::new(), "a rolling restart is not seen at the proxy");
    println!("a rolling restart: {} connects came through, none failed", all.stop());

    let acknowledged = load.stop();
    let is_safe = |at: Instant| {
        let before_crash = |crash: &Instant| crash.checked_duration_since(at);
        crashes.iter().filter_map(before_crash).all(|before| before > UNSAFE)
    };
    let mut connection = Connection::open(proxy).unwrap();
    let mut is_missing = |name: &&String| {
        let answer = connection.exchange(&Request::get(format!("/peers?filename={name}"))).unwrap();
        peers_of(&answer.json()).is_empty()
    };
    let kept = acknowledged.iter().filter(|(_, at)| is_safe(*at));
    let missing: Vec<&String> = kept.map(|(name, _)| name).filter(|name| is_missing(name)).collect();
    assert!(missing.is_empty(), "{} of {}: {missing:?}", missing.len(), acknowledged.len());
    println!(
        "{} mappings were acknowledged, all from before the last second of a master are there",
        acknowledged.len()
    );
}

/// What callers saw of it since there were `before` failures did not last.
#[track_caller]
fn assert_was_short(what: &str, load: &Load, before: usize, survivors: &Connects) {
    let outage = load.outage(before);
    let failures = load.failures();
    println!(
        "{what}: {} requests failed, within {outage:?}; {} were answered so far; the longest connect took {:?}",
        failures.len() - before,
        load.count(),
        survivors.take_longest()
    );
    assert!(outage < FAILOVER_LIMIT, "{what}: {outage:?}: {:?}", &failures[before..]);
}

fn peers(proxy: SocketAddr, name: &str) -> Vec<String> {
    let request = Request::get(format!("/peers?filename={name}"));
    let answer = Connection::open(proxy).and_then(|mut it| it.exchange(&request)).unwrap();
    peers_of(&answer.json())
}

/// Whoever calls is who the proxy sees, whatever it says of itself.
fn assert_the_proxy_says_who_calls(proxy: SocketAddr) {
    for (index, header) in ["x-forwarded-for", "cf-connecting-ip"].iter().enumerate() {
        let name = format!("forged{index}");
        let request = Request::post(format!("/add?filename={name}&hash=h")).header(header, "203.0.113.5");
        let answer = Connection::open(proxy).and_then(|mut it| it.exchange(&request)).unwrap();
        answer.assert_is(200, &json!({"status": "ok"}));
        assert_eq!(peers(proxy, &name), [project::GATEWAY], "{header}");
    }
}
