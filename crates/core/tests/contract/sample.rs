use std::fmt::Write as _;
use std::rc::Rc;

/// Bytes on a line of the document.
const LINE_BYTES: usize = 32;

/// Panics where a datagram is not read as the one that it belongs to.
type Check = Rc<dyn Fn(&[u8])>;

/// One datagram, and what it has to be read as.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) title: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) check: Check,
}

impl Sample {
    pub(crate) fn new(title: &str, bytes: impl Into<Vec<u8>>, check: impl Fn(&[u8]) + 'static) -> Self {
        Self { title: title.to_owned(), bytes: bytes.into(), check: Rc::new(check) }
    }

    pub(crate) fn to_markdown(&self) -> String {
        let mut text = format!("\n**{}**, {} bytes\n", self.title, self.bytes.len());
        if self.bytes.starts_with(b"{") {
            let json = String::from_utf8(self.bytes.clone()).unwrap();
            write!(text, "\n```json\n{json}\n```\n").unwrap();
        }
        text.push_str("\n```hex\n");
        for line in self.bytes.chunks(LINE_BYTES) {
            let digits: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{}", digits.join(" ")).unwrap();
        }
        text.push_str("```\n");
        text
    }
}
