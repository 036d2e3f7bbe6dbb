//! A program under test: how it is started, what it says, how it ends.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::Binary;
use crate::deadline::{PATIENCE, eventually};

/// How a program is to be started. It can be started again and again; its data directory stays the same.
#[derive(Clone, Debug)]
pub struct Launch {
    binary: Binary,
    home: Arc<TempDir>,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl Launch {
    /// Every listener on a free port of loopback, logs in JSON, an empty data directory of its own, and nothing of the
    /// environment of the tests but `PATH`.
    pub fn new(binary: Binary) -> Self {
        let home =
            Arc::new(tempfile::Builder::new().prefix("black-box-").tempdir().expect("a temporary folder"));
        let mut environment = BTreeMap::from([
            ("PATH".to_owned(), env::var("PATH").unwrap_or_default()),
            ("LOG_FORMAT".to_owned(), "json".to_owned()),
            ("DATA_DIR".to_owned(), home.path().join("data").display().to_string()),
        ]);
        for (setting, _) in binary.listeners() {
            environment.insert((*setting).to_owned(), "127.0.0.1:0".to_owned());
        }
        Self { binary, home, environment, arguments: Vec::new() }
    }

    /// With this variable in the environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Without this variable in the environment.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.environment.remove(name);
        self
    }

    /// With one more argument on the command line.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// The working directory of the program, which also holds its data.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts it and waits for nothing.
    pub fn spawn(&self) -> Process {
        let mut child = Command::new(self.binary.path())
            .args(&self.arguments)
            .env_clear()
            .envs(&self.environment)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        Process {
            stdout: Transcript::of(stdout),
            stderr: Transcript::of(stderr),
            child,
            launch: self.clone(),
        }
    }

    /// Starts it and waits until every listener has been announced. Panics with all that the program said when it ends
    /// before that, or takes longer than [`PATIENCE`].
    pub fn start(&self) -> Process {
        let mut process = self.spawn();
        for (setting, service) in self.binary.listeners() {
            let wanted = self.environment.get(*setting).map_or(1, |list| list.split(',').count());
            process.wait_for_listeners(service, wanted);
        }
        process
    }
}

/// The lines that a program has written so far.
#[derive(Debug)]
struct Transcript {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Transcript {
    fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                sink.lock().expect("no holder panics").push(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { lines, reader: Some(reader) }
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no holder panics").clone()
    }

    /// Only after the program has ended: the pipe closes with it.
    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

/// A running program. It is killed, and its end awaited, when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Transcript,
    stderr: Transcript,
    launch: Launch,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it was started, to start another like it.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// The address of the first listener that `service` announced. Panics when there is none.
    pub fn address(&self, service: &str) -> SocketAddr {
        *self
            .addresses(service)
            .first()
            .unwrap_or_else(|| panic!("no listener of {service}:\n{}", self.said()))
    }

    /// All addresses that `service` announced.
    pub fn addresses(&self, service: &str) -> Vec<SocketAddr> {
        let address = |text: &str| text.parse().expect("addr is an address");
        let events = self.events("listening").into_iter().filter(|event| event["service"] == service);
        let mut addresses: Vec<SocketAddr> =
            events.map(|event| address(event["addr"].as_str().unwrap_or_default())).collect();
        // The same as text.
        let said = format!("listening service=\"{service}\" addr=");
        addresses
            .extend(self.stdout.lines().iter().filter_map(|line| Some(address(line.split_once(&said)?.1))));
        addresses
    }

    /// Waits until `service` has announced `wanted` listeners. Panics when the program ends before that.
    pub fn wait_for_listeners(&mut self, service: &str, wanted: usize) {
        eventually(PATIENCE, &format!("{wanted} listeners of {service}"), || {
            let ended = self.child.try_wait().expect("the program is our child");
            let ready = self.addresses(service).len() >= wanted;
            assert!(ready || ended.is_none(), "ended with {ended:?} before it listened:\n{}", self.said());
            ready.then_some(())
        });
    }

    /// The JSON log lines with this message, so far.
    pub fn events(&self, message: &str) -> Vec<Value> {
        self.stdout
            .lines()
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|event| event["message"] == message)
            .collect()
    }

    /// What it wrote to stdout so far.
    pub fn stdout(&self) -> String {
        self.stdout.lines().join("\n")
    }

    /// What it wrote to stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lines().join("\n")
    }

    /// All that it said, for the message of a failing test.
    pub fn said(&self) -> String {
        format!("stdout:\n{}\nstderr:\n{}", self.stdout(), self.stderr())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).expect("process ids are small");
        signal::kill(Pid::from_raw(id), signal).expect("the signal is sent");
    }

    /// Ends it as a crash or a power cut would, and waits for that.
    pub fn kill9(&mut self) {
        self.child.kill().expect("the program is our child");
        self.child.wait().expect("the program is our child");
    }

    /// Waits for its end. Panics when it lasts longer than `limit`. Afterwards the output is complete.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let status = eventually(limit, "the program's end", || self.child.try_wait().expect("our child"));
        self.stdout.finish();
        self.stderr.finish();
        status
    }

    /// Panics unless it runs and no thread of it has panicked.
    pub fn assert_sound(&mut self) {
        let ended = self.child.try_wait().expect("the program is our child");
        assert!(ended.is_none(), "ended with {ended:?}:\n{}", self.said());
        assert!(!self.said().contains("panicked"), "a panic was reachable:\n{}", self.said());
    }
}

impl Drop for Process {
    #[expect(
        clippy::print_stderr,
        reason = "the message of a failing test should hold the program's own words"
    )]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{} said\n{}", self.launch.binary.name(), self.said());
        }
        // Fails only where the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
