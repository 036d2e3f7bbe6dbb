//! The side that wants a site.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use quinn::{Connection, ReadError, ReadToEndError, RecvStream};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::task::{JoinSet, spawn_blocking};

use super::disk::Place;
use super::manifest::{Manifest, RemoteFile};
use super::wire::{self, MANIFEST_MAX_BYTES, NOT_WANTED, Request};
use crate::digest::Hasher;

/// How many files are under way at once: enough that small ones do not wait a round trip each.
const FILES_AT_ONCE: usize = 16;
/// Largest piece that is taken from a stream at once, in bytes.
const PIECE_BYTES: usize = 256 * 1_024;

/// What is wanted, and where it goes.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The site.
    pub site: &'a str,
    /// The directory that the site's directory is made in.
    pub out: &'a Path,
    /// How many bytes the site may have.
    pub limit_bytes: u64,
}

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
}

/// What became of one file.
enum Outcome {
    Fetched,
    Kept,
}

/// Fetches a site from the other end of `connection`, which stays open. `started` is told how many bytes there are in all, and
/// `progress` of those that came or were there. A file that does not come leaves the others alone.
pub async fn fetch(
    connection: &Connection,
    wanted: &Wanted<'_>,
    started: impl FnOnce(&Manifest),
    progress: impl Fn(u64) + Clone + Send + 'static,
) -> anyhow::Result<Fetched> {
    let manifest = read_manifest(connection, wanted).await?;
    started(&manifest);
    let mut fetched = Fetched::default();
    let mut tasks = JoinSet::new();
    for file in manifest.files {
        if tasks.len() == FILES_AT_ONCE
            && let Some(done) = tasks.join_next().await
        {
            fetched.count(done?);
        }
        let (connection, out, progress) = (connection.clone(), wanted.out.to_owned(), progress.clone());
        tasks.spawn(async move {
            let outcome = fetch_file(&connection, out, &file, progress).await;
            (file, outcome)
        });
    }
    while let Some(done) = tasks.join_next().await {
        fetched.count(done?);
    }
    fetched.failed.sort();
    Ok(fetched)
}

impl Fetched {
    fn count(&mut self, (file, outcome): (RemoteFile, anyhow::Result<Outcome>)) {
        match outcome {
            Ok(Outcome::Fetched) => {
                self.fetched += 1;
                self.bytes += file.size;
            }
            Ok(Outcome::Kept) => self.kept += 1,
            Err(error) => self.failed.push((file.name.to_string(), format!("{error:#}"))),
        }
    }
}

async fn read_manifest(connection: &Connection, wanted: &Wanted<'_>) -> anyhow::Result<Manifest> {
    let mut stream = ask(connection, &Request::Manifest(wanted.site.to_owned())).await?;
    let json = match stream.read_to_end(MANIFEST_MAX_BYTES).await {
        Ok(json) => json,
        Err(ReadToEndError::TooLong) => {
            bail!("the peer's list of files has more than {MANIFEST_MAX_BYTES} bytes")
        }
        Err(ReadToEndError::Read(error)) => {
            return Err(read_failed(error)).with_context(|| format!("the site {:?}", wanted.site));
        }
    };
    Ok(Manifest::read(&json, wanted.site, wanted.limit_bytes)?)
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
    while let Some(piece) = stream.read_chunk(PIECE_BYTES, true).await.map_err(read_failed)? {
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

fn read_failed(error: ReadError) -> anyhow::Error {
    match error {
        ReadError::Reset(code) => anyhow!(wire::reason(code)),
        error => anyhow!(error),
    }
}
