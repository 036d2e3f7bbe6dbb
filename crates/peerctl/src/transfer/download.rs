//! The side that wants a site.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use quinn::{Chunk, Connection, ConnectionError, ReadError, RecvStream};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::STALL;
use super::disk::{Place, clear_parts};
use super::manifest::{Manifest, RemoteFile};
use super::wire::{MANIFEST_MAX_BYTES, NOT_WANTED, Request, Reset};
use crate::digest::Hasher;

/// How many files are under way at once: enough that small ones do not wait a round trip each.
const FILES_AT_ONCE: usize = 16;
/// Largest piece that is taken from a stream at once, in bytes.
const PIECE_BYTES: usize = 256 * 1_024;

/// What came of it.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Files that came, each with the right hash.
    pub fetched: usize,
    /// Files that were there with the right hash.
    pub kept: usize,
    /// Bytes of the files that came.
    pub bytes: u64,
    /// Files that did not come, and why.
    pub failed: Vec<(String, String)>,
    /// Files that did not come because the connection was lost before.
    pub missing: usize,
    /// Why the connection was lost, where it was.
    pub lost: Option<ConnectionError>,
}

/// What became of one file.
enum Outcome {
    Fetched,
    Kept,
}

/// Fetches the files of a manifest from the other end of `connection`, which stays open, to below `out`. `progress` is told of
/// bytes that came or were there. A file that does not come leaves the others alone; a connection that is lost ends it.
pub async fn fetch(
    connection: &Connection,
    files: Vec<RemoteFile>,
    out: &Path,
    progress: impl Fn(u64) + Clone + Send + 'static,
) -> anyhow::Result<Fetched> {
    let (below, names) = (out.to_owned(), files.clone());
    spawn_blocking(move || clear_parts(&below, &names)).await?;
    let mut fetched = Fetched::default();
    let mut tasks = JoinSet::new();
    let mut files = files.into_iter();
    while connection.close_reason().is_none() {
        if tasks.len() == FILES_AT_ONCE
            && let Some(done) = tasks.join_next().await
        {
            fetched.count(connection, done?);
        }
        let Some(file) = files.next() else { break };
        let (connection, out, progress) = (connection.clone(), out.to_owned(), progress.clone());
        tasks.spawn(async move {
            let outcome = fetch_file(&connection, out, &file, progress).await;
            (file, outcome)
        });
    }
    while let Some(done) = tasks.join_next().await {
        fetched.count(connection, done?);
    }
    fetched.missing += files.len();
    fetched.failed.sort();
    if fetched.missing > 0 {
        fetched.lost = connection.close_reason();
    }
    Ok(fetched)
}

impl Fetched {
    fn count(&mut self, connection: &Connection, (file, outcome): (RemoteFile, anyhow::Result<Outcome>)) {
        match outcome {
            Ok(Outcome::Fetched) => {
                self.fetched += 1;
                self.bytes += file.size;
            }
            Ok(Outcome::Kept) => self.kept += 1,
            // All that are under way fail then, for one reason.
            Err(_) if connection.close_reason().is_some() => self.missing += 1,
            Err(error) => self.failed.push((file.name.to_string(), format!("{error:#}"))),
        }
    }
}

/// Asks for the list of a site's files, which may have `limit_bytes` together.
pub async fn manifest(connection: &Connection, site: &str, limit_bytes: u64) -> anyhow::Result<Manifest> {
    let mut stream = ask(connection, &Request::Manifest(site.to_owned())).await?;
    let mut json = Vec::new();
    while let Some(piece) = next_piece(&mut stream).await.with_context(|| format!("the site {site:?}"))? {
        if json.len() + piece.bytes.len() > MANIFEST_MAX_BYTES {
            let _ = stream.stop(NOT_WANTED);
            bail!("the peer's list of files has more than {MANIFEST_MAX_BYTES} bytes");
        }
        json.extend_from_slice(&piece.bytes);
    }
    Ok(Manifest::read(&json, site, limit_bytes)?)
}

/// Sends a request; its answer comes on the stream.
async fn ask(connection: &Connection, request: &Request) -> anyhow::Result<RecvStream> {
    let (mut send, receive) = connection.open_bi().await.context("the connection is lost")?;
    send.write_all(&serde_json::to_vec(request)?).await?;
    send.finish()?;
    Ok(receive)
}

async fn fetch_file(
    connection: &Connection,
    out: PathBuf,
    file: &RemoteFile,
    progress: impl Fn(u64),
) -> anyhow::Result<Outcome> {
    let wanted = file.clone();
    let (place, there) = spawn_blocking(move || {
        let place = Place::below(&out, &wanted)?;
        let there = place.holds(&wanted)?;
        Ok::<_, std::io::Error>((Arc::new(place), there))
    })
    .await??;
    if there {
        progress(file.size);
        return Ok(Outcome::Kept);
    }
    let stream = ask(connection, &Request::File(file.name.to_string())).await?;
    let beside = Arc::clone(&place);
    let part = spawn_blocking(move || beside.part()).await??;
    receive(stream, file, File::from_std(part.reopen()?), progress).await?;
    // Without a sync: a file that a power cut emptied has another hash, and is fetched again.
    spawn_blocking(move || place.put(part)).await??;
    Ok(Outcome::Fetched)
}

/// Writes a content into `part` while it is hashed, and fails where it is not the one of `file`.
async fn receive(
    mut stream: RecvStream,
    file: &RemoteFile,
    mut part: File,
    progress: impl Fn(u64),
) -> anyhow::Result<()> {
    let mut hasher = Hasher::default();
    while let Some(piece) = next_piece(&mut stream).await? {
        hasher.update(&piece.bytes);
        if hasher.bytes() > file.size {
            // Where the stream has ended meanwhile, there is nothing to stop.
            let _ = stream.stop(NOT_WANTED);
            bail!("the peer sends more than the {} bytes that it promised", file.size);
        }
        part.write_all(&piece.bytes).await?;
        progress(piece.bytes.len() as u64);
    }
    part.flush().await?;
    if hasher.bytes() < file.size {
        bail!("the peer sent {} of {} bytes", hasher.bytes(), file.size);
    }
    if hasher.digest() != file.digest {
        bail!("what the peer sent has another hash than it promised");
    }
    Ok(())
}

/// What comes next; `None` at the end. A peer that keeps the connection alive and sends nothing is not waited for.
async fn next_piece(stream: &mut RecvStream) -> anyhow::Result<Option<Chunk>> {
    match timeout(STALL, stream.read_chunk(PIECE_BYTES, true)).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(ReadError::Reset(code))) => Err(anyhow!(Reset::new(code))),
        Ok(Err(error)) => Err(anyhow!(error)),
        Err(_) => {
            let _ = stream.stop(NOT_WANTED);
            bail!("the peer sent nothing for {} s", STALL.as_secs())
        }
    }
}
