use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked for, and what to try next. There is none without a hint.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    hint: Cow<'static, str>,
}

/// Each kind ends the process with a code of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It was tried and did not work: exit code 1.
    Failed,
    /// What was asked for makes no sense: exit code 2, as clap has it for what it refuses itself.
    Usage,
    /// The other peer cannot be reached, or is not registered: exit code 3.
    Unreachable,
}

impl Failure {
    /// It was tried and did not work: exit code 1.
    pub fn failed(error: impl Into<anyhow::Error>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Failed, error: error.into(), hint: hint.into() }
    }

    /// What was asked for makes no sense: exit code 2.
    pub fn usage(error: impl Into<anyhow::Error>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Usage, error: error.into(), hint: hint.into() }
    }

    /// The other peer, or who would lead to it, cannot be reached: exit code 3.
    pub fn unreachable(error: impl Into<anyhow::Error>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Unreachable, error: error.into(), hint: hint.into() }
    }

    /// What to try next.
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The code that the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unreachable => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With all causes on one line.
        write!(f, "{:#}", self.error)
    }
}

/// Makes a [`Failure`] of an error.
pub(crate) trait OrHint<T> {
    /// The value, or the error with what to try next: exit code 1.
    fn or_hint(self, hint: impl Into<Cow<'static, str>>) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrHint<T> for Result<T, E> {
    fn or_hint(self, hint: impl Into<Cow<'static, str>>) -> Result<T, Failure> {
        self.map_err(|error| Failure::failed(error, hint))
    }
}
