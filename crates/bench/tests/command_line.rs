//! The program as it is used: the limits served and measured, and everything gone afterwards.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step fails the test")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LIMIT: Duration = Duration::from_secs(20);

fn bench() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bench"))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A child that does not outlive its test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(command: &str) -> Self {
        let mut child = bench().arg(command).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let parsed: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = parsed.get("addr").unwrap().as_str().unwrap().to_owned();
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn the_http_limit_answers_every_request_right() {
    let server = Server::start("bare-http");
    let url = format!("http://{}", server.address);
    for mode in ["peers", "add", "mixed"] {
        let run = bench()
            .args(["http", "--url", &url, "--mode", mode, "--known-files", "1", "--connections", "3"])
            .args(["--duration", "200ms"])
            .output()
            .unwrap();
        assert!(run.status.success(), "{mode}: {}", text(&run));
        assert!(text(&run).contains("0 wrong answers, 0 without answer, 0 broken sockets"), "{}", text(&run));
    }
}

#[test]
fn a_wrong_answer_is_an_error_and_no_success() {
    let server = Server::start("bare-http");
    let url = format!("http://{}", server.address);
    // It answers for one file, whatever it is asked for.
    let run =
        bench().args(["http", "--url", &url, "--known-files", "2", "--duration", "100ms"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1), "{}", text(&run));
    assert!(text(&run).contains("first error    the body is not what it must be"), "{}", text(&run));
}

#[test]
fn the_udp_limit_answers_every_datagram() {
    let server = Server::start("udp-echo");
    let run = bench()
        .args(["udp", "--target", &server.address, "--mode", "echo", "--pairs", "40", "--duration", "200ms"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", text(&run));
    assert!(text(&run).contains("0 wrong answers, 0 without answer"), "{}", text(&run));
}

#[test]
fn an_open_loop_sends_as_many_as_it_was_asked_for() {
    let server = Server::start("udp-echo");
    let run = bench()
        .args(["udp", "--target", &server.address, "--mode", "echo", "--rate", "500", "--duration", "1s"])
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", text(&run));
    assert!(text(&run).contains("500 right in"), "{}", text(&run));
}

#[test]
fn a_server_that_is_not_there_is_said_to_be() {
    let port = {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        taken.local_addr().unwrap().port()
    };
    let url = format!("http://127.0.0.1:{port}");
    let run = bench().args(["http", "--url", &url, "--connections", "1"]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run).contains("Connection refused"), "{}", text(&run));
}

/// Processes whose parent is `pid`.
fn children(pid: u32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_ascii_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn wait_for<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} after {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_comparison_that_is_interrupted_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut comparison = bench()
        .args(["compare", "udp", "--rounds", "1", "--duration", "1m", "--registrations", "1000"])
        .env("TMPDIR", temporary.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = wait_for("server", || children(comparison.id()).first().copied());
    kill(Pid::from_raw(comparison.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(comparison.wait().unwrap().code(), Some(130));
    assert!(!Path::new(&format!("/proc/{server}")).exists(), "the server still runs");
    assert_eq!(std::fs::read_dir(temporary.path()).unwrap().count(), 0);
}
