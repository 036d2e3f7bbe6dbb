//! A collector: takes OTLP over HTTP (opentelemetry-proto, `ExportTraceServiceRequest`) and keeps what it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A span as it was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: u64,
    pub(crate) trace_id: String,
    pub(crate) parent_id: String,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) attributes: BTreeMap<String, String>,
}

/// It listens until it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<Span>>>,
    stop: TcpListener,
}

impl Collector {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), listener.try_clone().unwrap());
        let spans = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&spans);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let sink = Arc::clone(&sink);
                thread::spawn(move || serve(stream, &sink));
            }
        });
        Self { address, spans, stop }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // Ends what waits in accept.
        let _ = nix::sys::socket::shutdown(
            std::os::fd::AsRawFd::as_raw_fd(&self.stop),
            nix::sys::socket::Shutdown::Both,
        );
    }
}

/// Answers one request after the other.
fn serve(stream: TcpStream, spans: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        assert!(head.starts_with("post /v1/traces http/1.1\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-protobuf\r\n"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        spans.lock().unwrap().extend(spans_of(&body));
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n",
            )
            .unwrap();
    }
}

/// A field of a message: its number, and what it holds.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message (protobuf, "Encoding").
fn fields(mut message: &[u8]) -> Vec<(u64, Value<'_>)> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Value::Number(varint(&mut message)),
            1 => Value::Number(u64::from_le_bytes(take(&mut message, 8).try_into().unwrap())),
            2 => {
                let length = usize::try_from(varint(&mut message)).unwrap();
                Value::Bytes(take(&mut message, length))
            }
            5 => Value::Number(u32::from_le_bytes(take(&mut message, 4).try_into().unwrap()).into()),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = message.split_at(length);
    *message = rest;
    taken
}

fn messages(message: &[u8], number: u64) -> impl Iterator<Item = &[u8]> {
    fields(message).into_iter().filter_map(move |field| match field {
        (found, Value::Bytes(bytes)) if found == number => Some(bytes),
        _ => None,
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `KeyValue`: a key, and an `AnyValue` that is a text (1) or a number (3).
fn attribute(message: &[u8]) -> (String, String) {
    let key = messages(message, 1).next().map(text).unwrap();
    let value = messages(message, 2).next().unwrap();
    let value = fields(value).into_iter().next().map(|field| match field {
        (1, Value::Bytes(bytes)) => text(bytes),
        (_, Value::Number(number)) => number.to_string(),
        (number, Value::Bytes(_)) => format!("field {number}"),
    });
    (key, value.unwrap_or_default())
}

/// `ExportTraceServiceRequest`: `ResourceSpans` (1), with a `Resource` (1) and `ScopeSpans` (2), with `Span`s (2).
fn spans_of(request: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for of_resource in messages(request, 1) {
        let resource: BTreeMap<String, String> = messages(of_resource, 1)
            .flat_map(|resource| messages(resource, 1).map(attribute).collect::<Vec<_>>())
            .collect();
        for of_scope in messages(of_resource, 2) {
            for message in messages(of_scope, 2) {
                spans.push(span(message, resource.get("service.name").cloned().unwrap_or_default()));
            }
        }
    }
    spans
}

fn span(message: &[u8], service: String) -> Span {
    let mut span =
        Span { service, attributes: messages(message, 9).map(attribute).collect(), ..Span::default() };
    for field in fields(message) {
        match field {
            (1, Value::Bytes(id)) => span.trace_id = hex(id),
            (4, Value::Bytes(id)) => span.parent_id = hex(id),
            (5, Value::Bytes(name)) => span.name = text(name),
            (6, Value::Number(kind)) => span.kind = kind,
            (7, Value::Number(time)) => span.start_ns = time,
            (8, Value::Number(time)) => span.end_ns = time,
            _ => {}
        }
    }
    span
}
