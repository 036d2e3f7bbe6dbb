//! Every example of docs/PEERCTL.md is run, in its order and in one directory, and prints what stands there.
//!
//! A block ```` ```console ```` holds commands after `$ ` and what one sees of each. Blocks are typed into one shell, but for those of
//! "another terminal", whose command goes on running. `UPDATE_PEERCTL=1` writes what was seen into the page.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::deadline::PATIENCE;
use black_box::process::{Launch, Process};
use black_box::tracker::Tracker;

const CONSOLE: &str = "```console";
const CLOSING: &str = "```";
const ANOTHER_TERMINAL: &str = "```console another terminal";
const PROMPT: &str = "$ ";
/// What the shell says after each command.
const DONE: &str = "-- done --";
/// After as much silence a command that goes on running has said what it says at first, when the page is written anew.
const SILENCE: Duration = Duration::from_secs(3);

pub(crate) fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PEERCTL.md")
}

/// A shell with `peerctl` in its path.
struct Shell {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Shell {
    fn open(home: &Path, services: &Process) -> Self {
        let programs = Binary::Peerctl.path().parent().expect("a file is in a folder").to_owned();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
        let mut child = Command::new("bash")
            .arg("--norc")
            .env_clear()
            .env("PATH", path)
            .env("PEERCTL_TRACKER", format!("http://{}", services.address("tracker")))
            .env("PEERCTL_MATCHMAKER", services.address("matchmaker").to_string())
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash");
        let (tell, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let mut shell = Self { stdin: child.stdin.take(), child, lines };
        // As on a terminal, where one sees both.
        shell.say("exec 2>&1");
        shell
    }

    fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("open");
        writeln!(stdin, "{line}").expect("the shell reads");
    }

    /// What one sees of a command, which ends.
    fn run(&mut self, command: &str) -> Vec<String> {
        // What the command ended with is what the next one sees of it.
        self.say(&format!("{command}\n{{ seen=$?; echo '{DONE}'; (exit $seen); }}"));
        let mut seen = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line == DONE => return seen,
                Ok(line) => seen.push(line),
                Err(error) => panic!("{command}: {error} after {seen:?}"),
            }
        }
    }

    /// What one sees at first of a command that goes on running: as many lines as were seen before, where that is known.
    fn begin(&mut self, command: &str, known: Option<usize>) -> Vec<String> {
        self.say(&format!("exec {command}"));
        let mut seen = Vec::new();
        while known.is_none_or(|known| seen.len() < known) {
            match self.lines.recv_timeout(if known.is_some() { PATIENCE } else { SILENCE }) {
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout) if known.is_none() => break,
                Err(error) => panic!("{command}: {error} after {seen:?}"),
            }
        }
        seen
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.stdin = None;
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A text with all that differs from run to run made the same: numbers, ids, prefixes of units, and by which of its addresses a
/// peer on this host is reached.
pub(crate) fn without_chance(text: &str) -> String {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    let mut words = String::new();
    for piece in text.split_inclusive(|char| !is_word(char)) {
        let (word, rest) = piece.split_at(piece.find(|char| !is_word(char)).unwrap_or(piece.len()));
        match word {
            word if word.len() == 43 => words.push_str("ID"),
            word if word.starts_with(|char: char| char.is_ascii_digit()) && word.len() < 12 => {
                words.push('0');
            }
            "kB" | "MB" | "GB" => words.push('B'),
            word => words.push_str(word),
        }
        words.push_str(rest);
    }
    let by = ["in the local network", "at its public address", "at an address that it came from"];
    let words = by.into_iter().fold(words, |words, by| words.replace(by, "WHERE"));
    words.replace("0.0.0.0", "0").replace("0.0", "0")
}

#[track_caller]
fn assert_same(command: &str, seen: &[String], written: &[String]) {
    let [seen_, written_] =
        [seen, written].map(|lines| lines.iter().map(|line| without_chance(line)).collect::<Vec<_>>());
    assert!(
        seen_ == written_,
        "{command}\n\nseen:\n{}\n\nin docs/PEERCTL.md:\n{}\n\nUPDATE_PEERCTL=1 writes what was seen into the page",
        seen.join("\n"),
        written.join("\n")
    );
}

#[test]
fn the_examples_of_the_page_do_what_it_says() {
    let launch = Launch::new(Binary::Standalone).set("MATCHMAKER_ALT_PORT", "0");
    let tracker = Tracker::over(launch.start(), None).when_ready();
    let home = tempfile::tempdir().expect("a temporary directory");
    let update = std::env::var_os("UPDATE_PEERCTL").is_some();
    let text = fs::read_to_string(page()).expect("the page");
    let mut lines = text.lines().peekable();
    let mut shell = Shell::open(home.path(), &tracker.process);
    let mut others = Vec::new();
    let mut renewed: Vec<String> = Vec::new();
    let mut count = 0;
    while let Some(opening) = lines.next() {
        renewed.push(opening.to_owned());
        while opening.starts_with(CONSOLE)
            && let Some(line) = lines.next_if(|line| *line != CLOSING)
        {
            let command = line.strip_prefix(PROMPT).unwrap_or_else(|| panic!("no command: {line}"));
            let mut written = Vec::new();
            while let Some(line) = lines.next_if(|line| *line != CLOSING && !line.starts_with(PROMPT)) {
                written.push(line.to_owned());
            }
            let seen = if opening == ANOTHER_TERMINAL {
                let mut other = Shell::open(home.path(), &tracker.process);
                let seen = other.begin(command, (!update).then_some(written.len()));
                others.push(other);
                seen
            } else {
                shell.run(command)
            };
            if !update {
                assert_same(command, &seen, &written);
            }
            count += 1;
            renewed.push(line.to_owned());
            renewed.extend(seen);
        }
    }
    assert!(count > 20, "{count} examples");
    if update {
        fs::write(page(), renewed.join("\n") + "\n").expect("the page is written");
    }
}
