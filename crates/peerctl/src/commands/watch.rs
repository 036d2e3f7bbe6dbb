use std::io::{self, IsTerminal as _};

use serde_json::json;

use crate::cli::WatchCommand;
use crate::failure::Failure;
use crate::output::{live_line, say, say_json};
use crate::tracker::{Stats, StatsEvent, TrackerError};

pub(super) fn run(command: &WatchCommand) -> Result<(), Failure> {
    let tracker = command.tracker.tracker(None)?;
    let live = io::stdout().is_terminal() && !command.json;
    let bar = live_line();
    let mut left = command.count;
    for event in tracker.watch()? {
        let event = event?;
        if live {
            bar.set_message(text(event));
        } else if command.json {
            match event {
                StatsEvent::Stats(stats) => say_json(&stats)?,
                StatsEvent::Unavailable => say_json(&json!({"unavailable": true}))?,
            }
        } else {
            say(text(event))?;
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            if live {
                bar.finish_and_clear();
                say(text(event))?;
            }
            return Ok(());
        }
    }
    Err(TrackerError::Stream("has ended".to_owned()).into())
}

fn text(event: StatsEvent) -> String {
    match event {
        StatsEvent::Stats(Stats { peers, files, mappings }) => {
            format!("{peers} peers, {files} files, {mappings} mappings")
        }
        StatsEvent::Unavailable => "the tracker's store is not there".to_owned(),
    }
}
