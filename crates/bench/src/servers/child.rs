//! A child process that serves until its handle is dropped.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{LISTENING, Listening};

/// Lines of output that are kept to explain a failure.
const KEPT_LINES: usize = 20;
/// How often an exit is looked for.
const EXIT_POLL: Duration = Duration::from_millis(2);

/// A running server. Dropping it kills the process with its children and waits for its end, so that nothing is left
/// running and nothing writes to a directory that is about to be removed.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    name: String,
    child: Child,
    listening: UnboundedReceiver<Listening>,
    seen: Vec<Listening>,
    output: Arc<Mutex<VecDeque<String>>>,
}

impl ServerProcess {
    /// Starts a program. Its output is read all the time, so that it never waits for a reader.
    pub(crate) fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        let mut child = command
            // With what it forks, like Redis to rewrite its files, it is a group that can be ended as a whole.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let output = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, listening) = unbounded_channel();
        if let Some(stdout) = child.stdout.take() {
            follow(stdout, sender.clone(), Arc::clone(&output));
        }
        if let Some(stderr) = child.stderr.take() {
            follow(stderr, sender, Arc::clone(&output));
        }
        Ok(Self { name: name.to_owned(), child, listening, seen: Vec::new(), output })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the process says on which address it serves `service`.
    pub(crate) async fn listening(&mut self, service: &str, limit: Duration) -> anyhow::Result<SocketAddr> {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            if let Some(line) = self.seen.iter().find(|line| line.service == service) {
                return Ok(line.addr);
            }
            match tokio::time::timeout_at(deadline, self.listening.recv()).await {
                Ok(Some(line)) => self.seen.push(line),
                Ok(None) => {
                    anyhow::bail!("{} ended before it listened as {service}{}", self.name, self.last_words())
                }
                Err(_) => anyhow::bail!(
                    "{} does not listen as {service} after {limit:?}{}",
                    self.name,
                    self.last_words()
                ),
            }
        }
    }

    /// An error if the process has ended.
    pub(crate) fn check_running(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended, {status}{}", self.name, self.last_words()),
        }
    }

    /// Sends SIGTERM and waits for the end. Returns how it ended and how long that took.
    pub(crate) async fn terminate(mut self, limit: Duration) -> anyhow::Result<(ExitStatus, Duration)> {
        let asked = Instant::now();
        kill(Pid::from_raw(self.pid().try_into()?), Signal::SIGTERM)?;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, asked.elapsed()));
            }
            anyhow::ensure!(asked.elapsed() < limit, "{} still runs {limit:?} after SIGTERM", self.name);
            tokio::time::sleep(EXIT_POLL).await;
        }
    }

    /// The end of what the process printed, to put behind an error message.
    pub(crate) fn last_words(&self) -> String {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if output.is_empty() {
            return String::new();
        }
        let lines: Vec<&str> = output.iter().map(String::as_str).collect();
        format!("; its last output:\n{}", lines.join("\n"))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Once it was waited for, its number may be that of another.
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), self.pid().try_into()) {
            _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
            _ = self.child.wait();
        }
    }
}

/// Reads a pipe to its end on a thread of its own, which ends with the process.
fn follow(
    pipe: impl Read + Send + 'static,
    listening: UnboundedSender<Listening>,
    output: Arc<Mutex<VecDeque<String>>>,
) {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if let Some(found) = listening_line(&line) {
                // Nobody may be waiting any more.
                _ = listening.send(found);
            }
            let mut kept = output.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    });
}

fn listening_line(line: &str) -> Option<Listening> {
    serde_json::from_str(line).ok().filter(|line: &Listening| line.message == LISTENING)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> ServerProcess {
        ServerProcess::start("sh", Command::new("sh").args(["-c", script])).unwrap()
    }

    #[test]
    fn a_line_that_names_an_address_is_told_from_other_lines() {
        let line = r#"{"timestamp":"t","level":"INFO","message":"listening","service":"tracker","addr":"127.0.0.1:43567"}"#;
        let found = listening_line(line).unwrap();
        assert_eq!((found.service.as_str(), found.addr.port()), ("tracker", 43567));
        assert_eq!(listening_line(r#"{"message":"stopping"}"#), None);
        assert_eq!(listening_line("listening on 127.0.0.1:8000"), None);
    }

    #[tokio::test]
    async fn the_address_of_each_service_is_found_in_any_order() {
        let mut process = shell(concat!(
            r#"echo '{"message":"listening","service":"a","addr":"127.0.0.1:1"}';"#,
            r#"echo '{"message":"listening","service":"b","addr":"127.0.0.1:2"}'; exec sleep 60"#,
        ));
        assert_eq!(process.listening("b", LIMIT).await.unwrap().port(), 2);
        assert_eq!(process.listening("a", LIMIT).await.unwrap().port(), 1);
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_its_last_words() {
        let mut process = shell("echo the reason >&2; exit 64");
        let error = process.listening("a", LIMIT).await.unwrap_err().to_string();
        assert!(error.contains("the reason"), "{error}");
    }

    #[tokio::test]
    async fn a_process_ends_by_sigterm_and_its_exit_is_seen() {
        let mut process = shell(concat!(
            r#"trap 'exit 7' TERM; echo '{"message":"listening","service":"a","addr":"127.0.0.1:1"}';"#,
            "while :; do sleep 0.01; done",
        ));
        process.listening("a", LIMIT).await.unwrap();
        process.check_running().unwrap();
        let (status, _) = process.terminate(LIMIT).await.unwrap();
        assert_eq!(status.code(), Some(7));
    }

    #[tokio::test]
    async fn a_dropped_process_is_gone_with_its_children() {
        let mut process = shell(concat!(
            "sleep 60 & ",
            r#"echo "{\"message\":\"listening\",\"service\":\"$!\",\"addr\":\"127.0.0.1:1\"}"; wait"#,
        ));
        let said = tokio::time::timeout(LIMIT, process.listening.recv()).await.unwrap().unwrap();
        let parent = Pid::from_raw(process.pid().try_into().unwrap());
        let child = Pid::from_raw(said.service.parse().unwrap());
        kill(parent, None).unwrap();
        kill(child, None).unwrap();
        drop(process);
        assert!(kill(parent, None).is_err());
        // Whoever adopted the child may take a moment to notice that it is dead.
        let deadline = Instant::now() + LIMIT;
        while std::fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        {
            assert!(Instant::now() < deadline, "the child still runs");
            tokio::task::yield_now().await;
        }
    }
}
