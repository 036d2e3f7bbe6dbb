use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked for; each kind ends the process with a code of its own.
#[derive(Debug)]
pub enum Failure {
    /// It was tried and did not work: exit code 1.
    Failed(anyhow::Error),
    /// What was asked for makes no sense: exit code 2, as clap has it for what it refuses itself.
    Usage(String),
    /// The other peer cannot be reached, or is not registered: exit code 3.
    Unreachable(anyhow::Error),
}

impl Failure {
    /// The code that the process ends with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // With all causes on one line.
            Self::Failed(error) | Self::Unreachable(error) => write!(f, "{error:#}"),
            Self::Usage(text) => f.write_str(text),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
