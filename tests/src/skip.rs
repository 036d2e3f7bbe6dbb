//! Tests that the machine cannot run: they say so, loudly, and pass.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// A file that gets a line for every skipped test, since test runners hide the output of tests that pass.
const FILE_VARIABLE: &str = "BLACK_BOX_SKIPS";

/// Says that a test did not run, and why: on stderr, and in the file that `BLACK_BOX_SKIPS` names.
#[expect(clippy::print_stderr, reason = "this is the message's purpose")]
pub fn skipped(needs: &str, because: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED: needs {needs} ({}: {because})", thread.name().unwrap_or("a test"));
    eprintln!("{line}");
    if let Some(path) = env::var_os(FILE_VARIABLE) {
        let mut file =
            OpenOptions::new().create(true).append(true).open(path).expect("BLACK_BOX_SKIPS opens");
        writeln!(file, "{line}").expect("BLACK_BOX_SKIPS is writable");
    }
}
