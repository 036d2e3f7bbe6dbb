use std::thread;
use std::time::Duration;

use anyhow::anyhow;
use peer_core::limits::PUBLISH_MAX;

use crate::cli::PublishCommand;
use crate::failure::{Failure, OrHint as _};
use crate::output::{BAD, DOUBT, GOOD, NAME, bytes, count_bar, note, printable, say, warn};
use crate::site::{HashedFile, Site, site_name};
use crate::tracker::Tracker;

/// Shortest wait between two signs of life, in seconds, whatever a tracker asks for.
const KEEPALIVE_MIN_SECS: u64 = 1;
/// Longest wait after a sign of life that failed, in seconds.
const RETRY_MAX_SECS: u64 = 30;

pub(super) fn run(command: &PublishCommand) -> Result<(), Failure> {
    let tracker = command.tracker.tracker(command.key.identity()?)?;
    let name = site_name(&command.dir, command.site.as_deref())?;
    let files = hash_site(&command.dir, &name, command.hidden)?;
    if files.is_empty() {
        return Err(Failure::failed(
            anyhow!("{} has no file to publish", command.dir.display()),
            "files that start with a dot are published with --hidden only",
        ));
    }
    let publication = Publication { tracker, files, port: command.port, ttl: command.ttl };
    let (refused, keepalive_secs) = publication.publish()?;
    if command.keep {
        publication.keep(keepalive_secs);
    }
    match refused {
        0 => Ok(()),
        refused => Err(Failure::failed(
            anyhow!("{refused} of {} files were refused", publication.files.len()),
            "each line above says why; the others are published, and publishing again does no harm",
        )),
    }
}

/// All files of a site with their hashes; says what is left out.
pub(super) fn hash_site(dir: &std::path::Path, name: &str, hidden: bool) -> Result<Vec<HashedFile>, Failure> {
    let site = Site::walk(dir, name, hidden)?;
    for (path, why) in &site.left_out {
        warn(format_args!("{} is left out: {why}", printable(&path.to_string_lossy())));
    }
    let bar = count_bar(site.files.len()).with_message("hashing");
    let hashed: Result<Vec<_>, _> = site
        .files
        .into_iter()
        .map(|file| {
            bar.inc(1);
            file.hash()
        })
        .collect();
    bar.finish_and_clear();
    hashed.or_hint("a file has to be readable and to stay while it is read: try again")
}

struct Publication {
    tracker: Tracker,
    files: Vec<HashedFile>,
    port: Option<u16>,
    ttl: Option<u64>,
}

impl Publication {
    /// Publishes all files and says what was refused: how many, and after how many seconds to give a sign of life.
    fn publish(&self) -> Result<(usize, u64), Failure> {
        let bar = count_bar(self.files.len()).with_message("publishing");
        let (mut refused, mut keepalive_secs, mut ttl_secs) = (0, u64::MAX, u64::MAX);
        for batch in self.files.chunks(PUBLISH_MAX) {
            let answer = self.tracker.publish(batch, self.port, self.ttl)?;
            for verdict in &answer.files {
                let (name, why) =
                    (printable(&verdict.filename), verdict.reason.as_deref().unwrap_or_default());
                if !verdict.accepted {
                    refused += 1;
                    bar.suspend(|| say(format_args!("{BAD}refused{BAD:#} {name}: {}", printable(why))))?;
                } else if let Some(secs) = verdict.withheld {
                    bar.suspend(|| {
                        say(format_args!("{DOUBT}withheld{DOUBT:#} {name} for {secs} s: {}", printable(why)))
                    })?;
                }
            }
            keepalive_secs = keepalive_secs.min(answer.keepalive);
            ttl_secs = ttl_secs.min(answer.ttl);
            bar.inc(batch.len() as u64);
        }
        bar.finish_and_clear();
        let total_bytes = self.files.iter().map(|file| file.size).sum();
        say(format_args!(
            "{GOOD}published{GOOD:#} {NAME}{}{NAME:#} files, {}; known for {ttl_secs} s after each sign of life",
            self.files.len() - refused,
            bytes(total_bytes)
        ))?;
        Ok((refused, keepalive_secs))
    }

    /// Gives signs of life until the process is ended. A tracker that is away is waited for.
    fn keep(&self, mut keepalive_secs: u64) {
        note(format_args!("giving a sign of life every {keepalive_secs} s; Ctrl-C ends it"));
        loop {
            thread::sleep(Duration::from_secs(keepalive_secs.max(KEEPALIVE_MIN_SECS)));
            let next = match self.tracker.heartbeat(self.port, self.ttl) {
                Ok(answer) if answer.alive => Ok(answer.keepalive),
                Ok(_) => self.publish().map(|(_, secs)| secs),
                Err(error) => Err(error.into()),
            };
            keepalive_secs = next.unwrap_or_else(|failure| {
                warn(format_args!("{failure}; trying again"));
                (keepalive_secs / 4).min(RETRY_MAX_SECS)
            });
        }
    }
}
