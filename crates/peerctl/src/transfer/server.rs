//! The side that has a site.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::STALL;
use super::places::Places;
use super::wire::{
    BAD_REQUEST, Entry, ManifestBody, NOT_FOUND, REQUEST_MAX_BYTES, Request, STALLED, UNREADABLE,
};
use crate::site::HashedFile;

/// How long a peer may ask for nothing, in which it may look what it has of a large site.
const IDLE: Duration = Duration::from_mins(5);
/// How much of a file is read at once, in bytes.
const CHUNK_BYTES: usize = 128 * 1_024;

/// A site that is given out: what was hashed when it was put here, and nothing else that is on the disk.
#[derive(Debug)]
pub struct Shelf {
    site: String,
    files: HashMap<String, (PathBuf, u64)>,
    /// As it goes over the wire.
    manifest: Vec<u8>,
    patience: Patience,
}

/// How long a peer may stand still before its place is for others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// In the middle of requests or of their answers.
    pub(super) stall: Duration,
    /// Between them.
    pub(super) idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { stall: STALL, idle: IDLE }
    }
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
        Ok(Self { site: site.to_owned(), files, manifest, patience: Patience::default() })
    }

    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Serves whoever connects, until the endpoint is closed. `seen` is told of each peer that comes and goes.
    pub async fn serve(self: Arc<Self>, endpoint: &Endpoint, seen: impl Fn(Visit) + Clone + Send + 'static) {
        let places = Arc::new(Places::default());
        while let Some(incoming) = endpoint.accept().await {
            let Some(place) = places.take(incoming.remote_address().ip()) else {
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

    /// Answers requests until the connection ends or nothing is asked for, and says how many bytes that took.
    async fn answer_all(self: Arc<Self>, connection: &Connection) -> u64 {
        // As many at once as the transport lets the peer open.
        let mut answers = JoinSet::new();
        let taken = Arc::new(AtomicU64::new(0));
        let mut before = 0;
        loop {
            let patience = if answers.is_empty() { self.patience.idle } else { self.patience.stall };
            tokio::select! {
                asked = connection.accept_bi() => {
                    let Ok((send, receive)) = asked else { break };
                    let (site, taken) = (Arc::clone(&self), Arc::clone(&taken));
                    answers.spawn(async move { site.answer(send, receive, &taken).await });
                }
                Some(_) = answers.join_next() => {}
                () = sleep(patience) => {
                    // Of one answer nothing may be taken for long, while others have a slow line to themselves.
                    let now = taken.load(Ordering::Relaxed);
                    if answers.is_empty() || now == before {
                        connection.close(STALLED, b"nothing was asked for or taken for too long");
                        break;
                    }
                    before = now;
                }
            }
        }
        connection.stats().udp_tx.bytes
    }

    /// Answers a request. What the peer takes of the answer is added to `taken`, in bytes.
    async fn answer(&self, mut send: SendStream, mut receive: RecvStream, taken: &AtomicU64) {
        let outcome = match receive.read_to_end(REQUEST_MAX_BYTES).await {
            Ok(request) => self.meet(&request, &mut send, taken).await,
            Err(_) => Err(Refused(BAD_REQUEST)),
        };
        // Where the stream is gone, so is the one who would hear of it.
        let _ = match outcome {
            Ok(()) => send.finish(),
            Err(Refused(code)) => send.reset(code),
        };
    }

    async fn meet(&self, request: &[u8], send: &mut SendStream, taken: &AtomicU64) -> Result<(), Refused> {
        match serde_json::from_slice(request).map_err(|_| Refused(BAD_REQUEST))? {
            Request::Manifest(site) if site == self.site => write(send, &self.manifest, taken).await,
            Request::Manifest(_) => Err(Refused(NOT_FOUND)),
            Request::File(name) => {
                let (path, size) = self.files.get(&name).ok_or(Refused(NOT_FOUND))?;
                copy(File::open(path).await?, *size, send, taken).await
            }
        }
    }
}

/// Sends a file, of which there must be `size` bytes at least: one that grew since it was hashed is cut there, and what it holds is
/// checked by whoever receives it.
async fn copy(file: File, size: u64, send: &mut SendStream, taken: &AtomicU64) -> Result<(), Refused> {
    let mut file = file.take(size);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let length = file.read(&mut chunk).await?;
        if length == 0 {
            return if file.limit() == 0 { Ok(()) } else { Err(Refused(UNREADABLE)) };
        }
        write(send, chunk.get(..length).unwrap_or_default(), taken).await?;
    }
}

async fn write(send: &mut SendStream, mut bytes: &[u8], taken: &AtomicU64) -> Result<(), Refused> {
    while !bytes.is_empty() {
        let length = send.write(bytes).await.map_err(io::Error::from)?;
        taken.fetch_add(length as u64, Ordering::Relaxed);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    Ok(())
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
