//! The client library with the real server: over loopback, and behind real NATs.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::lab::trials::{Outcome, Trials, Try};
use black_box::lab::{Lab, SERVER};
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use nat_simulator::Link;
use nat_simulator::expected::legacy_rounds;
use peer_client::{Client, Config, ConnectError, Identity, NatKind, Path, PeerId, Target, Via};

use crate::nat_matrix::publish;

/// For whatever has to happen on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);
/// From one word to the next of a peer that wants to be heard.
const HELLO_EVERY: Duration = Duration::from_millis(100);
/// Tries of each pair of routers, unless `NAT_TRIES` says otherwise.
const TRIES: u32 = 3;

fn matchmaker() -> Launch {
    Launch::new(Binary::Matchmaker).set("MATCHMAKER_ALT_PORT", "0")
}

async fn client(server: SocketAddr) -> Client {
    let config = Config::new(server).with_identity(Identity::random().unwrap());
    // Where the server is, on loopback: an address of another interface would not be seen there.
    let config =
        if server.ip().is_loopback() { config.listening_at((server.ip(), 0).into()) } else { config };
    Client::bind(config).await.expect("the server answers")
}

/// Two clients, and the path between them as each sees it.
pub(crate) async fn meet(process: &Process) -> ([Client; 2], [Path; 2]) {
    let server = process.address("matchmaker");
    let (first, second) = tokio::join!(client(server), client(server));
    let target = Target::Id(second.id().unwrap());
    let (asked, accepted) = tokio::join!(first.connect(target), second.accept());
    ([first, second], [asked.unwrap(), accepted.unwrap()])
}

async fn hears(path: &Path) -> Vec<u8> {
    tokio::time::timeout(PATIENCE, path.recv()).await.expect("in time").expect("the path is open").to_vec()
}

#[tokio::test]
async fn two_clients_meet_talk_and_part() {
    let process = matchmaker().start();
    let ([first, second], [asked, accepted]) = meet(&process).await;
    assert_eq!([first.nat(), second.nat()], [NatKind::Easy; 2]);
    assert_eq!((asked.peer(), accepted.peer()), (second.public_address(), first.public_address()));
    assert_eq!((asked.id(), accepted.id()), (second.id(), first.id()));
    assert_eq!([asked.via(), accepted.via()], [Via::Mapped; 2]);
    asked.send(b"hello").await.unwrap();
    assert_eq!(hears(&accepted).await, b"hello");
    accepted.send(b"hello yourself").await.unwrap();
    assert_eq!(hears(&asked).await, b"hello yourself");
    drop(asked);
    assert_eq!(tokio::time::timeout(PATIENCE, accepted.recv()).await.expect("in time"), None);
    second.close().await;
    let gone = first.connect(Target::Id(second.id().unwrap())).await;
    assert_eq!(gone.unwrap_err(), ConnectError::NotFound);
    assert_eq!(second.connect(Target::Id(first.id().unwrap())).await.unwrap_err(), ConnectError::Closed);
    assert!(second.accept().await.is_none());
}

#[tokio::test]
async fn another_protocol_has_the_socket_to_itself_but_for_the_rendezvous() {
    let process = matchmaker().start();
    let ([first, second], [asked, accepted]) = meet(&process).await;
    let [ours, theirs] = [first.datagrams(), second.datagrams()];
    ours.try_send(asked.peer(), b"from a peer").unwrap();
    let received = tokio::time::timeout(PATIENCE, theirs.recv()).await.expect("in time").unwrap();
    assert_eq!((received.from, &received.bytes[..]), (accepted.peer(), &b"from a peer"[..]));
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"from a stranger", second.local_addr().unwrap()).unwrap();
    let received = tokio::time::timeout(PATIENCE, theirs.recv()).await.expect("in time").unwrap();
    assert_eq!(
        (received.from, &received.bytes[..]),
        (stranger.local_addr().unwrap(), &b"from a stranger"[..])
    );
    second.close().await;
    assert!(theirs.recv().await.is_err());
}

/// Runs a client behind a NAT to its end.
fn run<T>(work: impl Future<Output = T>) -> T {
    // Of one thread, which is the one that is in the namespace.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(3 * PATIENCE, work).await.expect("in time") })
}

