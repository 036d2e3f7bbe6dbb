use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use peer_client::{Path as Way, Target};
use quinn::{Connection, ConnectionError, Endpoint};
use tokio::task::spawn_blocking;

use super::serve::INSIDE;
use crate::claims::{Publisher, compare};
use crate::cli::FetchCommand;
use crate::failure::{Failure, OrHint as _};
use crate::output::{BAD, GOOD, NAME, bytes, bytes_bar, note, printable, say, warn};
use crate::rendezvous;
use crate::site::site_name;
use crate::tracker::Tracker;
use crate::transfer::{
    BadManifest, DONE, Fetched, Manifest, RemoteFile, Reset, ServerPin, client_config, endpoint, fetch,
    manifest, presented_id,
};

/// Files that an error names at most.
const NAMED_MAX: usize = 5;

pub(super) async fn run(command: &FetchCommand) -> Result<(), Failure> {
    let site = site_name(&command.out, Some(&command.site))?;
    let url = command.tracker.as_deref().filter(|_| !command.unchecked);
    let tracker = url.map(|url| Tracker::new(url, None, None)).transpose()?;
    std::fs::create_dir_all(&command.out)
        .with_context(|| format!("{} cannot be made", command.out.display()))
        .or_hint("name a directory that you may write to: --out OUT")?;
    let identity = command.key.identity()?;
    let client = rendezvous::register(&command.matchmaker, identity.as_ref()).await?;
    let path = rendezvous::reach(&client, command.peer).await?;
    note(format_args!("connected to {}", rendezvous::describe(&path)));
    let endpoint = endpoint(client.datagrams(), None).or_hint(INSIDE)?;
    let connection = shake_hands(&endpoint, command.peer, &path).await?;
    let fetched = fetch_site(&connection, &site, command, tracker, &path).await;
    // However it went: a connection that is left open would be waited for.
    connection.close(DONE, b"");
    // Says goodbye to the peer, which otherwise keeps the way open for a while.
    endpoint.wait_idle().await;
    drop(path);
    client.close().await;
    fetched
}

/// Fetches what the peer says that the site has, where the tracker does not say otherwise.
async fn fetch_site(
    connection: &Connection,
    site: &str,
    command: &FetchCommand,
    tracker: Option<Tracker>,
    path: &Way,
) -> Result<(), Failure> {
    let manifest = manifest(connection, site, command.max_bytes).await.map_err(|error| {
        let hint = manifest_hint(&error);
        Failure::failed(error, hint)
    })?;
    if let Some(tracker) = tracker {
        let publisher = publisher(command.peer, path, connection);
        check(tracker, publisher, manifest.files.clone()).await?;
    }
    let all = manifest.files.len();
    let fetched = fetch_shown(connection, site, manifest, &command.out).await?;
    if let Some(lost) = fetched.lost {
        let there = fetched.fetched + fetched.kept;
        return Err(Failure::failed(
            anyhow!("the connection to the peer is lost: {lost}; {there} of {all} files are there"),
            "the same command goes on from there",
        ));
    }
    match fetched.failed.len() {
        0 => Ok(()),
        failed => Err(Failure::failed(
            anyhow!("{failed} of {all} files did not come"),
            "each line above says why; the others are there, and the same command tries these again",
        )),
    }
}

/// What to try where there is no list of files.
fn manifest_hint(error: &anyhow::Error) -> &'static str {
    let is_not_there = error.downcast_ref::<Reset>().is_some_and(|reset| reset.is_not_found());
    match error.downcast_ref() {
        Some(BadManifest::TooLarge { .. }) => "--max-bytes allows more",
        Some(_) => "its owner has to serve it with a peerctl that keeps to docs/PEERCTL.md",
        None if is_not_there => "ask its owner for the name of the site; a tracker has it in: peerctl files",
        None => "the peer may just have ended, or the way to it is broken: run the command once more",
    }
}

/// As who the peer would have published: by the id that it has shown, or without one at its public address.
fn publisher(target: Target, path: &Way, connection: &Connection) -> Publisher {
    let id = presented_id(connection);
    match target {
        Target::Id(_) => Publisher { id, ip: None },
        // Where it is reached may be an address of the local network.
        Target::Ip(ip) => Publisher { id, ip: path.id().is_none().then_some(ip) },
        Target::Addr(address) => Publisher { id, ip: path.id().is_none().then_some(address.ip()) },
    }
}

