//! The container engine, by its own command line.

use std::env;
use std::fs::File;
use std::path::Path;
use std::process::{self, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::skip::skipped;

/// Whatever the tests make carries this label, with a name that tells the process that made it.
const OWNER_LABEL: &str = "black-box.owner";

/// Every name that is made here starts with this, and goes on with the id of the process.
const NAME_PREFIX: &str = "black-box-";

/// What a test says that it needs.
const NEEDS: &str = "a container engine";

/// Whether a container engine answers. Where none does, that is said loudly.
pub fn engine_answers() -> bool {
    match docker(&["version", "--format={{.Server.Version}}"]) {
        Ok(_) => true,
        Err(reason) => {
            skipped(NEEDS, &reason);
            false
        }
    }
}

/// Runs `docker` to its end and gives what it wrote to stdout. The error is what it wrote to stderr.
pub fn docker(words: &[&str]) -> Result<String, String> {
    output_of(Command::new("docker").args(words))
}

/// As [`docker`]. Panics where that fails.
#[track_caller]
pub(crate) fn must_docker(words: &[&str]) -> String {
    docker(words).unwrap_or_else(|error| panic!("docker {}: {error}", words.join(" ")))
}

/// Runs a command to its end and gives what it wrote to stdout, without the last line's end.
pub fn output_of(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if status.success() {
        Ok(stdout.trim_end().to_owned())
    } else {
        Err(format!("{status}: {} {}", stdout.trim_end(), stderr.trim_end()))
    }
}

/// A name that no other test uses.
pub fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{NAME_PREFIX}{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A file beside the running test, to lock against other test processes.
pub fn beside_the_test(name: &str) -> File {
    let test = env::current_exe().expect("the test knows its own file");
    File::create(test.with_file_name(name)).expect("the folder of the tests is writable")
}

/// The option of `docker` that marks a thing as ours, for [`sweep`].
pub(crate) fn owner_label() -> String {
    format!("{OWNER_LABEL}={}", unique_name())
}

/// What the engine knows about a thing of this kind.
#[track_caller]
pub(crate) fn inspect(kind: &str, id: &str) -> Value {
    let text = must_docker(&[kind, "inspect", id]);
    let mut list: Value = serde_json::from_str(&text).expect("docker inspect writes JSON");
    list[0].take()
}

/// Removes what was left by test processes that were killed: their own things, and those of their compose projects.
pub(crate) fn sweep() {
    for label in [OWNER_LABEL, "com.docker.compose.project"] {
        let filter = format!("label={label}");
        let value = format!("{{{{.Label \"{label}\"}}}}");
        for (list, name, remove) in [
            (["ps", "--all"].as_slice(), "{{.ID}}", ["rm", "--force", "--volumes"].as_slice()),
            (&["network", "ls"], "{{.ID}}", &["network", "rm"]),
            (&["volume", "ls"], "{{.Name}}", &["volume", "rm", "--force"]),
        ] {
            let format = format!("{name} {value}");
            let found = docker(&[list, &["--filter", &filter, "--format", &format]].concat());
            for (name, owner) in found.unwrap_or_default().lines().filter_map(|line| line.split_once(' ')) {
                if owner_is_gone(owner) {
                    let _ = docker(&[remove, &[name]].concat());
                }
            }
        }
    }
    let tags = docker(&["image", "ls", "--format={{.Repository}}:{{.Tag}}"]).unwrap_or_default();
    for tag in tags.lines().filter(|tag| tag.rsplit(':').next().is_some_and(owner_is_gone)) {
        remove_tag(tag);
    }
}

/// Takes a tag off an image. The image itself stays, as a part of the build's cache.
pub fn remove_tag(tag: &str) {
    let _ = docker(&["image", "rm", "--no-prune", tag]);
}

/// Whether this is a [`unique_name`] of a test process that has ended. False for whatever is not ours.
fn owner_is_gone(owner: &str) -> bool {
    let id = owner.strip_prefix(NAME_PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    id.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists())
}
