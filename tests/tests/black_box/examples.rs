//! The clients of examples/ with the real services and with each other: over loopback, and through NATs.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::{Lab, SERVER};
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

const NAME: &str = "site/ä b.txt";
const CONTENT: &str = "hello through a NAT\n";

/// In which language.
#[derive(Clone, Copy, Debug)]
enum Example {
    Python,
    Node,
    Rust,
}

const ALL: [Example; 3] = [Example::Python, Example::Node, Example::Rust];

impl Example {
    fn command(self, services: &Process, words: &[&str]) -> Command {
        let examples = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples"));
        let mut command = match self {
            Self::Python => {
                let mut command = Command::new("python3");
                command.arg(examples.join("python/peer.py"));
                command
            }
            Self::Node => {
                let mut command = Command::new("node");
                command.arg(examples.join("node/peer.mjs"));
                command
            }
            Self::Rust => {
                let path = Binary::Tracker.path().with_file_name("examples").join("peer");
                assert!(path.is_file(), "build first: cargo build -p peer-client --examples");
                Command::new(path)
            }
        };
        command
            .args(words)
            .env("TRACKER", format!("http://{}", services.address("tracker")))
            .env("MATCHMAKER", services.address("matchmaker").to_string())
            .stdin(Stdio::null());
        command
    }

    fn get(self, services: &Process, words: &[&str]) -> Output {
        let words = [&["get"], words].concat();
        self.command(services, &words).output().expect("the example starts")
    }
}

/// A peer that shares a file. Killed with the test where it has not been stopped.
struct Sharer {
    child: Child,
    /// Where it says that the world sees it.
    at: SocketAddr,
    file: tempfile::NamedTempFile,
}

impl Sharer {
    fn start(example: Example, services: &Process) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), CONTENT).expect("a file");
        let path = file.path().to_str().expect("UTF-8");
        let mut child = example
            .command(services, &["share", NAME, path])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("it speaks");
        let at = line.trim_end().strip_prefix(&format!("sharing {NAME} at ")).map(str::parse);
        let at = at.unwrap_or_else(|| panic!("{example:?} says {line:?}")).expect("an address");
        Self { child, at, file }
    }

    /// Ends it as an operator would; it has to end well.
    fn stop(mut self) {
        let id = i32::try_from(self.child.id()).expect("process ids are small");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("the signal is sent");
        let status = eventually(PATIENCE, "the example's end", || self.child.try_wait().expect("our child"));
        assert!(status.success(), "{status}");
        let mut rest = String::new();
        self.child.stdout.as_mut().expect("piped").read_to_string(&mut rest).expect("UTF-8");
        assert_eq!(rest, "", "{}", self.file.path().display());
    }
}

impl Drop for Sharer {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[track_caller]
fn assert_got(output: &Output, what: &str) {
    assert!(output.status.success(), "{what}: {output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), CONTENT, "{what}");
}

#[track_caller]
fn assert_failed(output: &Output, words: &str) {
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(words) && !said.contains("Traceback") && !said.contains("    at "), "{said}");
}

#[test]
fn each_example_gives_a_file_to_each_other_and_leaves_nothing_behind() {
    let services = Launch::new(Binary::Standalone).start();
    let tracker = black_box::tracker::Tracker::over(services, None).when_ready();
    let services = &tracker.process;
    for from in ALL {
        let sharer = Sharer::start(from, services);
        assert_eq!(tracker.peers(NAME), ["127.0.0.1"], "{from:?}");
        let at = sharer.at.to_string();
        for to in ALL {
            assert_got(&to.get(services, &[NAME, &at]), &format!("from {from:?} to {to:?}"));
            assert_failed(&to.get(services, &["site/other", &at]), "does not give site/other");
        }
        sharer.stop();
        assert_eq!(tracker.peers(NAME), Vec::<String>::new(), "{from:?} withdraws its file");
        for to in ALL {
            let words = if matches!(to, Example::Rust) { "" } else { "not_found" };
            assert_failed(&to.get(services, &[NAME, &at]), words);
            assert_failed(&to.get(services, &[NAME]), &format!("nobody else has {NAME}"));
        }
    }
}

#[test]
fn the_examples_find_each_other_by_the_tracker_and_get_through_their_routers() {
    let Some(lab) = Lab::open() else { return };
    let listen = SocketAddr::from((SERVER, 0)).to_string();
    let launch = Launch::new(Binary::Standalone)
        .set("TRACKER_LISTEN", &listen)
        .set("MATCHMAKER_LISTEN", &listen)
        .set("TRUSTED_PROXIES", "none");
    let services = lab.server().run(|| launch.start());
    for (from, to) in [
        (Example::Python, Example::Node),
        (Example::Node, Example::Rust),
        (Example::Rust, Example::Python),
        (Example::Node, Example::Python),
    ] {
        let [giver, getter] = [lab.household(RouterKind::HomeRouter), lab.household(RouterKind::HomeRouter)];
        let sharer = giver.run(0, || Sharer::start(from, &services));
        assert_eq!(sharer.at.ip(), giver.public, "{from:?}");
        let output = getter.run(0, || to.get(&services, &[NAME]));
        assert_got(&output, &format!("from {from:?} to {to:?}"));
        giver.run(0, || sharer.stop());
        let none = json!({"filename": NAME, "peers": []});
        let target = format!("/peers?filename={}", black_box::tracker::escape(NAME));
        let answer = getter.send(services.address("tracker"), &black_box::http::Request::get(target));
        answer.assert_is(200, &none);
    }
}
