use std::net::SocketAddr;

use super::VERSION;
use crate::address_text::AddressText;

/// Writes one JSON object to the end of a buffer. Texts are written as they are: all that we send are of characters that
/// need no escape.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    /// Begins an object with its type and version.
    pub(super) fn new(out: &'a mut Vec<u8>, kind: &str) -> Self {
        let start = out.len();
        for part in [r#"{"type":""#, kind, r#"""#] {
            out.extend_from_slice(part.as_bytes());
        }
        let mut writer = Self { out, start };
        writer.number("v", u32::from(VERSION));
        writer
    }

    fn key(&mut self, key: &str) {
        for part in [",\"", key, "\":"] {
            self.out.extend_from_slice(part.as_bytes());
        }
    }

    pub(super) fn text(&mut self, key: &str, text: impl AsRef<[u8]>) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_ref());
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, key: &str, number: u32) {
        self.key(key);
        self.digits(number);
    }

    pub(super) fn truth(&mut self, key: &str, truth: bool) {
        self.key(key);
        self.out.extend_from_slice(if truth { b"true" } else { b"false" });
    }

    pub(super) fn addr(&mut self, key: &str, addr: SocketAddr) {
        self.key(key);
        self.pair(addr, None);
    }

    /// A list of addresses, each with a word behind it where there is one.
    pub(super) fn list<'w>(
        &mut self,
        key: &str,
        addrs: impl IntoIterator<Item = (SocketAddr, Option<&'w str>)>,
    ) {
        self.key(key);
        self.out.push(b'[');
        for (index, (addr, word)) in addrs.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            self.pair(addr, word);
        }
        self.out.push(b']');
    }

    fn pair(&mut self, addr: SocketAddr, word: Option<&str>) {
        self.out.extend_from_slice(b"[\"");
        AddressText::write(addr.ip().to_canonical(), self.out);
        self.out.extend_from_slice(b"\",");
        self.digits(u32::from(addr.port()));
        if let Some(word) = word {
            for part in [",\"", word, "\""] {
                self.out.extend_from_slice(part.as_bytes());
            }
        }
        self.out.push(b']');
    }

    fn digits(&mut self, number: u32) {
        // Ports above all. The standard library's formatting machinery takes ten times as long.
        const MOST: usize = 10;
        let (mut digits, mut rest, mut len) = ([b'0'; MOST], number, 0);
        for place in digits.iter_mut().rev() {
            *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            (rest, len) = (rest / 10, len + 1);
            if rest == 0 {
                break;
            }
        }
        self.out.extend_from_slice(digits.get(MOST - len..).unwrap_or_default());
    }

    /// Ends the object.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }

    /// Ends the object, after a `pad` that makes it at least `bytes` long.
    pub(super) fn end_padded(mut self, bytes: usize) {
        const AROUND: usize = r#","pad":""}"#.len();
        let missing = bytes.saturating_sub(self.out.len() - self.start + 1);
        if missing > 0 {
            self.text("pad", vec![b'0'; missing.saturating_sub(AROUND - 1)]);
        }
        self.end();
    }
}
