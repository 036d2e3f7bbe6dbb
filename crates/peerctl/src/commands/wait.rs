use std::sync::Arc;

use peer_client::{Client, Path};
use tokio::io::{AsyncBufReadExt as _, BufReader, stdin};
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::task::JoinSet;

use super::connect::{AGAIN, TEXT, send_line};
use super::interrupted;
use super::serve::announce;
use crate::cli::WaitCommand;
use crate::failure::{Failure, OrHint as _};
use crate::output::{NAME, note, printable, say};
use crate::rendezvous;
use crate::talk::Word;

/// Lines that wait to be sent at most; a peer that is too slow for more misses the oldest.
const LINES_MAX: usize = 64;

pub(super) async fn run(command: &WaitCommand) -> Result<(), Failure> {
    let identity = command.key.identity()?;
    let client = rendezvous::register(&command.matchmaker, identity.as_ref()).await?;
    announce(&client)?;
    let (lines, _) = broadcast::channel(LINES_MAX);
    tokio::select! {
        () = accept_all(&client, &lines) => {}
        done = read_lines(&lines), if command.chat => done?,
        () = interrupted() => {}
    }
    client.close().await;
    Ok(())
}

async fn accept_all(client: &Client, lines: &Sender<Arc<str>>) {
    let mut talks = JoinSet::new();
    while let Some(path) = client.accept().await {
        while talks.try_join_next().is_some() {}
        let lines = lines.subscribe();
        talks.spawn(async move {
            let peer = path.peer();
            note(format_args!("{NAME}{}{NAME:#} has connected", rendezvous::describe(&path)));
            // However it ends, it is the end of this talk only.
            let _ = talk(path, lines).await;
            note(format_args!("{peer} has gone"));
        });
    }
}

/// Answers a peer until it leaves.
async fn talk(path: Path, mut lines: Receiver<Arc<str>>) -> Result<(), Failure> {
    loop {
        tokio::select! {
            datagram = path.recv() => match datagram.as_deref().map(Word::decode) {
                None => return Ok(()),
                Some(Some(Word::Ping(number))) => path.send(&Word::Pong(number).encode()).await.or_hint(AGAIN)?,
                Some(Some(Word::Line(line))) => say(format_args!("{}: {}", path.peer(), printable(&line)))?,
                Some(Some(Word::Pong(_)) | None) => {}
            },
            Ok(line) = lines.recv() => send_line(&path, line.to_string()).await?,
        }
    }
}

async fn read_lines(lines: &Sender<Arc<str>>) -> Result<(), Failure> {
    let mut input = BufReader::new(stdin()).lines();
    while let Some(line) = input.next_line().await.or_hint(TEXT)? {
        // Nobody may be there to hear it.
        let _ = lines.send(line.into());
    }
    Ok(())
}
