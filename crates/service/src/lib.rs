//! What every process of ours needs and none of the protocols knows of: settings, telemetry, signals, sockets
//! bound the way a server wants them, exit codes and the admin listener.
//!
//! A `main` is an ordered script over this crate: flags, settings, telemetry, bind, run, drain. It imports no
//! crate of ours.

pub mod admin;
mod exit;
mod exposition;
mod flags;
mod listen;
pub mod settings;
mod signals;
pub mod telemetry;

pub use exit::{Failure, exit_code};
pub use flags::{Flags, StandaloneFlags, parse as parse_flags};
pub use listen::{ListenAddrs, bind_tcp, bind_udp};
pub use signals::shutdown_on_signal;
pub use tokio_util::sync::CancellationToken as Shutdown;