/// Holds the peer's hashes against those that it published.
async fn check(tracker: Tracker, publisher: Publisher, files: Vec<RemoteFile>) -> Result<(), Failure> {
    let (all, origin) = (files.len(), tracker.origin().to_owned());
    let compared = spawn_blocking(move || compare(&tracker, publisher, &files)).await.or_hint(INSIDE)?;
    let compared = compared.map_err(|error| {
        let failure = Failure::from(error);
        let hint = format!("{}; --unchecked fetches without it", failure.hint());
        Failure::failed(anyhow!("nothing was compared or fetched: {failure}"), hint)
    })?;
    for file in &compared.different {
        let name = printable(&file.filename);
        say(format_args!(
            "{BAD}differs{BAD:#} {name}: published {}, offered {}",
            file.published, file.offered
        ))?;
    }
    if !compared.different.is_empty() {
        return Err(Failure::failed(
            anyhow!(
                "{} of {all} files are not what the peer published at {origin}: {}; nothing was fetched",
                compared.different.len(),
                some(compared.different.iter().map(|file| file.filename.as_str()))
            ),
            "its owner may have changed them, and then publishes and serves again; --unchecked fetches them as they are",
        ));
    }
    note(format_args!("{} of {all} files are as the peer published them at {origin}", compared.same));
    if !compared.unknown.is_empty() {
        warn(format_args!(
            "the tracker knows no hash of this peer for {} of {all} files: {}",
            compared.unknown.len(),
            some(compared.unknown.iter().map(String::as_str))
        ));
    }
    Ok(())
}

/// The first of many names.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMED_MAX);
    let mut first: Vec<_> = names.take(NAMED_MAX).map(printable).collect();
    if more > 0 {
        first.push(format!("and {more} more").into());
    }
    first.join(", ")
}

/// Makes sure who the peer is: by the id that was asked for, by the one that the matchmaker has verified of whoever is at the
/// address, or, where there is none, by what it shows now.
async fn shake_hands(endpoint: &Endpoint, target: Target, path: &Way) -> Result<Connection, Failure> {
    let known = match target {
        Target::Id(id) => Some(id),
        Target::Ip(_) | Target::Addr(_) => path.id(),
    };
    let pin = known.map_or(ServerPin::FirstSight, ServerPin::Id);
    let config = client_config(pin).or_hint(INSIDE)?;
    let connecting = endpoint.connect_with(config, path.peer(), "peer").or_hint(INSIDE)?;
    let connection = connecting.await.map_err(|error| match error {
        ConnectionError::TimedOut => Failure::unreachable(
            anyhow!("the peer serves nothing: it does not answer QUIC"),
            "the other side has to run peerctl serve; wait and connect give out nothing",
        ),
        ConnectionError::TransportError(error) if known.is_some() => Failure::failed(
            anyhow!(error).context("the peer does not show the key of its id"),
            "whoever answers there is not who was asked for: ask the owner for the id (peerctl key --show)",
        ),
        error => {
            Failure::failed(error, "the peer may have its 64 places taken, or was just ended: try again")
        }
    })?;
    match (known, presented_id(&connection)) {
        (None, Some(shown)) => {
            warn(format_args!("the peer has no id; it is trusted on first sight, with the key {shown}"));
        }
        (Some(id), _) => note(format_args!("it is {NAME}{id}{NAME:#}")),
        (None, None) => {}
    }
    Ok(connection)
}

async fn fetch_shown(
    connection: &Connection,
    site: &str,
    manifest: Manifest,
    out: &Path,
) -> Result<Fetched, Failure> {
    let begin = Instant::now();
    let bar = bytes_bar(manifest.total_bytes).with_message(site.to_owned());
    let moving = bar.clone();
    let fetched = fetch(connection, manifest.files, out, move |bytes| moving.inc(bytes)).await;
    bar.finish_and_clear();
    let fetched = fetched.or_hint(INSIDE)?;
    for (name, why) in &fetched.failed {
        say(format_args!("{BAD}failed{BAD:#} {}: {}", printable(name), printable(why)))?;
    }
    let took = begin.elapsed();
    say(format_args!(
        "{GOOD}fetched{GOOD:#} {NAME}{}{NAME:#} files, {} in {:.2} s ({}/s); {} were there",
        fetched.fetched,
        bytes(fetched.bytes),
        took.as_secs_f64(),
        bytes(per_second(fetched.bytes, took)),
        fetched.kept
    ))?;
    Ok(fetched)
}

fn per_second(bytes: u64, took: Duration) -> u64 {
    let micros = took.as_micros().max(1);
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}
