//! Peers behind home routers whose matchmakers are several over a Redis Cluster, in the laboratory.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use black_box::cluster::RedisCluster;
use black_box::deadline::PATIENCE;
use black_box::lab::trials::{Expected, Outcome, Trials, Try};
use black_box::lab::{Lab, SERVER};
use black_box::nodes::{launch, server, wait_for_others};
use black_box::router::RouterKind;
use nat_simulator::Link;
use peer_client::{Client, Config, Identity, PeerId, Target};

/// Where the other nodes are, on the same host as the first.
const OTHERS: [&str; 2] = ["203.0.113.2", "203.0.113.3"];
/// Tries with both peers at the first node, and as many with one of them at another.
const TRIES: u32 = 20;

/// Runs a client behind a NAT to its end.
fn run<T>(work: impl Future<Output = T>) -> T {
    // Of one thread, which is the one that is in the namespace.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, work).await.expect("in time") })
}

async fn client(server: SocketAddr) -> Client {
    let config = Config::new(server).with_identity(Identity::random().unwrap());
    Client::bind(config).await.expect("the server answers")
}

/// One try of two clients, each at its own node. What the connect took, where it came to a path on both sides.
fn dial(attempt: &Try<'_>, servers: [SocketAddr; 2]) -> Option<Duration> {
    let [first, second] = attempt.households;
    let (tell, told) = mpsc::channel::<PeerId>();
    let (finish, finished) = tokio::sync::oneshot::channel::<()>();
    thread::scope(|scope| {
        let target = scope.spawn(move || {
            second.run(0, || {
                run(async {
                    let client = client(servers[1]).await;
                    tell.send(client.id().unwrap()).unwrap();
                    let came = tokio::time::timeout(PATIENCE, client.accept())
                        .await
                        .is_ok_and(|path| path.is_some());
                    let _ = finished.await;
                    client.close().await;
                    came
                })
            })
        });
        let took = first.run(0, move || {
            let target = told.recv().unwrap();
            run(async {
                let client = client(servers[0]).await;
                let path = client.connect(Target::Id(target)).await;
                drop(finish);
                path.ok().map(|path| path.took())
            })
        });
        took.filter(|_| target.join().unwrap())
    })
}

#[test]
#[expect(clippy::print_stderr, reason = "a figure")]
fn home_routers_are_punched_across_nodes() {
    let Some(lab) = Lab::open() else { return };
    let host = lab.server();
    for other in OTHERS {
        host.ip(&format!("addr add {other}/24 dev wan"));
    }
    let (_cluster, nodes) = host.run(|| {
        let cluster = RedisCluster::start_with_replicas();
        let node = |ip: &str| launch(&cluster.url()).set("MATCHMAKER_LISTEN", &format!("{ip}:0")).start();
        let nodes = [node(&SERVER.to_string()), node(OTHERS[0]), node(OTHERS[1])];
        for node in &nodes {
            wait_for_others(node, OTHERS.len());
        }
        (cluster, nodes)
    });
    let [one, others @ ..] = [0, 1, 2].map(|number| server(&nodes[number]));
    let trials = Trials {
        kinds: &[RouterKind::HomeRouter],
        line: Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(2), loss: 0.0 },
        tries: 2 * TRIES,
        skew_max: Duration::ZERO,
        seed: 1,
        expected: |_| Expected::Through,
    };
    // In turn, so that both see the same machine.
    let outcomes = trials.run(&lab, |attempt| {
        let other = others[attempt.number as usize / 2 % others.len()];
        dial(attempt, [one, if attempt.number % 2 == 0 { one } else { other }])
    });
    let of = |remainder: usize| Outcome {
        kinds: outcomes[0].kinds,
        took: outcomes[0].took.iter().skip(remainder).step_by(2).copied().collect(),
    };
    let [at_one, across] = [of(0), of(1)];
    eprintln!(
        "at one node {} of {TRIES}, median {:?}; across nodes {} of {TRIES}, median {:?}",
        at_one.through(),
        at_one.median().unwrap_or_default(),
        across.through(),
        across.median().unwrap_or_default(),
    );
    assert_eq!([at_one.through(), across.through()], [TRIES as usize; 2], "{at_one:?}\n{across:?}");
}