/// One try of two clients. The one that is asked for says hello, and is heard.
fn dial(attempt: &Try<'_>, server: SocketAddr) -> Result<Duration, ConnectError> {
    let [first, second] = attempt.households;
    let (tell, told) = mpsc::channel::<PeerId>();
    let (finish, mut finished) = tokio::sync::oneshot::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            second.run(0, || {
                run(async {
                    let client = client(server).await;
                    tell.send(client.id().unwrap()).unwrap();
                    let mut paths: Vec<Path> = Vec::new();
                    let mut again = tokio::time::interval(HELLO_EVERY);
                    loop {
                        tokio::select! {
                            path = client.accept() => paths.extend(path),
                            // A line may lose it.
                            _ = again.tick() => for path in &paths {
                                path.send(b"hello").await.expect("a way out");
                            },
                            _ = &mut finished => break,
                        }
                    }
                    client.close().await;
                });
            });
        });
        first.run(0, move || {
            let target = told.recv().unwrap();
            let result = run(async {
                let client = client(server).await;
                let result = client.connect(Target::Id(target)).await;
                if let Ok(path) = &result {
                    assert_eq!(hears(path).await, b"hello");
                }
                result.map(|path| path.took())
            });
            let _ = finish.send(());
            result
        })
    })
}

/// Whether any punch can succeed; between bare masquerades those that cross.
fn can_be_punched([first, second]: [RouterKind; 2]) -> bool {
    let through = |first, second| legacy_rounds(first, second).is_some_and(|rounds| rounds > 0);
    through(first, second) || through(second, first) || [first, second] == [RouterKind::BareMasquerade; 2]
}

/// A server in a laboratory, and where it is.
fn start(lab: &Lab) -> (Process, SocketAddr) {
    let listen = SocketAddr::from((SERVER, 0)).to_string();
    let mut process = lab.server().run(|| matchmaker().set("MATCHMAKER_LISTEN", &listen).start());
    process.wait_for_listeners("matchmaker-alt", 1);
    let server = process.address("matchmaker");
    (process, server)
}

#[test]
fn clients_get_through_on_lines_that_lose_a_tenth() {
    let Some(lab) = Lab::open() else { return };
    let (_process, server) = start(&lab);
    let trials = Trials {
        kinds: &[RouterKind::FullCone, RouterKind::HomeRouter],
        line: Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(10), loss: 0.1 },
        tries: 4,
        skew_max: Duration::ZERO,
        seed: 1,
    };
    let outcomes = trials.run(&lab, |attempt| dial(attempt, server).ok());
    let matrix = trials.matrix("Clients of version 2, 10 % loss: tries that got through, median", &outcomes);
    publish(&matrix, "nat-matrix-v2-lossy.svg");
    for outcome in &outcomes {
        assert_eq!(outcome.through(), outcome.took.len(), "{outcome:?}\n{matrix}");
    }
}

#[test]
fn clients_get_through_between_all_kinds_of_routers_that_can_be_punched() {
    let Some(lab) = Lab::open() else { return };
    let (_process, server) = start(&lab);
    let tries = std::env::var("NAT_TRIES").ok().and_then(|tries| tries.parse().ok()).unwrap_or(TRIES);
    let trials = Trials {
        kinds: &RouterKind::TABLE,
        line: Link { delay: Duration::from_millis(20), jitter: Duration::from_millis(2), loss: 0.0 },
        tries,
        skew_max: Duration::ZERO,
        seed: 1,
    };
    let outcomes: Vec<Outcome> = trials.run(&lab, |attempt| {
        let kinds = attempt.households.map(|household| household.kind);
        // One try of what takes seconds to fail tells as much as many.
        if !can_be_punched(kinds) && attempt.number > 0 {
            return None;
        }
        let result = dial(attempt, server);
        if kinds == [RouterKind::Hard; 2] {
            assert_eq!(result, Err(ConnectError::BothHard));
        }
        result.ok()
    });
    let matrix = trials.matrix("Clients of version 2: tries that got through, median", &outcomes);
    publish(&matrix, "nat-matrix-v2.svg");
    for outcome in &outcomes {
        let expected = if can_be_punched(outcome.kinds) { outcome.took.len() } else { 0 };
        assert_eq!(outcome.through(), expected, "{outcome:?}\n{matrix}");
    }
}
