//! The little of the Redis protocol that a test needs to look at keys and to write old ones.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest wait for a reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// A status or a string.
    Text(String),
    /// A number.
    Number(i64),
    /// Several replies.
    List(Vec<Reply>),
    /// No such thing.
    Nothing,
    /// Redis refused.
    Error(String),
}

impl Reply {
    /// The strings of a list, in order of text. Panics on anything else.
    #[track_caller]
    pub fn texts(self) -> Vec<String> {
        let Self::List(items) = self else { panic!("no list: {self:?}") };
        let text = |item| if let Self::Text(text) = item { text } else { panic!("no text: {item:?}") };
        let mut texts: Vec<String> = items.into_iter().map(text).collect();
        texts.sort();
        texts
    }
}

/// Sends one command over a connection of its own.
pub fn command(server: SocketAddr, words: &[&str]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&server, REPLY_TIMEOUT)?;
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    let mut request = vec![format!("*{}\r\n", words.len())];
    request.extend(words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())));
    stream.write_all(request.concat().as_bytes())?;
    reply(&mut BufReader::new(stream))
}

fn reply(stream: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let number = || rest.parse::<i64>().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error));
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Error(rest.to_owned()),
        ":" => Reply::Number(number()?),
        "$" => match usize::try_from(number()?) {
            Err(_) => Reply::Nothing,
            Ok(length) => {
                let mut bytes = vec![0; length + "\r\n".len()];
                stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Reply::Text(String::from_utf8_lossy(&bytes).into_owned())
            }
        },
        "*" => match usize::try_from(number()?) {
            Err(_) => Reply::Nothing,
            Ok(count) => Reply::List((0..count).map(|_| reply(stream)).collect::<io::Result<_>>()?),
        },
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, line.to_owned())),
    })
}
