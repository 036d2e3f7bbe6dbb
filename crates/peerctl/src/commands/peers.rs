use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli::PeersCommand;
use crate::failure::Failure;
use crate::output::{GOOD, NAME, note, printable, say, say_json};
use crate::tracker::Holder;

pub(super) fn run(command: &PeersCommand) -> Result<(), Failure> {
    let tracker = command.tracker.tracker(None)?;
    let holders = tracker.peers(&command.file, command.hash.as_deref(), command.limit.into())?;
    if command.json {
        return say_json(&holders);
    }
    let now_secs = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for holder in &holders.peers {
        say(line(holder, now_secs))?;
    }
    note(format_args!("{} of {} peers", holders.peers.len(), holders.total));
    Ok(())
}

/// Address, id, hash and last sign of life of a peer, with blanks between.
fn line(holder: &Holder, now_secs: u64) -> String {
    let ip = printable(&holder.ip);
    let address = match holder.port {
        Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
        Some(port) => format!("{ip}:{port}"),
        None => ip.into_owned(),
    };
    let id = holder.id.as_deref().map_or("-".into(), printable);
    let seen = match (holder.online, holder.last_seen) {
        (Some(true), _) => format!("{GOOD}online{GOOD:#}"),
        (_, Some(secs)) => format!("{} s ago", now_secs.saturating_sub(secs)),
        (_, None) => "-".to_owned(),
    };
    format!("{NAME}{address}{NAME:#} {id} {} {seen}", printable(&holder.hash))
}
