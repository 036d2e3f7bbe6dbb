use std::io::{self, IsTerminal as _};

use anyhow::anyhow;
use serde_json::json;

use crate::cli::WatchCommand;
use crate::failure::Failure;
use crate::output::{live_line, say};
use crate::tracker::{Stats, StatsEvent};

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
            say(match event {
                StatsEvent::Stats(stats) => serde_json::to_string(&stats)?,
                StatsEvent::Unavailable => json!({"unavailable": true}).to_string(),
            })?;
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
    Err(anyhow!("the tracker ended the stream").into())
}

fn text(event: StatsEvent) -> String {
    match event {
        StatsEvent::Stats(Stats { peers, files, mappings }) => {
            format!("{peers} peers, {files} files, {mappings} mappings")
        }
        StatsEvent::Unavailable => "the tracker's store is not there".to_owned(),
    }
}
