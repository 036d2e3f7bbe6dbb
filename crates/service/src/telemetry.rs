//! The log: structured lines on standard output, as text or JSON. docs/LOGGING.md is its contract.
//!
//! Lines are written by a thread of their own from a bounded queue. When a slow reader of our output fills it,
//! lines are lost and the service goes on.

mod addresses;
mod format;
mod request_id;
mod traces;

use std::io::IsTerminal as _;
use std::str::FromStr;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{Format, JsonFields};

pub use addresses::shown;
pub use request_id::{RequestId, X_REQUEST_ID};
pub use traces::{Served, TraceSettings, Traces};

use crate::Failure;
use crate::settings::catalogue::{LOG_ADDRESSES, LOG_FORMAT, RUST_LOG};
use crate::settings::{BadSetting, Settings};
use addresses::Addresses;
use format::WithRequestId;

/// What libraries would say at these levels is of no use to an operator, or, in the case of a line for each request
/// that is no HTTP, a way for strangers to fill a disk. `RUST_LOG` may name the same modules and then wins.
const QUIET_LIBRARIES: &str = "actix_http=off,actix_server=warn,fjall=warn,lsm_tree=warn";

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LogFormat {
    Text,
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("text or json"),
        }
    }
}

/// Keeps the log going; the last lines are written when it is dropped.
#[must_use = "the log ends when this is dropped"]
pub struct Telemetry {
    _writer: WorkerGuard,
}

/// Starts the log as `LOG_FORMAT`, `LOG_ADDRESSES` and `RUST_LOG` say. Once a process.
pub fn init(settings: &Settings) -> Result<Telemetry, Failure> {
    let format: LogFormat = settings.required(&LOG_FORMAT)?;
    let addresses: Addresses = settings.required(&LOG_ADDRESSES)?;
    let filter = filter(settings)?;
    addresses.rule();
    let (writer, guard) = tracing_appender::non_blocking(std::io::stdout());
    let builder = SubscriberBuilder::default().with_env_filter(filter).with_writer(writer);
    let started = match format {
        LogFormat::Text => {
            let colours = std::io::stdout().is_terminal();
            let format = Format::default().with_ansi(colours);
            builder.with_ansi(colours).event_format(WithRequestId::in_text(format)).try_init()
        }
        LogFormat::Json => {
            let format =
                Format::default().json().flatten_event(true).with_current_span(false).with_span_list(false);
            builder.fmt_fields(JsonFields::new()).event_format(WithRequestId::in_json(format)).try_init()
        }
    };
    started.map_err(|error| Failure::run("log", error))?;
    Ok(Telemetry { _writer: guard })
}

fn filter(settings: &Settings) -> Result<EnvFilter, BadSetting> {
    let directives: String = settings.required(&RUST_LOG)?;
    EnvFilter::builder()
        .parse(format!("{QUIET_LIBRARIES},{directives}"))
        .map_err(|error| settings.refuse(&RUST_LOG, error.to_string()))
}
