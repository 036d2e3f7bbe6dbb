//! Running them.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::{Command, Page};
use crate::binary::Binary;
use crate::deadline::{PATIENCE, eventually};

/// How long a command may take, in seconds: it is one that a reader waits for.
const LIMIT_SECS: &str = "60";
/// How long one may go on beside the others, in seconds.
const SERVER_LIMIT_SECS: &str = "300";

/// What is different where a command runs, and where that is.
struct Place<'a> {
    page: &'a Page,
    folder: &'a Path,
}

/// A command that goes on. It ends, with all that it started, when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(group) = i32::try_from(self.0.id()) {
            // Fails only where it has ended already.
            let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
        }
        let _ = self.0.wait();
    }
}

impl Page {
    /// Runs all commands that are not excused, in `folder`. Panics with what was said when one fails, prints something else than
    /// the page says, or takes longer than a minute.
    pub fn run(&self, folder: &Path) {
        self.check_what_was_said();
        let place = Place { page: self, folder };
        let mut servers = Vec::new();
        for command in &self.commands {
            let text = place.rewritten(&command.text);
            let starts = |entries: &[(String, String)]| {
                entries
                    .iter()
                    .find(|(start, _)| command.text.starts_with(start))
                    .map(|(_, what)| what.clone())
            };
            if starts(&self.excuses).is_some() {
                continue;
            }
            match starts(&self.servers) {
                Some(until) => servers.push(place.serve(&text, &until, servers.len(), command)),
                None => place.run(&text, command),
            }
        }
    }

    /// Nothing may be said of what is not there.
    fn check_what_was_said(&self) {
        let path = &self.path;
        for (start, _) in self.excuses.iter().chain(&self.servers) {
            let is_there = self.commands.iter().any(|command| command.text.starts_with(start));
            assert!(is_there, "{path} has no command that begins with {start}");
        }
        let lines = |command: &Command| [command.text.clone(), command.prints.join("\n")].join("\n");
        let mut all = self.commands.iter().map(lines).collect::<Vec<_>>().join("\n");
        for (from, to) in &self.rewrites {
            assert!(all.contains(from), "{path} has no command with {from} in it");
            all = all.replace(from, to);
        }
    }
}

impl Place<'_> {
    fn rewritten(&self, text: &str) -> String {
        self.page.rewrites.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    }

    /// A bash that ends at the first failure, and in time, with our programs before those of the machine.
    fn bash(&self, text: &str, limit_secs: &str) -> process::Command {
        let mut command = process::Command::new("timeout");
        command.args(["--kill-after=5", limit_secs, "bash", "-c", &format!("set -euo pipefail\n{text}\n")]);
        command
            .current_dir(self.folder)
            .env_clear()
            .env("PATH", path_with(&programs()))
            .env("HOME", self.folder)
            .env("LANG", "C.UTF-8")
            .envs(self.page.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, text: &str, command: &Command) {
        let output = self.bash(text, LIMIT_SECS).output().expect("timeout and bash are installed");
        let said = String::from_utf8_lossy(&output.stdout);
        let at = format!("{}:{}: {text}", self.page.path, command.line);
        assert!(
            output.status.success(),
            "{at}\nended with {} and said\n{said}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        if command.prints.is_empty() {
            return;
        }
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let wanted: Vec<String> = command.prints.iter().map(|line| self.rewritten(line)).collect();
        let agree = lines.len() == wanted.len()
            && lines.iter().zip(&wanted).all(|(line, wanted)| is_like(line.trim_end(), wanted.trim_end()));
        assert!(agree, "{at}\nprinted\n{said}\nand the page says\n{}", wanted.join("\n"));
    }

    fn serve(&self, text: &str, until: &str, number: usize, command: &Command) -> Server {
        let log = self.folder.join(format!(".said-{number}"));
        let file = File::create(&log).expect("the folder is writable");
        let both = file.try_clone().expect("another handle");
        // A group of its own, so that it ends with all that it started.
        let child = self.bash(text, SERVER_LIMIT_SECS).stdout(file).stderr(both).process_group(0).spawn();
        let mut server = Server(child.expect("bash is installed"));
        eventually(PATIENCE, &format!("{}:{}: {text} says {until}", self.page.path, command.line), || {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let ended = server.0.try_wait().expect("our child");
            assert!(ended.is_none(), "{}:{}: {text}\nended and said\n{said}", self.page.path, command.line);
            said.contains(until).then_some(())
        });
        server
    }
}

/// Whether a line is as a page says, where `…` stands for anything.
fn is_like(line: &str, wanted: &str) -> bool {
    let Some((first, others)) = wanted.split_once('…') else { return line == wanted };
    let (middle, last) = others.rsplit_once('…').unwrap_or(("", others));
    let Some(mut rest) = line.strip_prefix(first).and_then(|rest| rest.strip_suffix(last)) else {
        return false;
    };
    for part in middle.split('…') {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    true
}

fn programs() -> PathBuf {
    Binary::Tracker.path().parent().expect("a file is in a folder").to_owned()
}

fn path_with(first: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = [first.to_owned()].into_iter().chain(env::split_paths(&path));
    env::join_paths(all).expect("no colon in a path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_dots_stand_for_anything_within_a_line() {
        for (line, wanted) in [
            ("a", "a"),
            ("abc", "a…c"),
            ("abc", "a…"),
            ("abc", "…c"),
            ("a1b2c", "a…b…c"),
            ("acc", "a…c"),
            ("", "…"),
        ] {
            assert!(is_like(line, wanted), "{line} {wanted}");
        }
        for (line, wanted) in [("ab", "a"), ("abc", "a…d"), ("abcd", "a…c"), ("xa", "a…"), ("a", "b")] {
            assert!(!is_like(line, wanted), "{line} {wanted}");
        }
    }
}
