//! A small HTTP/1.1 client that sends exactly the bytes that a test asks for.
//!
//! Libraries refuse to send what these tests must send (raw quotes, broken escapes, several header lines of one name),
//! and open their own sockets, which could then not be made inside a network namespace.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// The longest wait for any part of an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request, as bytes.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Request {
    /// Any method and any bytes as target.
    pub fn new(method: &str, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.as_ref().to_vec(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// `GET target`.
    pub fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    /// `POST target`.
    pub fn post(target: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target)
    }

    /// With one more header line, after those that are there.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With a form body.
    #[must_use]
    pub fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body)
    }

    /// With a body of any type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self.header("Content-Type", content_type)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(self.method.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(&self.target);
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: tracker\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if self.method != "GET" || !self.body.is_empty() {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
    headers: Vec<(String, String)>,
}

impl Answer {
    /// The value of a header, by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text, broken bytes replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON. Panics where it is none, or is not declared as such.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/json"), "content type of {self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// Panics unless this is exactly that status and that JSON: no key missing, none too many.
    #[track_caller]
    pub fn assert_is(&self, status: u16, body: &Value) {
        assert_eq!(self.status, status, "status of {:?}", self.text());
        assert_eq!(&self.json(), body);
    }

    /// Panics unless this is that status with an object of the one key `detail`. Gives the detail.
    #[track_caller]
    pub fn assert_refused(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "status of {:?}", self.text());
        let body = self.json();
        let keys: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, ["detail"], "keys of {body}");
        body["detail"].clone()
    }
}

/// A connection that can take several requests, one after the other.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// To `server`, from any address of ours.
    pub fn open(server: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(server).and_then(Self::over)
    }

    /// To `server`, from this address of ours.
    pub fn open_from(source: IpAddr, server: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(source, 0).into())?;
        socket.connect(&server.into())?;
        Self::over(socket.into())
    }

    /// Over a stream that exists.
    pub fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// One request and its answer.
    pub fn exchange(&mut self, request: &Request) -> io::Result<Answer> {
        self.send(&request.bytes())?;
        self.receive()
    }

    /// Sends any bytes. A server that has answered and closed already is no error: the answer is still to be read.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.get_mut().write_all(bytes) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Reads one answer.
    pub fn receive(&mut self) -> io::Result<Answer> {
        let mut answer = self.head()?;
        answer.body = self.payload(&answer)?;
        Ok(answer)
    }

    fn head(&mut self) -> io::Result<Answer> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| malformed(&status_line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Answer { status, body: Vec::new(), headers })
    }

    /// Reads the head of an answer whose body comes in parts: its status and content type.
    pub fn receive_head(&mut self) -> io::Result<(u16, Option<String>)> {
        let Answer { status, headers, .. } = self.head()?;
        let content_type = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        Ok((status, content_type.map(|(_, value)| value)))
    }

    /// Reads the next part of a body that comes in parts (RFC 9112 section 7.1).
    pub fn receive_chunk(&mut self) -> io::Result<String> {
        let line = self.line()?;
        let size = usize::from_str_radix(line.trim(), 16).map_err(|_| malformed(&line))?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        self.line()?;
        String::from_utf8(chunk).map_err(|_| malformed("a part that is not UTF-8"))
    }

    /// Sends one more byte, False when the server has answered or closed.
    pub fn send_one_byte_or_see_the_end(&mut self, byte: u8) -> bool {
        let pause = Duration::from_millis(1);
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(pause)).expect("a time-out is set");
        let goes_on = match stream.peek(&mut [0]) {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        };
        goes_on && stream.write_all(&[byte]).is_ok()
    }

    /// Waits until the server closes. True where it did so without another byte.
    pub fn is_closed_by_server(&mut self) -> bool {
        matches!(self.stream.fill_buf(), Ok(rest) if rest.is_empty())
    }

    fn payload(&mut self, answer: &Answer) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        if answer.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            loop {
                let line = self.line()?;
                let size = u64::from_str_radix(line.trim(), 16).map_err(|_| malformed(&line))?;
                (&mut self.stream).take(size).read_to_end(&mut body)?;
                self.line()?;
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        let length = answer.header("content-length").map_or(Ok(0), str::parse::<u64>);
        let length = length.map_err(|_| malformed("content-length"))?;
        (&mut self.stream).take(length).read_to_end(&mut body)?;
        if body.len() as u64 == length { Ok(body) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP: {line:?}"))
}
