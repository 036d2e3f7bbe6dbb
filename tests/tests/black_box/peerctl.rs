//! The command line of a peer, against the real services.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use black_box::binary::Binary;
use black_box::process::{Launch, Process};
use serde_json::Value;

const FILES: usize = 200;
const FILE_BYTES: usize = 250_000;
/// What says that the peer cannot be reached.
const UNREACHABLE: i32 = 3;

/// Ended with the test, also where it fails.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A peer on this host, in a directory of its own.
pub(crate) struct Peer<'a> {
    services: &'a Process,
    pub(crate) home: tempfile::TempDir,
}

impl<'a> Peer<'a> {
    pub(crate) fn new(services: &'a Process) -> Self {
        Self { services, home: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(Binary::Peerctl.path());
        command
            .args(words)
            .env_clear()
            .env("PEERCTL_TRACKER", format!("http://{}", self.services.address("tracker")))
            .env("PEERCTL_MATCHMAKER", self.services.address("matchmaker").to_string())
            .current_dir(self.home.path());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("peerctl can be started")
    }

    /// Runs it to its end, which has to be good; gives what it printed.
    pub(crate) fn prints(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Starts to serve with `peer.key`, and is there for others.
    pub(crate) fn serve(&self, site: &str) -> Running {
        let mut serving = self.command(&["serve", site, "--key", "peer.key", "--listen", "127.0.0.1:0"]);
        let mut serving = Running(serving.stdout(Stdio::piped()).spawn().expect("peerctl can be started"));
        let said = BufReader::new(serving.0.stdout.take().expect("a pipe"));
        // It is there when it says at which address.
        assert!(said.lines().map_while(Result::ok).any(|line| line.starts_with("address ")));
        serving
    }
}

fn write_site(directory: &Path) {
    for number in 0..FILES {
        let folder = directory.join(format!("part-{}", number % 7));
        fs::create_dir_all(&folder).expect("a folder");
        // No two files and no two places in one are alike.
        let bytes: Vec<u8> = (0..FILE_BYTES)
            .map(|place| ((place * 31 + number * 7 + place / 251) % 256).to_le_bytes()[0])
            .collect();
        fs::write(folder.join(format!("{number:03}.bin")), bytes).expect("a file");
    }
}

fn files_of(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for folder in fs::read_dir(directory).expect("a directory") {
        for file in fs::read_dir(folder.expect("an entry").path()).expect("a folder") {
            let path = file.expect("an entry").path();
            let name = path.strip_prefix(directory).expect("below it").to_string_lossy().into_owned();
            files.push((name, fs::read(&path).expect("a file")));
        }
    }
    files.sort();
    files
}

#[test]
fn a_site_is_published_found_and_fetched_with_the_right_hashes() {
    let services = Launch::new(Binary::Standalone).start();
    let (owner, reader) = (Peer::new(&services), Peer::new(&services));
    write_site(&owner.home.path().join("site"));
    owner.prints(&["key", "peer.key"]);
    let id = owner.prints(&["key", "--show", "peer.key"]).trim().to_owned();
    owner.prints(&["publish", "site", "--key", "peer.key"]);

    let listed = reader.prints(&["files", "--prefix", "site/"]);
    assert_eq!(listed.lines().filter(|line| line.contains("site/part-")).count(), FILES, "{listed}");
    let peers: Value =
        serde_json::from_str(&reader.prints(&["peers", "site/part-0/000.bin", "--json"])).expect("JSON");
    assert!(peers.to_string().contains(&id), "{peers}");

    let _serving = owner.serve("site");
    let fetch = ["fetch", &id, "site", "--out", "copies", "--listen", "127.0.0.1:0"];
    reader.prints(&fetch);
    let copies = reader.home.path().join("copies/site");
    assert!(files_of(&copies) == files_of(&owner.home.path().join("site")), "every file as it was");

    // What was spoilt is fetched again, and nothing else is in the way.
    fs::write(copies.join("part-0/000.bin"), b"spoilt").expect("a file");
    reader.prints(&fetch);
    assert!(files_of(&copies) == files_of(&owner.home.path().join("site")));
}

#[test]
fn who_is_not_there_cannot_be_reached_and_the_exit_code_says_so() {
    let services = Launch::new(Binary::Standalone).start();
    let reader = Peer::new(&services);
    let nobody = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";
    let output = reader.run(&["fetch", nobody, "site", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(UNREACHABLE), "{output:?}");
    let output = reader.run(&["fetch", nobody]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn bash_completes_commands_and_switches_by_what_it_is_given() {
    let script = r#"
        source "$1"
        complete -p peerctl >/dev/null || exit 1
        try() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _peerctl peerctl "${@: -1}" "${@: -2:1}"
            echo "${COMPREPLY[@]}"
        }
        try peerctl fe
        try peerctl fetch --max
        try peerctl netcheck --l
        try peerctl completions z"#;
    let services = Launch::new(Binary::Standalone).start();
    let peer = Peer::new(&services);
    fs::write(peer.home.path().join("completions"), peer.prints(&["completions", "bash"])).expect("a file");
    let output = Command::new("bash")
        .args(["--norc", "-c", script, "bash", "completions"])
        .current_dir(peer.home.path())
        .output()
        .expect("bash");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "fetch\n--max-bytes\n--lifetime\nzsh\n",
        "{output:?}"
    );
}
