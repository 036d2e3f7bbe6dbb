use std::process::ExitCode;

use crate::settings::BadSetting;

/// Why a process ends before its time. Supervisors and scripts tell bad settings, which no restart mends, from
/// everything else by the exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A flag that there is not; clap has said so already.
    #[error("{0}")]
    Usage(clap::Error),
    /// A setting that cannot be used.
    #[error(transparent)]
    Settings(#[from] BadSetting),
    /// The process could not start or could not go on.
    #[error("{0}")]
    Run(String),
}

impl Failure {
    /// A failure at run time: what was tried and what came of it.
    pub fn run(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Run(format!("{what}: {error}"))
    }
}

/// Bad usage or settings, as in BSD's `sysexits.h` (`EX_USAGE`).
const EXIT_SETTINGS: u8 = 64;
const EXIT_RUN: u8 = 1;

/// Says on standard error why a process failed and gives its exit code: 0, 64 for bad flags and settings, 1 for
/// the rest. Standard error and not the log, since the log may be what could not be set up.
pub fn exit_code(program: &str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Usage(usage)) => {
            // Help and version come this way too, to standard output and with code 0.
            let _ = usage.print();
            if usage.use_stderr() { ExitCode::from(EXIT_SETTINGS) } else { ExitCode::SUCCESS }
        }
        Err(failure) => {
            say(program, &failure);
            ExitCode::from(if matches!(failure, Failure::Settings(_)) { EXIT_SETTINGS } else { EXIT_RUN })
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last words of a process go to standard error")]
fn say(program: &str, failure: &Failure) {
    eprintln!("{program}: {failure}");
}
