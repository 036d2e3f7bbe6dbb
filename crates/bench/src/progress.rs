//! A bar on standard error while something runs. It hides itself where standard error is no terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar, removed from the screen when it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar that fills while `length` passes.
    pub(crate) fn of_time(what: &str, length: Duration) -> Self {
        Self::new(
            what,
            length.as_millis().try_into().unwrap_or(u64::MAX),
            "{msg:<44} [{bar:30}] {percent:>3} %",
        )
    }

    /// A bar that fills until `count` are done.
    pub(crate) fn of_count(what: &str, count: u64) -> Self {
        Self::new(what, count, "{msg:<44} [{bar:30}] {human_pos}/{human_len}, {eta} left")
    }

    fn new(what: &str, length: u64, template: &str) -> Self {
        let bar = ProgressBar::new(length).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// So far: milliseconds or things done, whichever the bar counts.
    pub(crate) fn at(&self, position: u64) {
        self.bar.set_position(position);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
