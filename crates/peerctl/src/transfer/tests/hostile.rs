//! A peer that means harm, or is broken: what it sends ends in an error and in nothing on our disk.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use peer_core::limits::{FILE_SIZE_MAX, FILES_PER_PEER_MAX};
use quinn::{Connection, ConnectionError, Endpoint, SendStream, VarInt};
use serde_json::{Value, json};

use super::super::wire::{MANIFEST_MAX_BYTES, REQUEST_MAX_BYTES};
use super::super::{STALL, ServerPin, client_config, fetch, manifest, server_config};
use super::LIMIT_BYTES;
use crate::digest::ContentDigest;
use crate::identity::Identity;

/// What is done with a stream that asks for a file.
type Answer = fn(SendStream) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server that gives a list of its own making, and has its own way with files.
struct Hostile {
    endpoint: Endpoint,
    address: SocketAddr,
}

impl Hostile {
    fn start(list: Vec<u8>, answer: Answer) -> Self {
        let config = server_config(&Identity::from_secret(&[1; 32])).unwrap();
        let endpoint = Endpoint::server(config, (Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = endpoint.local_addr().unwrap();
        let (list, serving) = (Arc::new(list), endpoint.clone());
        tokio::spawn(async move {
            while let Some(incoming) = serving.accept().await {
                let Ok(connection) = incoming.await else { continue };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let list = Arc::clone(&list);
                    tokio::spawn(async move {
                        let request = receive.read_to_end(REQUEST_MAX_BYTES).await.unwrap();
                        if request.starts_with(br#"{"manifest""#) {
                            // Whoever has heard enough stops the stream.
                            let _ = send.write_all(&list).await;
                        } else {
                            answer(send).await;
                        }
                    });
                }
            }
        });
        Self { endpoint, address }
    }

    async fn connect(&self) -> Connection {
        let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = client_config(ServerPin::FirstSight).unwrap();
        endpoint.connect_with(config, self.address, "peer").unwrap().await.unwrap()
    }

    /// Why the list is refused.
    async fn refusal(&self) -> String {
        format!("{:#}", manifest(&self.connect().await, "home", LIMIT_BYTES).await.unwrap_err())
    }

    /// Fetches `home/a`, which has [`PROMISED`], and says why it did not come.
    async fn failure(&self, out: &Path) -> String {
        let connection = self.connect().await;
        let files = manifest(&connection, "home", LIMIT_BYTES).await.unwrap().files;
        let fetched = fetch(&connection, files, out, |_| {}).await.unwrap();
        assert_eq!((fetched.fetched, fetched.kept, fetched.failed.len()), (0, 0, 1), "{fetched:?}");
        assert!(names_in(&out.join("home")).is_empty(), "nothing is left of it");
        fetched.failed[0].1.clone()
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.endpoint.close(VarInt::from_u32(0), b"");
    }
}

/// What [`one_file`] says that there is.
const PROMISED: &[u8] = b"what was promised";

fn entry(name: &str, size: u64) -> Value {
    let (digest, _) = ContentDigest::of_reader(PROMISED).unwrap();
    json!({"filename": name, "hash": digest, "size": size})
}

fn list(entries: impl IntoIterator<Item = Value>) -> Vec<u8> {
    json!({"files": entries.into_iter().collect::<Vec<_>>()}).to_string().into_bytes()
}

fn one_file() -> Vec<u8> {
    list([entry("home/a", PROMISED.len() as u64)])
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn nothing(_: SendStream) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async {})
}

#[tokio::test]
async fn a_list_that_is_not_what_it_should_be_is_refused_whole() {
    let good = entry("home/good", 1);
    let many = (0..=FILES_PER_PEER_MAX).map(|number| entry(&format!("home/{number}"), 0));
    let lists = [
        (list([good.clone(), entry("../a", 1)]), "../a"),
        (list([good.clone(), entry("home/../../a", 1)]), "home/../../a"),
        (list([good.clone(), entry("/etc/passwd", 1)]), "/etc/passwd"),
        (list([good.clone(), entry("home/a\u{1b}[2J", 1)]), "control characters"),
        (list([good.clone(), entry("home/a\n", 1)]), "control characters"),
        (list([good.clone(), entry("elsewhere/a", 1)]), "none of a file of this site"),
        (list([good.clone(), entry("home/.peerctl-a", 1)]), "not complete"),
        (list([good.clone(), good.clone()]), "twice"),
        (list([good.clone(), entry("home/good/a", 1)]), "others below it"),
        (list([good.clone(), entry("home/a", FILE_SIZE_MAX + 1)]), "at most"),
        (list([good.clone(), entry("home/a", u64::MAX)]), "at most"),
        (list([good.clone(), entry("home/a", LIMIT_BYTES)]), "bytes that are allowed"),
        (list([good.clone(), json!({"filename": "home/a", "hash": "abc", "size": 1})]), "not of the form"),
        (
            list([good.clone(), json!({"filename": "home/a", "hash": good["hash"], "size": -1})]),
            "not of the form",
        ),
        (list(many), "at most 100000 are taken"),
        (b"<html>".to_vec(), "not of the form"),
        (Vec::new(), "not of the form"),
        (vec![b'['; 100_000], "not of the form"),
        (vec![b' '; MANIFEST_MAX_BYTES + 1], "has more than"),
    ];
    for (list, why) in lists {
        let start = String::from_utf8_lossy(list.get(..200).unwrap_or(&list)).into_owned();
        let refusal = Hostile::start(list, nothing).refusal().await;
        assert!(refusal.contains(why), "{start}: {refusal}");
        assert!(!refusal.contains(char::is_control), "it can be printed: {refusal:?}");
    }
}

