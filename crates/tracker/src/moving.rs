//! `tracker export` and `tracker import`: all mappings as lines of JSON, for backups and from one store to another.

use std::io::{self, BufRead, BufWriter, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use indicatif::{ProgressBar, ProgressStyle};
use peer_core::limits::{FILE_SIZE_MAX, PUBLISH_MAX};
use peer_core::{Owner, Peer, PeerId};
use registry::{Entry, Publisher, Record, Registry, RegistryError};
use serde::{Deserialize, Serialize};
use service::Failure;
use tokio::sync::mpsc;

/// Records on the way between the store and the file.
const ON_THE_WAY: usize = 4_096;
/// Longest line that is read, in bytes: a name of the longest, all of it escaped, has less.
const LINE_MAX_BYTES: u64 = 16 * 1_024;
/// How long a store that is not there, or that cannot keep up, is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is asked again meanwhile.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// A mapping as a line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    filename: String,
    hash: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    ip: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// In seconds, where the peer asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    /// In ms since 1970.
    last_seen: u64,
}

impl From<Record> for Line {
    fn from(Record { publisher, last_seen_ms, entry }: Record) -> Self {
        Self {
            filename: entry.file.to_string(),
            hash: entry.hash.to_string(),
            size: entry.size,
            ip: publisher.address.to_string(),
            id: publisher.owner.id().map(|id| id.to_string()),
            port: publisher.port,
            ttl: publisher.ttl_secs,
            last_seen: last_seen_ms,
        }
    }
}

impl TryFrom<Line> for Record {
    type Error = peer_core::Invalid;

    fn try_from(line: Line) -> Result<Self, Self::Error> {
        let address: Peer = line.ip.parse()?;
        let id: Option<PeerId> = line.id.as_deref().map(str::parse).transpose()?;
        let owner = id.map_or(Owner::Address(address), Owner::Key);
        let publisher = Publisher { owner, address, port: line.port, ttl_secs: line.ttl };
        let size = line.size.filter(|size| *size <= FILE_SIZE_MAX);
        let entry = Entry { file: line.filename.parse()?, hash: line.hash.parse()?, size };
        Ok(Self { publisher, last_seen_ms: line.last_seen, entry })
    }
}

/// Writes every mapping of a living peer to `out`, one a line. Gives how many.
pub(crate) async fn export(registry: &dyn Registry, out: impl Write) -> Result<u64, Failure> {
    patiently(|| async { registry.ready() }).await?;
    let (sender, mut receiver) = mpsc::channel(ON_THE_WAY);
    let progress = progress("written");
    let mut out = BufWriter::new(out);
    let failed = |error: io::Error| Failure::run("export", error);
    let write = async {
        while let Some(record) = receiver.recv().await {
            serde_json::to_writer(&mut out, &Line::from(record)).map_err(|error| failed(error.into()))?;
            out.write_all(b"\n").map_err(failed)?;
            progress.inc(1);
        }
        // Here and not when it is dropped, which would keep an error to itself.
        out.flush().map_err(failed)
    };
    let (read, written) = tokio::join!(registry.export(sender), write);
    written?;
    read.map_err(|error| Failure::run("export", error))?;
    progress.finish();
    Ok(progress.position())
}

/// Takes over what `lines` have. With `fresh`, every peer has a whole time to live from now: the way to restore a backup that is
/// older than that. Gives how many mappings were taken over; those of dead peers are not.
pub(crate) async fn import(
    registry: &dyn Registry,
    lines: impl BufRead,
    fresh: bool,
) -> Result<u64, Failure> {
    patiently(|| async { registry.ready() }).await?;
    let progress = progress("taken over");
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let seen_ms = fresh.then(|| u64::try_from(now_ms).unwrap_or(u64::MAX));
    let mut lines = Lines { input: lines, number: 0 };
    loop {
        let mut batch = Vec::with_capacity(PUBLISH_MAX);
        while batch.len() < PUBLISH_MAX
            && let Some(mut record) = lines.next()?
        {
            record.last_seen_ms = seen_ms.unwrap_or(record.last_seen_ms);
            batch.push(record);
        }
        if batch.is_empty() {
            progress.finish();
            return Ok(progress.position());
        }
        let taken = patiently(|| registry.import(&batch)).await?;
        progress.inc(u64::try_from(taken).unwrap_or(u64::MAX));
    }
}

/// Asks again while the store is not there.
async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, RegistryError>>,
{
    let started = Instant::now();
    loop {
        match ask().await {
            Err(RegistryError::Unavailable(_)) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            answer => return answer.map_err(|error| Failure::Run(error.to_string())),
        }
    }
}

/// Mappings line by line.
struct Lines<R> {
    input: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Record>, Failure> {
        let mut text = Vec::new();
        self.number += 1;
        let wrong =
            |number: u64, why: &dyn std::fmt::Display| Failure::Run(format!("import: line {number}: {why}"));
        let mut limited = io::Read::take(&mut self.input, LINE_MAX_BYTES);
        let length = limited.read_until(b'\n', &mut text).map_err(|error| wrong(self.number, &error))?;
        if length == 0 {
            return Ok(None);
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| wrong(self.number, &error))?;
        Record::try_from(line).map(Some).map_err(|error| wrong(self.number, &error))
    }
}

/// On standard error, where that is a terminal.
fn progress(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar.with_message(what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its own sample has failed")]

    use super::*;

    #[test]
    fn a_mapping_survives_its_line() {
        let id = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
        for text in [
            r#"{"filename":"site/a.html","hash":"abc","ip":"203.0.113.5","last_seen":1764100000000}"#
                .to_owned(),
            format!(
                r#"{{"filename":"ü","hash":"abc","size":12,"ip":"2001:db8::5","id":"{id}","port":4001,"ttl":60,"last_seen":7}}"#
            ),
        ] {
            let record = Lines { input: text.as_bytes(), number: 0 }.next().unwrap().unwrap();
            assert_eq!(serde_json::to_string(&Line::from(record)).unwrap(), text);
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let good = r#"{"filename":"a","hash":"abc","ip":"203.0.113.5","last_seen":1}"#;
        for bad in [
            "{}",
            "x",
            r#"{"filename":"../a","hash":"abc","ip":"203.0.113.5","last_seen":1}"#,
            &"[".repeat(20_000),
        ] {
            let text = format!("{good}\n{bad}\n");
            let mut lines = Lines { input: text.as_bytes(), number: 0 };
            assert!(lines.next().unwrap().is_some());
            let error = lines.next().unwrap_err().to_string();
            assert!(error.starts_with("import: line 2: "), "{error}");
        }
    }
}
