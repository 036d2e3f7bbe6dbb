//! The commands in the documentation, run as they stand there.
//!
//! A [`Page`] has the commands of its console blocks, in order:
//!
//! * fences marked `sh`: each line is a command, with what belongs to it (`\` at the end, an open quote, a here-document).
//!   Lines of comment right after a command are what it prints; those before a command, or after an empty line, are not;
//! * fences marked `console`: commands begin with `$ `, and the lines after one are what it prints;
//! * blocks that are indented by four spaces or more after an empty line: as `sh`, without output.
//!
//! Other fences hold no commands. What a command prints is compared where the page says it; an `…` there stands for anything
//! within a line.
//!
//! A test of a page says of each command that it cannot run why that is ([`Page::excuse`]), which of them go on while the others
//! run ([`Page::serve`]), and what is different where it runs ([`Page::rewrite`], [`Page::set`]); the rest is run by
//! [`Page::run`], one after the other, each in a bash of its own in one folder. So a new command is run, or fails the test. What is said of
//! a command that is not there fails it too.
//!
//! ```no_run
//! use black_box::commands::{Page, tree};
//!
//! let tree = tree();
//! Page::read("docs/EXAMPLE.md")
//!     .rewrite("http://localhost:8000", "http://127.0.0.1:41234")
//!     .set("PEERCTL_TRACKER", "http://127.0.0.1:41234")
//!     .excuse("docker build", "the tests of the container do that")
//!     .serve("peerctl serve", "serving")
//!     .run(tree.path());
//! ```

mod read;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub use read::Command;

/// A page of the documentation, and what a test says of its commands.
#[derive(Debug)]
pub struct Page {
    path: String,
    commands: Vec<Command>,
    rewrites: Vec<(String, String)>,
    environment: Vec<(String, String)>,
    excuses: Vec<(String, String)>,
    servers: Vec<(String, String)>,
}

impl Page {
    /// Reads it, by its path in the repository.
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self {
            path: path.to_owned(),
            commands: read::commands(&text),
            rewrites: Vec::new(),
            environment: Vec::new(),
            excuses: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// Its commands.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// In each command and in what it is to print, `to` stands for `from`. Panics later where no command has it.
    #[must_use]
    pub fn rewrite(mut self, from: &str, to: &str) -> Self {
        self.rewrites.push((from.to_owned(), to.to_owned()));
        self
    }

    /// A variable in the environment of every command.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Commands that begin like this are not run, for this reason.
    #[must_use]
    pub fn excuse(mut self, start: &str, reason: &str) -> Self {
        assert!(!reason.is_empty(), "{start}: why is it not run?");
        self.excuses.push((start.to_owned(), reason.to_owned()));
        self
    }

    /// Only the commands that begin like this: another test has the others.
    #[must_use]
    pub fn only(mut self, start: &str) -> Self {
        self.commands.retain(|command| command.text.starts_with(start));
        assert!(!self.commands.is_empty(), "{} has no command that begins with {start}", self.path);
        self
    }

    /// The command that begins like this goes on until the end of the page. The next one is run when it has printed
    /// `until`.
    #[must_use]
    pub fn serve(mut self, start: &str, until: &str) -> Self {
        self.servers.push((start.to_owned(), until.to_owned()));
        self
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// A copy of the repository without what is built, for commands that change something in it.
pub fn tree() -> TempDir {
    let copy = tempfile::Builder::new().prefix("black-box-tree-").tempdir().expect("a temporary folder");
    copy_into(&root(), copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name() == "target" || entry.file_name() == ".git" {
            continue;
        }
        if path.is_dir() {
            fs::create_dir(&to).expect("a new folder");
            copy_into(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a copy");
        }
    }
}

/// Every page that may have commands: those at the root, all below docs, and those of the examples.
pub fn pages() -> Vec<String> {
    let mut pages = Vec::new();
    for (folder, deep) in [("", false), ("docs", true), ("examples", true)] {
        find_pages(folder, deep, &mut pages);
    }
    pages.sort();
    pages
}

fn find_pages(folder: &str, deep: bool, pages: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().into_string().expect("UTF-8");
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if Path::new(&path).extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        } else if deep && entry.path().is_dir() {
            find_pages(&path, deep, pages);
        }
    }
}
