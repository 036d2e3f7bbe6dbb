use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use peer_client::{Path as Way, Target};
use quinn::{Connection, ConnectionError, Endpoint};

use crate::cli::FetchCommand;
use crate::failure::Failure;
use crate::output::{BAD, GOOD, NAME, bytes, bytes_bar, note, printable, say, warn};
use crate::rendezvous;
use crate::site::site_name;
use crate::transfer::{
    DONE, Fetched, Manifest, ServerPin, client_config, endpoint, fetch, manifest, presented_id,
};

pub(super) async fn run(command: &FetchCommand) -> Result<(), Failure> {
    let site = site_name(&command.out, Some(&command.site)).map_err(Failure::Usage)?;
    std::fs::create_dir_all(&command.out)
        .with_context(|| format!("{} cannot be made", command.out.display()))?;
    let identity = command.key.identity()?;
    let client = rendezvous::register(&command.matchmaker, identity.as_ref()).await?;
    let path = rendezvous::reach(&client, command.peer).await?;
    note(format_args!("connected to {}", rendezvous::describe(&path)));
    let endpoint = endpoint(client.datagrams(), None)?;
    let connection = shake_hands(&endpoint, command.peer, &path).await?;
    let fetched = fetch_site(&connection, &site, command).await;
    // However it went: a connection that is left open would be waited for.
    connection.close(DONE, b"");
    // Says goodbye to the peer, which otherwise keeps the way open for a while.
    endpoint.wait_idle().await;
    drop(path);
    client.close().await;
    fetched
}

/// Fetches what the peer says that the site has.
async fn fetch_site(connection: &Connection, site: &str, command: &FetchCommand) -> Result<(), Failure> {
    let manifest = manifest(connection, site, command.max_bytes).await?;
    let all = manifest.files.len();
    let fetched = fetch_shown(connection, site, manifest, &command.out).await?;
    if let Some(lost) = fetched.lost {
        let there = fetched.fetched + fetched.kept;
        return Err(anyhow!(
            "the connection to the peer is lost: {lost}; {there} of {all} files are there, and the same command goes on from \
             there"
        )
        .into());
    }
    match fetched.failed.len() {
        0 => Ok(()),
        failed => Err(anyhow!("{failed} of {all} files did not come").into()),
    }
}

/// Makes sure who the peer is: by the id that was asked for, by the one that the matchmaker has verified of whoever is at the
/// address, or, where there is none, by what it shows now.
async fn shake_hands(endpoint: &Endpoint, target: Target, path: &Way) -> Result<Connection, Failure> {
    let known = match target {
        Target::Id(id) => Some(id),
        Target::Ip(_) | Target::Addr(_) => path.id(),
    };
    let pin = known.map_or(ServerPin::FirstSight, ServerPin::Id);
    let connecting = endpoint.connect_with(client_config(pin)?, path.peer(), "peer")?;
    let connection = connecting.await.map_err(|error| match error {
        ConnectionError::TimedOut => {
            Failure::Unreachable(anyhow!("the peer serves nothing: it does not answer QUIC"))
        }
        ConnectionError::TransportError(error) if known.is_some() => {
            Failure::Failed(anyhow!(error).context("the peer does not show the key of its id"))
        }
        error => Failure::Failed(anyhow!(error)),
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
    let fetched = fetched?;
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