#[tokio::test]
async fn a_content_of_another_length_or_hash_leaves_nothing() {
    let answers: [(Answer, &str); 5] = [
        (
            |mut send| Box::pin(async move { send.write_all(b"what was").await.unwrap() }),
            "sent 8 of 17 bytes",
        ),
        (nothing, "sent 0 of 17 bytes"),
        (
            |mut send| Box::pin(async move { send.write_all(b"what was PROMISED").await.unwrap() }),
            "another hash",
        ),
        (
            |mut send| {
                Box::pin(async move {
                    send.write_all(PROMISED).await.unwrap();
                    // Without end, as far as the other side takes it.
                    while send.write_all(&[0; 1_024]).await.is_ok() {}
                })
            },
            "more than the 17 bytes",
        ),
        (
            |mut send| {
                Box::pin(async move {
                    send.write_all(b"what").await.unwrap();
                    send.reset(VarInt::from_u32(99)).unwrap();
                })
            },
            "ended the transfer",
        ),
    ];
    for (answer, why) in answers {
        let out = tempfile::tempdir().unwrap();
        let failure = Hostile::start(one_file(), answer).failure(out.path()).await;
        assert!(failure.contains(why), "{why}: {failure}");
    }
}

#[tokio::test]
async fn a_stream_that_stands_still_is_given_up_though_its_connection_lives() {
    let stalls: Answer = |mut send| {
        Box::pin(async move {
            send.write_all(b"what").await.unwrap();
            let _ = send.stopped().await;
        })
    };
    let out = tempfile::tempdir().unwrap();
    let hostile = Hostile::start(one_file(), stalls);
    let begin = std::time::Instant::now();
    let failure = hostile.failure(out.path()).await;
    assert!(failure.contains("sent nothing for 30 s"), "{failure}");
    assert!(begin.elapsed() >= STALL && begin.elapsed() < 2 * STALL, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_connection_that_ends_is_told_apart_from_files_that_fail() {
    let hostile =
        Hostile::start(list((0..50).map(|number| entry(&format!("home/{number}"), 17))), |mut send| {
            Box::pin(async move {
                // Some are asked for when all is closed already.
                let _ = send.write_all(b"what").await;
                let _ = send.stopped().await;
            })
        });
    let connection = hostile.connect().await;
    let files = manifest(&connection, "home", LIMIT_BYTES).await.unwrap().files;
    let out = tempfile::tempdir().unwrap();
    let endpoint = hostile.endpoint.clone();
    // With the first bytes that come.
    let closes = move |_| endpoint.close(VarInt::from_u32(0), b"");
    let fetched = fetch(&connection, files, out.path(), closes).await.unwrap();
    assert_eq!((fetched.fetched, fetched.failed.len(), fetched.missing), (0, 0, 50), "{fetched:?}");
    // Where the word of it was lost, a reset says that the other end is gone (RFC 9000, section 10.3).
    let is_closed =
        matches!(fetched.lost, Some(ConnectionError::ApplicationClosed(_) | ConnectionError::Reset));
    assert!(is_closed, "{fetched:?}");
    assert!(names_in(&out.path().join("home")).is_empty(), "nothing is left of them");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_on_our_disk_is_not_followed_to_where_a_peer_would_write() {
    let promised: Answer = |mut send| Box::pin(async move { send.write_all(PROMISED).await.unwrap() });
    let (out, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(out.path().join("home")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), out.path().join("home/folder")).unwrap();
    fs::write(elsewhere.path().join("a"), "mine").unwrap();
    std::os::unix::fs::symlink(elsewhere.path().join("a"), out.path().join("home/a")).unwrap();
    let files = list(["home/a", "home/folder/a", "home/other"].map(|name| entry(name, 17)));
    let hostile = Hostile::start(files, promised);
    let connection = hostile.connect().await;
    let files = manifest(&connection, "home", LIMIT_BYTES).await.unwrap().files;
    let fetched = fetch(&connection, files, out.path(), |_| {}).await.unwrap();
    assert_eq!((fetched.fetched, fetched.failed.len()), (1, 2), "{fetched:?}");
    assert!(fetched.failed.iter().all(|(_, why)| why.contains("a link is in the way")), "{fetched:?}");
    assert_eq!(names_in(elsewhere.path()), ["a"]);
    assert_eq!(fs::read(elsewhere.path().join("a")).unwrap(), b"mine");
}
