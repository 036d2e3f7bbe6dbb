//! The description of the API against the tracker: schemathesis makes thousands of requests of it, valid ones and
//! broken ones, and looks whether each is answered as described.

use std::path::{Path, PathBuf};
use std::process::Command;

use black_box::process::Launch;
use black_box::skip::skipped;
use black_box::tracker::on_both_stores_with;

/// Requests that are made up for each path at most, beside those at the bounds of each value.
const EXAMPLES: &str = "25";

/// What the operator shows: without it one path would never answer with anything but 401.
const TOKEN: &str = "correct-horse-battery";

/// Where `tests/run` puts it.
fn schemathesis() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/schemathesis/bin/schemathesis")
}

#[test]
fn every_answer_is_as_the_description_says() {
    let program = schemathesis();
    if !program.exists() {
        skipped("schemathesis", "tests/run installs it");
        return;
    }
    let settings = |launch: Launch| launch.set("ADMIN_TOKEN", TOKEN);
    on_both_stores_with(settings, |tracker| {
        let output = Command::new(&program)
            .args(["run", &format!("http://{}/openapi.json", tracker.address())])
            // They have no end.
            .args(["--exclude-path", "/v1/stats/stream", "--exclude-path", "/v1/stats/live"])
            .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
            .args(["--max-examples", EXAMPLES, "--seed", "1", "--continue-on-failure", "--no-color"])
            .current_dir(tracker.process.launch().home())
            .output()
            .expect("schemathesis runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("No issues found"), "{said}");
    });
}
