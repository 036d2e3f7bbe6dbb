//! Every event of the sources is on the page, and the other way round.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The crates that run in a service.
const CRATES: [&str; 5] = ["service", "registry", "matchmaker", "tracker", "standalone"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Level, target, name and fields.
type Event = (String, String, String, BTreeSet<String>);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `registry::redis::link` for crates/registry/src/redis/link.rs.
fn target(name: &str, source: &Path, file: &Path) -> String {
    let within = file.strip_prefix(source).expect("a file of the crate").with_extension("");
    let steps = within.iter().map(|step| step.to_str().expect("UTF-8")).filter(|step| *step != "lib");
    [name].into_iter().chain(steps).collect::<Vec<_>>().join("::")
}

/// The arguments of a macro call, whose text begins after its opening parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    let mut arguments = vec![String::new()];
    for letter in text.chars() {
        match letter {
            '"' if !escaped => in_text = !in_text,
            '(' | '[' | '{' if !in_text => depth += 1,
            ')' | ']' | '}' if !in_text && depth > 0 => depth -= 1,
            ')' if !in_text => break,
            ',' if !in_text && depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        arguments.last_mut().expect("one at least").push(letter);
    }
    arguments.into_iter().map(|argument| argument.trim().to_owned()).filter(|it| !it.is_empty()).collect()
}

fn field(argument: &str) -> String {
    let name = argument.split_once('=').map_or(argument, |(name, _)| name).trim();
    name.trim_start_matches(['%', '?']).to_owned()
}

fn events_of_the_sources() -> BTreeSet<Event> {
    let mut events = BTreeSet::new();
    for name in CRATES {
        let source = root().join("crates").join(name).join("src");
        let mut files = Vec::new();
        rust_files(&source, &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source file");
            let path = file.display();
            let imports = text.lines().filter(|line| line.starts_with("use tracing::"));
            let imports_macro = imports
                .flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric()))
                .any(|word| LEVELS.contains(&word));
            assert!(!imports_macro, "{path}: events are made by the path tracing::");
            assert!(!text.contains("tracing::event!"), "{path}: a level has a macro of its own");
            for level in LEVELS {
                for call in text.split(&format!("tracing::{level}!(")).skip(1) {
                    let mut arguments = arguments(call);
                    let message = arguments.pop().expect("an event has a name");
                    let message = message.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                    let message = message.unwrap_or_else(|| panic!("{path}: the last argument is the name"));
                    assert!(!message.contains('{'), "{path}: {message}: what changes is a field");
                    let fields = arguments.iter().map(|argument| field(argument)).collect();
                    events.insert((
                        level.to_uppercase(),
                        target(name, &source, &file),
                        message.to_owned(),
                        fields,
                    ));
                }
            }
        }
    }
    events
}

/// The rows `| LEVEL | target | event | fields | meaning |` of the page.
fn events_of_the_page() -> BTreeSet<Event> {
    let page = std::fs::read_to_string(root().join("docs/LOGGING.md")).expect("the page");
    let bare = |cell: &str| cell.trim().trim_matches('`').to_owned();
    page.lines()
        .filter_map(|row| {
            let cells: Vec<&str> =
                row.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
            let [level, target, event, fields, meaning] = cells.as_slice() else { return None };
            LEVELS.contains(&level.to_lowercase().as_str()).then(|| {
                assert!(!meaning.trim().is_empty(), "{event} means something");
                let fields = fields.split(',').map(bare).filter(|field| !field.is_empty()).collect();
                (bare(level), bare(target), bare(event), fields)
            })
        })
        .collect()
}

#[test]
fn the_page_has_every_event_of_the_sources_and_nothing_else() {
    let (sources, page) = (events_of_the_sources(), events_of_the_page());
    assert!(sources.len() > 20, "the sources were read: {sources:?}");
    let missing: Vec<&Event> = sources.difference(&page).collect();
    let made_up: Vec<&Event> = page.difference(&sources).collect();
    assert!(
        missing.is_empty() && made_up.is_empty(),
        "not on the page: {missing:#?}\nnot in the sources: {made_up:#?}"
    );
}
