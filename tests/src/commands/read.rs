//! Which commands a page has.

use std::process;

/// A command as it stands on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line of the page on which it begins, from 1.
    pub line: usize,
    /// As it is given to a shell, with line ends where it has several lines.
    pub text: String,
    /// The lines that the page says it prints; none where it says nothing.
    pub prints: Vec<String>,
}

/// What the lines of a block are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sh,
    Console,
    Indented,
    /// No commands.
    Other,
}

/// Lines of one block with their numbers.
struct Block<'a> {
    kind: Kind,
    lines: Vec<(usize, &'a str)>,
}

/// All commands of a page in Markdown, in order. Panics where a block that is not marked as one has a prompt.
pub(super) fn commands(page: &str) -> Vec<Command> {
    blocks(page).iter().flat_map(commands_of).collect()
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let (mut fence, mut after_empty, mut indented) = (None, true, false);
    for (number, line) in (1..).zip(page.lines()) {
        let bare = line.trim_start();
        if let Some(mark) = bare.strip_prefix("```") {
            fence = if fence.is_some() {
                None
            } else {
                let kind = match mark.split_whitespace().next() {
                    Some("sh" | "bash" | "shell") => Kind::Sh,
                    Some("console") => Kind::Console,
                    _ => Kind::Other,
                };
                blocks.push(Block { kind, lines: Vec::new() });
                Some(line.len() - bare.len())
            };
            (after_empty, indented) = (false, false);
            continue;
        }
        if let Some(indent) = fence {
            let line = line.get(indent..).unwrap_or_default();
            blocks.last_mut().expect("the fence began one").lines.push((number, line));
            continue;
        }
        let is_indented = line.starts_with("    ") && (after_empty || indented);
        if is_indented && !indented {
            blocks.push(Block { kind: Kind::Indented, lines: Vec::new() });
        }
        if is_indented {
            blocks.last_mut().expect("begun above").lines.push((number, bare));
        }
        indented = is_indented;
        after_empty = line.is_empty();
    }
    blocks
}

fn commands_of(block: &Block<'_>) -> Vec<Command> {
    let mut commands: Vec<Command> = Vec::new();
    // Whether a line that is no command would be what the last one prints.
    let (mut open, mut prints) = (false, false);
    for (number, line) in &block.lines {
        if open {
            let last = commands.last_mut().expect("an open one");
            last.text.push('\n');
            last.text.push_str(line);
            open = !is_whole(&last.text);
            continue;
        }
        let (text, printed) = match block.kind {
            Kind::Other => {
                assert!(!line.starts_with("$ "), "line {number}: a prompt in a block that is no `console`");
                continue;
            }
            Kind::Console => (line.strip_prefix("$ "), Some(*line)),
            Kind::Sh | Kind::Indented if line.is_empty() => (None, None),
            Kind::Sh | Kind::Indented => match line.strip_prefix('#') {
                None => (Some(*line), None),
                Some(comment) => (None, (block.kind == Kind::Sh && prints).then(|| comment.trim_start())),
            },
        };
        match (text, printed) {
            (Some(text), _) => {
                commands.push(Command { line: *number, text: text.to_owned(), prints: Vec::new() });
                open = !is_whole(text);
                prints = true;
            }
            (None, Some(printed)) => {
                let last = commands.last_mut().expect("a block begins with a command");
                last.prints.push(printed.to_owned());
            }
            (None, None) => prints = false,
        }
    }
    assert!(!open, "a command has no end: {:?}", commands.last());
    commands
}

/// Whether a shell would run it and not wait for another line.
fn is_whole(text: &str) -> bool {
    if text.ends_with('\\') {
        return false;
    }
    let checked = process::Command::new("bash").args(["-n", "-c", text]).output().expect("bash is installed");
    // A here-document without its end is taken, with a warning.
    checked.status.success() && checked.stderr.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: usize, text: &str, prints: &[&str]) -> Command {
        Command { line, text: text.to_owned(), prints: prints.iter().map(|it| (*it).to_owned()).collect() }
    }

    #[test]
    fn commands_are_found_with_all_that_belongs_to_them() {
        let page = "Text.\n\n```sh\n# first\necho 'a\nb'  # said\n# a\n# b\n\n# then\ncat <<END\nx\nEND\ncurl \\\n  -s x\n```\n\
                    \n    make all\n    make again\n\n* Item:\n\n      make listed\n\n  more of it\n";
        assert_eq!(
            commands(page),
            [
                command(5, "echo 'a\nb'  # said", &["a", "b"]),
                command(11, "cat <<END\nx\nEND", &[]),
                command(14, "curl \\\n  -s x", &[]),
                command(18, "make all", &[]),
                command(19, "make again", &[]),
                command(23, "make listed", &[]),
            ]
        );
    }

    #[test]
    fn a_console_has_prompts_and_what_is_printed() {
        let page =
            "```console\n$ echo a\na\n\n# b\n$ true\n```\n```json\n{\"$ \": 1}\n```\n```\nplain\n```\n";
        assert_eq!(commands(page), [command(2, "echo a", &["a", "", "# b"]), command(6, "true", &[])]);
    }

    #[test]
    #[should_panic(expected = "a prompt in a block")]
    fn a_prompt_elsewhere_is_a_command_that_would_be_missed() {
        commands("```\n$ rm -r x\n```\n");
    }

    #[test]
    #[should_panic(expected = "has no end")]
    fn a_command_without_an_end_is_none() {
        commands("```sh\necho 'a\n```\n");
    }
}
