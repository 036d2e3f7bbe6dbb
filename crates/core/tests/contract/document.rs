use std::fs;
use std::path::PathBuf;

/// The section that the samples are in goes from here to the end.
const BEGIN: &str = "<!-- Written by a test: UPDATE_PROTOCOL=1 cargo test -p peer-core -->\n";

/// docs/PROTOCOL.md.
pub(crate) struct Document {
    path: PathBuf,
    text: String,
}

/// One datagram as the document has it.
pub(crate) struct Shown {
    pub(crate) title: String,
    pub(crate) json: Option<String>,
    pub(crate) bytes: Vec<u8>,
}

impl Document {
    pub(crate) fn read() -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/PROTOCOL.md");
        let text = fs::read_to_string(&path).expect("the document is there");
        Self { path, text }
    }

    pub(crate) fn section(&self) -> &str {
        self.text.split_once(BEGIN).expect("the document has the section").1
    }

    pub(crate) fn replace(&mut self, section: &str) {
        let (before, _) = self.text.split_once(BEGIN).expect("the document has the section");
        self.text = format!("{before}{BEGIN}{section}");
        fs::write(&self.path, &self.text).expect("the document can be written");
    }

    /// What a reader finds: a title in bold, a block of JSON for what is JSON, a block of bytes.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let mut shown: Vec<Shown> = Vec::new();
        let mut block = None;
        for line in self.section().lines() {
            match (block, line) {
                (None, "```json") => block = Some("json"),
                (None, "```hex") => block = Some("hex"),
                (Some(_), "```") => block = None,
                (None, line) => {
                    if let Some((title, _)) = line.strip_prefix("**").and_then(|rest| rest.split_once("**")) {
                        shown.push(Shown { title: title.to_owned(), json: None, bytes: Vec::new() });
                    }
                }
                (Some("json"), line) => shown.last_mut().unwrap().json = Some(line.to_owned()),
                (Some(_), line) => {
                    let bytes = line.split(' ').map(|digits| u8::from_str_radix(digits, 16).unwrap());
                    shown.last_mut().unwrap().bytes.extend(bytes);
                }
            }
        }
        shown
    }
}
