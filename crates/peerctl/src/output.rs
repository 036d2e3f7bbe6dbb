//! What a command says: results on stdout, everything else on stderr; colours and bars on a terminal only.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::failure::{Failure, OrHint as _};

/// How good news looks.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// How doubts look.
pub const DOUBT: Style = AnsiColor::Yellow.on_default();
/// How bad news looks.
pub const BAD: Style = AnsiColor::Red.on_default();
/// How names of things look.
pub const NAME: Style = Style::new().bold();

/// What to try where stdout takes nothing.
const NO_READER: &str =
    "who read the output has ended, or its disk is full; where that was meant, all is well";

/// How often a bar that waits moves.
const TICK: Duration = Duration::from_millis(120);

/// A line of the result. `anstream` drops the colours where stdout is no terminal or `NO_COLOR` is set. An error, such
/// as a reader that has gone, ends the command.
pub fn say(line: impl Display) -> Result<(), Failure> {
    writeln!(anstream::stdout(), "{line}").or_hint(NO_READER)
}

/// The result as a line of JSON.
pub(crate) fn say_json(value: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string(value).or_hint("leave out --json")?)
}

/// Bytes of the result as they are.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<(), Failure> {
    io::stdout().write_all(bytes).or_hint(NO_READER)
}

/// A line about what happens.
pub fn note(line: impl Display) {
    // Nobody is left to hear of it.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A line about what is doubtful.
pub fn warn(line: impl Display) {
    note(format_args!("{DOUBT}warning:{DOUBT:#} {line}"));
}

/// A text from another machine, with what could move a cursor or recolour a terminal written as escapes.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_unprintable) {
        text.chars()
            .flat_map(|char| {
                let escape = is_unprintable(char).then(|| char.escape_unicode());
                let plain = escape.is_none().then_some(char);
                escape.into_iter().flatten().chain(plain)
            })
            .collect()
    } else {
        text.into()
    }
}

/// Control characters, and those that turn the direction of writing (Unicode TR 9).
fn is_unprintable(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A bar of bytes on stderr, which is hidden where that is no terminal.
pub fn bytes_bar(total_bytes: u64) -> ProgressBar {
    bar(Some(total_bytes), "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}")
}

/// A bar of things on stderr, which is hidden where that is no terminal.
pub fn count_bar(total: usize) -> ProgressBar {
    bar(Some(total as u64), "{msg} [{bar:30}] {pos}/{len}")
}

/// A line on stderr that changes, which is hidden where that is no terminal.
pub fn live_line() -> ProgressBar {
    let line = bar(None, "{spinner} {msg}");
    line.enable_steady_tick(TICK);
    line
}

fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    let target =
        if io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(length, target).with_style(style.progress_chars("=> "))
}

/// A number of bytes for people, such as `50.0 MB`.
pub fn bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_says_cannot_move_the_cursor() {
        assert_eq!(printable("hello, Übung"), "hello, Übung");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(printable("\u{202e}txt.exe"), "\\u{202e}txt.exe");
    }
}
