use std::time::{Duration, Instant};

use anyhow::Context as _;
use peer_client::Path;
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::time::{interval, timeout};

use super::interrupted;
use crate::cli::ConnectCommand;
use crate::failure::{Failure, OrHint as _};
use crate::output::{GOOD, NAME, note, printable, say, warn};
use crate::rendezvous;
use crate::talk::{LINE_MAX_BYTES, Word};

/// From one ping to the next.
const PING_INTERVAL: Duration = Duration::from_millis(200);
/// Longest wait for an answer to a ping.
const PONG_TIMEOUT: Duration = Duration::from_secs(2);
/// What to try where a way that was open is not any more.
pub(super) const AGAIN: &str = "the same command opens a new one, while the other side is there";
/// What to try where stdin holds something else.
pub(super) const TEXT: &str = "what is typed or piped in is lines of UTF-8";

pub(super) async fn run(command: &ConnectCommand) -> Result<(), Failure> {
    let identity = command.key.identity()?;
    let client = rendezvous::register(&command.matchmaker, identity.as_ref()).await?;
    let path = rendezvous::reach(&client, command.peer).await?;
    say(format_args!("{GOOD}connected{GOOD:#} to {NAME}{}{NAME:#}", rendezvous::describe(&path)))?;
    if let Some(id) = path.id() {
        say(format_args!("it is {NAME}{id}{NAME:#}"))?;
    }
    let done = if command.chat { chat(&path).await } else { ping(&path, command.count).await };
    drop(path);
    client.close().await;
    done
}

/// Sends pings, each when the one before was answered or lost.
async fn ping(path: &Path, count: u32) -> Result<(), Failure> {
    let mut ticks = interval(PING_INTERVAL);
    let mut times = Vec::new();
    for number in 0..u64::from(count) {
        ticks.tick().await;
        let sent = Instant::now();
        path.send(&Word::Ping(number).encode())
            .await
            .context("the way to the peer is broken")
            .or_hint(AGAIN)?;
        if let Ok(heard) = timeout(PONG_TIMEOUT, pong(path, number)).await {
            heard?;
            let took = sent.elapsed();
            say(format_args!("pong {number} after {:.2} ms", ms(took)))?;
            times.push(took);
        } else {
            say(format_args!("ping {number} was lost"))?;
        }
    }
    if let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) {
        let mean = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(u32::MAX);
        note(format_args!(
            "{} of {count} answered; {:.2} ms at least, {:.2} on average, {:.2} at most",
            times.len(),
            ms(*least),
            ms(mean),
            ms(*most)
        ));
    } else if count > 0 {
        warn("the way is open, but the peer answers no pings: it may be another program");
    }
    Ok(())
}

/// Waits for the answer to a ping, and answers those of the peer.
async fn pong(path: &Path, number: u64) -> Result<(), Failure> {
    loop {
        match hear(path).await? {
            Word::Pong(answered) if answered == number => return Ok(()),
            _ => {}
        }
    }
}

/// The next word of the peer; pings are answered.
async fn hear(path: &Path) -> Result<Word, Failure> {
    loop {
        let datagram = path.recv().await.context("the peer has left").or_hint(AGAIN)?;
        match Word::decode(&datagram) {
            Some(Word::Ping(number)) => path.send(&Word::Pong(number).encode()).await.or_hint(AGAIN)?,
            Some(word) => return Ok(word),
            None => {}
        }
    }
}

/// Lines of stdin go to the peer, and its lines to stdout, until either side ends.
async fn chat(path: &Path) -> Result<(), Failure> {
    note("type lines; the end of input or Ctrl-C ends it");
    let mut lines = BufReader::new(stdin()).lines();
    loop {
        tokio::select! {
            line = lines.next_line() => match line.or_hint(TEXT)? {
                Some(line) => send_line(path, line).await?,
                None => return Ok(()),
            },
            word = hear(path) => if let Word::Line(line) = word? {
                say(printable(&line))?;
            },
            () = interrupted() => return Ok(()),
        }
    }
}

/// Sends a line to a peer.
pub(super) async fn send_line(path: &Path, line: String) -> Result<(), Failure> {
    if line.len() > LINE_MAX_BYTES {
        warn(format_args!("a line has at most {LINE_MAX_BYTES} bytes; this one was not sent"));
        return Ok(());
    }
    path.send(&Word::Line(line).encode()).await.or_hint(AGAIN)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
