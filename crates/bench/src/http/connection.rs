//! One keep-alive connection to a tracker.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::tally::SharedTally;

use super::expected::Expected;
use super::response::{self, ResponseError};
use super::workload::Workload;

/// Room for the answers of a batch; it grows where one needs more.
const READ_BYTES: usize = 16 * 1024;

/// The status of a server that has too much to do.
const BUSY: u16 = 503;

/// What became of a batch of requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange {
    /// How many were sent: fewer than asked for where the workload came to its end.
    pub sent: usize,
    /// How many were refused and given back to the workload.
    pub refused: usize,
}

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error(transparent)]
    Response(#[from] ResponseError),
}

/// The status of one `GET`, on a connection of its own.
pub(crate) async fn status(address: SocketAddr, path: &str) -> Result<u16, Broken> {
    Ok(get(address, path).await?.0)
}

/// Status and body of one `GET`, on a connection of its own.
pub(crate) async fn get(address: SocketAddr, path: &str) -> Result<(u16, String), Broken> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut input = Vec::new();
    loop {
        if let Some(answer) = response::parse(&input)? {
            let body = input.get(answer.body).unwrap_or_default();
            return Ok((answer.status, String::from_utf8_lossy(body).into_owned()));
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Err(Broken::Closed);
        }
    }
}

/// A connection with its buffers.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    due: Vec<(u64, Expected)>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, output: Vec::new(), input: Vec::with_capacity(READ_BYTES), due: Vec::new() })
    }

    /// Sends up to `depth` requests at once and reads and checks the answers to all of them. Latencies are
    /// counted from `since`.
    pub(crate) async fn exchange(
        &mut self,
        workload: &Workload,
        depth: usize,
        since: Instant,
        tally: &SharedTally,
    ) -> Result<Exchange, Broken> {
        self.output.clear();
        self.due.clear();
        for ticket in std::iter::from_fn(|| workload.take()).take(depth) {
            self.due.push((ticket, workload.write(ticket, &mut self.output)?));
        }
        tally.expect(self.due.len());
        self.stream.write_all(&self.output).await?;
        let (mut consumed, mut refused) = (0, 0);
        for (ticket, due) in &self.due {
            let answer = loop {
                if let Some(answer) = response::parse(self.input.get(consumed..).unwrap_or_default())? {
                    break answer;
                }
                if self.stream.read_buf(&mut self.input).await? == 0 {
                    return Err(Broken::Closed);
                }
            };
            let unread = self.input.get(consumed..).unwrap_or_default();
            let body = unread.get(answer.body.clone()).unwrap_or_default();
            if answer.status == BUSY && workload.is_patient() {
                workload.give_back(*ticket);
                tally.refused();
                refused += 1;
            } else {
                tally.answered(since, due.check(answer.status, body));
            }
            consumed += answer.body.end;
        }
        self.input.drain(..consumed);
        Ok(Exchange { sent: self.due.len(), refused })
    }
}
