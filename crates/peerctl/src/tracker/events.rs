use std::io::{BufRead, BufReader, Read};

use super::{Stats, TrackerError};

/// Longest line of the stream, in bytes; a tracker's have a hundred.
const LINE_MAX_BYTES: u64 = 4_096;

/// What comes on the stream of a tracker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsEvent {
    /// How much there is.
    Stats(Stats),
    /// The tracker's store is not there just now.
    Unavailable,
}

/// The server-sent events of `/v1/stats/stream` (WHATWG HTML, "Server-sent events"), as they come. It ends with the stream.
pub struct StatsEvents {
    lines: Box<dyn BufRead>,
}

impl StatsEvents {
    /// Those in any stream of bytes.
    pub fn new(stream: impl Read + 'static) -> Self {
        Self { lines: Box::new(BufReader::new(stream)) }
    }

    /// The fields up to the next blank line: event and data. `None` where the stream ends before one.
    fn block(&mut self) -> Result<Option<(String, String)>, TrackerError> {
        let (mut event, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            let read = self.lines.by_ref().take(LINE_MAX_BYTES).read_line(&mut line);
            read.map_err(|error| TrackerError::Stream(format!("broke off: {error}")))?;
            if line.is_empty() {
                return Ok(None);
            }
            let Some(line) = line.strip_suffix('\n') else {
                let why = format!("has a line of more than {LINE_MAX_BYTES} bytes, or broke off");
                return Err(TrackerError::Stream(why));
            };
            match line.trim_end_matches('\r') {
                "" if data.is_empty() => event.clear(),
                "" => return Ok(Some((event, data))),
                line => match line.split_once(": ").or_else(|| line.split_once(':')) {
                    Some(("event", value)) => value.clone_into(&mut event),
                    Some(("data", value)) => value.clone_into(&mut data),
                    // Comments and fields that we have no use for.
                    _ => {}
                },
            }
        }
    }
}

impl Iterator for StatsEvents {
    type Item = Result<StatsEvent, TrackerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (event, data) = match self.block() {
                Ok(block) => block?,
                Err(error) => return Some(Err(error)),
            };
            return match event.as_str() {
                "stats" => {
                    Some(serde_json::from_str(&data).map(StatsEvent::Stats).map_err(|error| {
                        TrackerError::Stream(format!("has other counts than ours: {error}"))
                    }))
                }
                "unavailable" => Some(Ok(StatsEvent::Unavailable)),
                // A later tracker may say more.
                _ => continue,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test that cannot make its own sample has failed")]

    use super::*;

    #[test]
    fn events_are_read_until_the_stream_ends() {
        let stream = ": hello\n\nevent: stats\ndata: {\"peers\":1,\"files\":2,\"mappings\":3}\n\n\
                      event: later\ndata: {}\n\nevent:unavailable\r\ndata:{}\r\n\r\nevent: stats\n";
        let events: Result<Vec<_>, _> = StatsEvents::new(stream.as_bytes()).collect();
        let stats = Stats { peers: 1, files: 2, mappings: 3 };
        assert_eq!(events.expect("a good stream"), [StatsEvent::Stats(stats), StatsEvent::Unavailable]);
    }

    #[test]
    fn a_line_without_end_is_an_error_and_not_memory() {
        let mut events = StatsEvents::new(std::io::repeat(b'x'));
        assert!(events.next().is_some_and(|event| event.is_err()));
    }
}
