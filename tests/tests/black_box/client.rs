//! The client library with the real server, over loopback.

use std::net::SocketAddr;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::process::{Launch, Process};
use peer_client::{Client, Config, ConnectError, Identity, NatKind, Path, Target, Via};

/// For whatever has to happen on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(20);

fn matchmaker() -> Launch {
    Launch::new(Binary::Matchmaker).set("MATCHMAKER_ALT_PORT", "0")
}

async fn client(server: SocketAddr) -> Client {
    // Where the server is: an address of another interface would not be seen there.
    let config = Config::new(server).listening_at((server.ip(), 0).into());
    Client::bind(config.with_identity(Identity::random().unwrap())).await.expect("the server answers")
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
