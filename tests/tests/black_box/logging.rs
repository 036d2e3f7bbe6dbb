//! docs/LOGGING.md against the sources, and against what the programs write.

mod events;
mod request_ids;
mod secrets;

use black_box::deadline::{PATIENCE, eventually};
use black_box::process::{Launch, Process};
use black_box::tracker::Tracker;
use serde_json::{Map, Value};

/// Both forms of a line.
const FORMS: [&str; 2] = ["json", "text"];

/// A tracker that writes all it can of its own, in this form.
fn talkative(form: &str, launch: Launch) -> Tracker {
    let launch = launch.set("LOG_FORMAT", form).set("RUST_LOG", "info,tracker=debug");
    Tracker::over(launch.start(), None).when_ready()
}

/// The first line that `wanted` takes, as its fields, which are texts: in JSON those of the object, in text what stands as
/// `name=value`, with the event as `message`.
#[track_caller]
fn line(
    process: &Process,
    form: &str,
    what: &str,
    wanted: impl Fn(&Map<String, Value>) -> bool,
) -> Map<String, Value> {
    eventually(PATIENCE, what, || {
        process.stdout().lines().map(|line| fields(form, line)).find(|fields| wanted(fields))
    })
}

fn fields(form: &str, line: &str) -> Map<String, Value> {
    if form == "json" {
        let object: Map<String, Value> = serde_json::from_str(line).expect("every line is an object");
        return object
            .into_iter()
            .map(|(name, value)| match value {
                Value::String(_) => (name, value),
                other => (name, other.to_string().into()),
            })
            .collect();
    }
    // TIME LEVEL target: event name=value …
    let mut words = line.split_whitespace();
    let (Some(timestamp), Some(level), Some(target)) = (words.next(), words.next(), words.next()) else {
        panic!("no line of the log: {line}");
    };
    let target = target.strip_suffix(':').expect("a colon after the target");
    let mut fields = Map::from_iter(
        [("timestamp", timestamp), ("level", level), ("target", target)]
            .map(|(name, value)| (name.to_owned(), Value::from(value))),
    );
    let mut parts = vec![("message", Vec::new())];
    for word in words {
        match word.split_once('=') {
            Some((name, value)) => parts.push((name, vec![value])),
            // A value with blanks goes on.
            None => parts.last_mut().expect("the event at least").1.push(word),
        }
    }
    for (name, words) in parts {
        fields.insert(name.to_owned(), words.join(" ").trim_matches('"').into());
    }
    fields
}
