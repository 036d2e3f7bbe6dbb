//! The side that has a site.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::sync::Semaphore;

use super::wire::{BAD_REQUEST, Entry, ManifestBody, NOT_FOUND, REQUEST_MAX_BYTES, Request, UNREADABLE};
use crate::site::HashedFile;

/// How many peers are served at once; the next ones are refused.
const CONNECTIONS_MAX: usize = 64;
/// How much of a file is read at once, in bytes.
const CHUNK_BYTES: usize = 128 * 1_024;

/// A site that is given out: what was hashed when it was put here, and nothing else that is on the disk.
#[derive(Debug)]
pub struct Shelf {
    site: String,
    files: HashMap<String, (PathBuf, u64)>,
    /// As it goes over the wire.
    manifest: Vec<u8>,
}

/// A request that was met or not, for whoever watches.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refused(quinn::VarInt);

impl From<io::Error> for Refused {
    fn from(_: io::Error) -> Self {
        Self(UNREADABLE)
    }
}

impl Shelf {
    /// These files, whose names all start with `site` and a slash.
    pub fn new(site: &str, files: &[HashedFile]) -> serde_json::Result<Self> {
        let entries = files.iter().map(|file| Entry {
            filename: file.name.to_string(),
            hash: file.digest,
            size: file.size,
        });
        let manifest = serde_json::to_vec(&ManifestBody { files: entries.collect() })?;
        let files =
            files.iter().map(|file| (file.name.to_string(), (file.path.clone(), file.size))).collect();
        Ok(Self { site: site.to_owned(), files, manifest })
    }

    /// Serves whoever connects, until the endpoint is closed. `seen` is told of each peer that comes and goes.
    pub async fn serve(self: Arc<Self>, endpoint: &Endpoint, seen: impl Fn(Visit) + Clone + Send + 'static) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        while let Some(incoming) = endpoint.accept().await {
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                incoming.refuse();
                continue;
            };
            let (site, seen) = (Arc::clone(&self), seen.clone());
            tokio::spawn(async move {
                site.visit(incoming, seen).await;
                drop(place);
            });
        }
    }

    async fn visit(self: Arc<Self>, incoming: Incoming, seen: impl Fn(Visit)) {
        let from = incoming.remote_address();
        // One that does not finish its handshake is none that anybody wants to hear of.
        let Ok(connection) = incoming.await else { return };
        seen(Visit::Came(from));
        let sent = self.answer_all(&connection).await;
        seen(Visit::Went { from, sent_bytes: sent });
    }

    /// Answers requests until the connection ends, and says how many bytes that took.
    async fn answer_all(self: Arc<Self>, connection: &Connection) -> u64 {
        // As many at once as the transport lets the peer open.
        while let Ok((send, receive)) = connection.accept_bi().await {
            let site = Arc::clone(&self);
            tokio::spawn(async move { site.answer(send, receive).await });
        }
        connection.stats().udp_tx.bytes
    }

    async fn answer(&self, mut send: SendStream, mut receive: RecvStream) {
        let outcome = match receive.read_to_end(REQUEST_MAX_BYTES).await {
            Ok(request) => self.meet(&request, &mut send).await,
            Err(_) => Err(Refused(BAD_REQUEST)),
        };
        // Where the stream is gone, so is the one who would hear of it.
        let _ = match outcome {
            Ok(()) => send.finish(),
            Err(Refused(code)) => send.reset(code),
        };
    }

    async fn meet(&self, request: &[u8], send: &mut SendStream) -> Result<(), Refused> {
        match serde_json::from_slice(request).map_err(|_| Refused(BAD_REQUEST))? {
            Request::Manifest(site) if site == self.site => {
                Ok(send.write_all(&self.manifest).await.map_err(io::Error::from)?)
            }
            Request::Manifest(_) => Err(Refused(NOT_FOUND)),
            Request::File(name) => {
                let (path, size) = self.files.get(&name).ok_or(Refused(NOT_FOUND))?;
                copy(File::open(path).await?, *size, send).await
            }
        }
    }
}

/// Sends a file, of which there must be `size` bytes at least: one that grew since it was hashed is cut there, and what it holds is
/// checked by whoever receives it.
async fn copy(file: File, size: u64, send: &mut SendStream) -> Result<(), Refused> {
    let mut file = file.take(size);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = file.read(&mut chunk).await?;
        if length == 0 {
            return if file.limit() == 0 { Ok(()) } else { Err(Refused(UNREADABLE)) };
        }
        send.write_all(chunk.get(..length).unwrap_or_default()).await.map_err(io::Error::from)?;
    }
}

/// What a server sees of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visit {
    /// A peer has connected.
    Came(std::net::SocketAddr),
    /// A peer has gone.
    Went {
        /// Where it was.
        from: std::net::SocketAddr,
        /// What was sent to it, in bytes of UDP payload.
        sent_bytes: u64,
    },
}
