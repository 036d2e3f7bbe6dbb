//! Several trackers on one Redis Cluster.

use std::time::{Duration, Instant};

use black_box::cluster::RedisCluster;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::{Connection, Request};
use black_box::process::Launch;
use black_box::tracker::{CALLER, Tracker, escape};

use black_box::binary::Binary;

/// Callers are told of an outage within this time.
const TOLD_WITHIN: Duration = Duration::from_millis(300);

fn tracker(cluster: &RedisCluster) -> Tracker {
    let launch = Launch::new(Binary::Tracker).set("REDIS_URL", &cluster.url());
    Tracker::over(launch.start(), None).when_ready()
}

#[test]
fn two_trackers_under_load_agree_in_the_end() {
    const FILES: usize = 9;
    let cluster = RedisCluster::start_new();
    let mut trackers = [tracker(&cluster), tracker(&cluster)];
    std::thread::scope(|scope| {
        for worker in 0..8 {
            // Two workers at different trackers are one peer.
            let address = trackers[worker % 2].address();
            scope.spawn(move || {
                let caller = format!("203.0.113.{}", worker / 2);
                let mut connection = Connection::open(address).unwrap();
                for round in 0..60 {
                    let file = format!("site/{}", (round * 7 + worker) % FILES);
                    let target = match round % 6 {
                        3 => format!("/remove?filename={}", escape(&file)),
                        5 if round % 30 == 29 => "/peer_offline".to_owned(),
                        _ => format!("/add?filename={}&hash=abc", escape(&file)),
                    };
                    let answer = connection.exchange(&Request::post(target).header(CALLER, &caller)).unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            });
        }
    });
    let mut listed = Vec::new();
    for file in 0..FILES {
        let name = format!("site/{file}");
        let peers = trackers[0].peers(&name);
        // What a tracker keeps of a file that was asked for often is not older than this.
        eventually(Duration::from_secs(1), "both say the same", || {
            (trackers[1].peers(&name) == peers).then_some(())
        });
        listed.extend((!peers.is_empty()).then_some(name));
    }
    for tracker in &trackers {
        assert_eq!(tracker.all_names(100), listed);
    }
    for peer in 0..4 {
        trackers[peer % 2].peer_offline(&format!("203.0.113.{peer}"));
    }
    for tracker in &mut trackers {
        assert_eq!(tracker.all_names(100), [""; 0]);
        tracker.process.assert_sound();
    }
}

#[test]
fn a_frozen_server_of_a_cluster_is_told_within_300_ms_and_the_others_serve_on() {
    let mut cluster = RedisCluster::start_new();
    let mut tracker = tracker(&cluster);
    let add = |number: usize| {
        let request = Request::post(format!("/add?filename=f{number}&hash=abc"));
        let asked = Instant::now();
        let answer = tracker.send(&request.header(CALLER, format!("198.51.100.{number}")));
        assert!(answer.status == 200 || answer.status == 503, "{}", answer.text());
        assert!(asked.elapsed() < 2 * TOLD_WITHIN, "{:?}", asked.elapsed());
        answer.status == 200
    };
    cluster.master(2).stop();
    let served = (0..40).filter(|number| add(*number)).count();
    assert!((1..40).contains(&served), "{served} of 40");
    cluster.master(2).cont();
    eventually(PATIENCE, "all is served again", || (100..140).all(add).then_some(()));
    tracker.process.assert_sound();
}
