//! `deploy/cluster`: three trackers behind a proxy, three matchmakers and a Redis Cluster, killed and restarted under load.

mod load;
mod project;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use black_box::container::ContainerImage;
use black_box::deadline::eventually;
use black_box::http::{Connection, Request};
use black_box::udp::UdpPeer;
use black_box::v2::V2Peer;
use serde_json::{Value, json};

use super::endpoint::peers_of;
use load::Load;
use project::Project;

/// How long the whole may take to come up, or to come back, on a loaded machine.
const LIMIT: Duration = Duration::from_mins(1);
/// An outage of callers while a master is replaced: 2 s until it counts as gone, and an election.
const FAILOVER_LIMIT: Duration = Duration::from_secs(5);
/// The append-only file is written once a second: what was acknowledged in the last one may be lost with a master.
const UNSAFE: Duration = Duration::from_secs(1);
const CONNECTS: usize = 8;
/// From one connect of a pair to the next: it has four a second.
const PACE: Duration = Duration::from_millis(300);

/// Peers of two nodes that ask for each other.
struct Pair {
    asker: V2Peer,
    target: V2Peer,
}

impl Pair {
    fn join(first: SocketAddr, second: SocketAddr, number: u8) -> Self {
        let join = |server, number| {
            // The proxy of the engine is up before the program is.
            eventually(LIMIT, "the matchmaker answers", || {
                let peer = UdpPeer::at("127.0.0.1", server);
                peer.say(&json!({"type": "register"}));
                peer.receive_within(Duration::from_millis(300))
            });
            let mut peer = V2Peer::new(UdpPeer::at("127.0.0.1", server), number);
            peer.join();
            peer
        };
        let mut pair = Self { asker: join(first, number), target: join(second, number + 1) };
        eventually(LIMIT, "one node knows of the other's peer", || pair.meet().ok());
        pair
    }

    /// Both are told of each other, or what the asker is told instead.
    fn meet(&mut self) -> Result<(), Value> {
        // What was said again before, since an ack took its time.
        for peer in [&self.asker, &self.target] {
            while peer.udp.receive_within(Duration::from_millis(1)).is_some() {}
        }
        let told = self.asker.connect(json!({"target_id": self.target.id()}));
        self.asker.ack(&told);
        if !told["peer"].is_array() {
            thread::sleep(PACE);
            return Err(told);
        }
        let heard = self.target.udp.receive();
        self.target.ack(&heard);
        assert_eq!(heard["pair"], told["pair"]);
        thread::sleep(PACE);
        Ok(())
    }

    /// They meet, again and again.
    #[track_caller]
    fn assert_meet(&mut self) {
        for number in 0..CONNECTS {
            assert_eq!(self.meet(), Ok(()), "connect {number}");
        }
    }
}

#[test]
fn a_fleet_of_containers_serves_on_while_parts_of_it_are_killed_and_restarted() {
    let Some(image) = ContainerImage::build() else { return };
    let Some(project) = Project::open(&image) else { return };
    let proxy = Project::tracker();
    eventually(LIMIT, "the trackers are behind the proxy", || {
        let answer = Connection::open(proxy).and_then(|mut it| it.exchange(&Request::get("/"))).ok();
        answer.filter(|answer| answer.status == 200)
    });
    eventually(LIMIT, "every tracker is ready", || {
        (1..=3).all(|number| project.is_ready(&format!("tracker-{number}"), 8001)).then_some(())
    });
    assert_the_proxy_says_who_calls(proxy);
    let (first, third) = (Project::matchmaker(1), Project::matchmaker(3));
    let mut pair = Pair::join(first, third, 1);
    pair.assert_meet();

    let load = Load::start(proxy);
    load.wait_for(100);
    project.kill("tracker-2");
    pair.assert_meet();
    load.wait_for(200);
    project.await_ready("tracker-2", 8001);
    assert_eq!(load.failures(), Vec::<String>::new(), "kill -9 of a tracker is not seen at the proxy");

    project.kill("matchmaker-2");
    pair.assert_meet();
    load.wait_for(100);
    project.await_ready("matchmaker-2", 8002);
    let second = Project::matchmaker(2);
    Pair::join(first, second, 3).assert_meet();
    assert_eq!(load.failures(), Vec::<String>::new(), "kill -9 of a matchmaker is not seen at the proxy");

    let killed = Instant::now();
    let master = project.kill_a_master();
    load.wait_for(300);
    project.await_cluster(&master);
    load.wait_for(100);
    let outage = load.outage();
    println!(
        "kill -9 of a master: {} of {} requests failed, within {outage:?}",
        load.failures().len(),
        load.count()
    );
    assert!(outage < FAILOVER_LIMIT, "{outage:?}: {:?}", load.failures());
    Pair::join(first, third, 5).assert_meet();

    let before = load.failures().len();
    for service in ["tracker-1", "tracker-2", "tracker-3", "matchmaker-1", "matchmaker-2", "matchmaker-3"] {
        project.restart(service);
        project.await_ready(service, if service.starts_with("tracker") { 8001 } else { 8002 });
        load.wait_for(50);
    }
    assert_eq!(load.failures()[before..], Vec::<String>::new(), "a rolling restart is not seen at the proxy");
    Pair::join(first, second, 7).assert_meet();

    let acknowledged = load.stop();
    let before_the_kill = |at: &Instant| killed.checked_duration_since(*at);
    let kept = acknowledged.iter().filter(|(_, at)| before_the_kill(at).is_none_or(|before| before > UNSAFE));
    let mut connection = Connection::open(proxy).unwrap();
    let mut is_missing = |name: &&String| {
        let answer = connection.exchange(&Request::get(format!("/peers?filename={name}"))).unwrap();
        peers_of(&answer.json()).is_empty()
    };
    let missing: Vec<&String> = kept.map(|(name, _)| name).filter(|name| is_missing(name)).collect();
    assert!(missing.is_empty(), "{} of {}: {missing:?}", missing.len(), acknowledged.len());
    println!(
        "{} mappings were acknowledged, all from before the last second of a master are there",
        acknowledged.len()
    );
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
