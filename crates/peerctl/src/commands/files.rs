use peer_core::limits::FILES_MAX;

use crate::cli::FilesCommand;
use crate::failure::Failure;
use crate::output::{printable, say, say_json};

pub(super) fn run(command: &FilesCommand) -> Result<(), Failure> {
    let tracker = command.tracker.tracker(None)?;
    let mut cursor = None;
    loop {
        let page = tracker.files(&command.prefix, cursor.as_deref(), FILES_MAX)?;
        for file in &page.files {
            if command.json {
                say_json(file)?;
            } else {
                say(format_args!("{:>8} {}", file.peers, printable(&file.filename)))?;
            }
        }
        // A cursor that does not move would be a listing without end.
        if page.next.is_none() || page.next == cursor {
            return Ok(());
        }
        cursor = page.next;
    }
}
