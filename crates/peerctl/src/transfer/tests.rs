//! Both sides over loopback, each on a socket of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test reports what is wrong by failing"
)]

mod hostile;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use quinn::{Connection, ConnectionError, Endpoint};

use super::server::Patience;
use super::wire::{Request, STALLED};
use super::*;
use crate::identity::Identity;
use crate::site::{HashedFile, Site};

const LIMIT_BYTES: u64 = 1 << 30;

struct Server {
    endpoint: Endpoint,
    address: SocketAddr,
}

fn hashed(dir: &Path) -> Vec<HashedFile> {
    let site = Site::walk(dir, "home", false).unwrap();
    site.files.into_iter().map(|file| file.hash().unwrap()).collect()
}

impl Server {
    fn start(identity: &Identity, files: &[HashedFile]) -> Self {
        Self::start_with(identity, files, Patience::default())
    }

    fn start_with(identity: &Identity, files: &[HashedFile], patience: Patience) -> Self {
        let config = server_config(identity).unwrap();
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = endpoint.local_addr().unwrap();
        let shelf = Arc::new(Shelf::new("home", files).unwrap().with_patience(patience));
        let serving = endpoint.clone();
        tokio::spawn(async move { shelf.serve(&serving, |_| {}).await });
        Self { endpoint, address }
    }

    async fn connect(&self, pin: ServerPin) -> Result<Connection, quinn::ConnectionError> {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        endpoint.connect_with(client_config(pin).unwrap(), self.address, "peer").unwrap().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

/// All of the site, as `peerctl fetch` has it.
async fn fetch_all(connection: &Connection, out: &Path) -> Fetched {
    let manifest = manifest(connection, "home", LIMIT_BYTES).await.unwrap();
    fetch(connection, manifest.files, out, |_| {}).await.unwrap()
}

#[tokio::test]
async fn a_site_arrives_as_it_is_and_what_is_there_is_not_fetched_again() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/large"), vec![7; 3_000_000]).unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("small"), "x").unwrap();
    let identity = Identity::from_secret(&[1; 32]);
    let server = Server::start(&identity, &hashed(dir.path()));

    let connection = server.connect(ServerPin::Id(identity.id())).await.unwrap();
    let fetched = fetch_all(&connection, out.path()).await;
    assert_eq!((fetched.fetched, fetched.kept, fetched.bytes), (3, 0, 3_000_001));
    assert_eq!(fs::read(out.path().join("home/a/large")).unwrap(), vec![7; 3_000_000]);
    assert_eq!(fs::read(out.path().join("home/empty")).unwrap(), b"");

    fs::write(out.path().join("home/small"), "y").unwrap();
    let connection = server.connect(ServerPin::FirstSight).await.unwrap();
    assert_eq!(presented_id(&connection), Some(identity.id()));
    let fetched = fetch_all(&connection, out.path()).await;
    assert_eq!((fetched.fetched, fetched.kept, fetched.failed), (1, 2, vec![]));
}

#[tokio::test]
async fn a_server_with_another_key_is_not_talked_to() {
    let server = Server::start(&Identity::from_secret(&[1; 32]), &[]);
    let other = Identity::from_secret(&[2; 32]).id();
    assert!(server.connect(ServerPin::Id(other)).await.is_err());
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_hashed_does_not_arrive_and_leaves_the_others_alone() {
    let (dir, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["changed", "cut", "gone", "grown", "same"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    let files = hashed(dir.path());
    fs::write(dir.path().join("changed"), "CHANGED").unwrap();
    fs::write(dir.path().join("cut"), "c").unwrap();
    fs::remove_file(dir.path().join("gone")).unwrap();
    fs::write(dir.path().join("grown"), "grown and grown").unwrap();
    let server = Server::start(&Identity::from_secret(&[1; 32]), &files);
    let connection = server.connect(ServerPin::FirstSight).await.unwrap();
    let fetched = fetch_all(&connection, out.path()).await;
    let failed: Vec<&str> = fetched.failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(failed, ["home/changed", "home/cut", "home/gone"]);
    let left = fs::read_dir(out.path().join("home")).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    // What had grown is cut where it was hashed, and is right.
    assert_eq!(left, ["grown", "same"]);
}

#[tokio::test]
async fn what_is_not_on_the_shelf_is_not_given_out() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), "a").unwrap();
    let server = Server::start(&Identity::from_secret(&[1; 32]), &hashed(dir.path()));
    let connection = server.connect(ServerPin::FirstSight).await.unwrap();
    let refused = manifest(&connection, "other", LIMIT_BYTES).await.unwrap_err();
    assert!(format!("{refused:#}").contains("does not have it"), "{refused:#}");

    for (request, code) in [
        (&br#"{"file":"home/../../etc/passwd"}"#[..], wire::NOT_FOUND),
        (br#"{"file":"/etc/passwd"}"#, wire::NOT_FOUND),
        (br#"{"other":1}"#, wire::BAD_REQUEST),
        (&[b'x'; wire::REQUEST_MAX_BYTES + 1], wire::BAD_REQUEST),
    ] {
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        send.write_all(request).await.unwrap();
        send.finish().unwrap();
        let answer = receive.read_to_end(1_000).await;
        assert_eq!(answer, Err(quinn::ReadToEndError::Read(quinn::ReadError::Reset(code))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_or_asks_for_nothing_makes_room_for_others() {
    const SHORT: Duration = Duration::from_millis(200);
    let dir = tempfile::tempdir().unwrap();
    // More than the transport holds for one that does not read.
    fs::write(dir.path().join("large"), vec![7; 24 << 20]).unwrap();
    let files = hashed(dir.path());
    let patience = Patience { stall: SHORT, idle: SHORT };
    let server = Server::start_with(&Identity::from_secret(&[1; 32]), &files, patience);

    let connection = server.connect(ServerPin::FirstSight).await.unwrap();
    let (mut send, _receive) = connection.open_bi().await.unwrap();
    send.write_all(&serde_json::to_vec(&Request::File("home/large".to_owned())).unwrap()).await.unwrap();
    send.finish().unwrap();
    let other = server.connect(ServerPin::FirstSight).await.unwrap();
    let closed = other.closed().await;
    let code =
        if let ConnectionError::ApplicationClosed(close) = &closed { Some(close.error_code) } else { None };
    assert_eq!(code, Some(STALLED), "{closed}");
    // The word of it may be lost among all that was not taken.
    let closed = connection.closed().await;
    let is_the_servers = matches!(closed, ConnectionError::ApplicationClosed(_) | ConnectionError::Reset);
    assert!(is_the_servers, "{closed}");
}

#[tokio::test]
async fn a_host_has_so_many_places_and_no_more() {
    let server = Server::start(&Identity::from_secret(&[1; 32]), &[]);
    let mut connected = Vec::new();
    while let Ok(connection) = server.connect(ServerPin::FirstSight).await {
        connected.push(connection);
    }
    assert_eq!(connected.len(), 8);
    connected.clear();
    let again = async { while server.connect(ServerPin::FirstSight).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(10), again).await.expect("a place is given back");
}
