//! The container's end.

use std::time::Duration;

use black_box::container::{ContainerImage, Volume};
use black_box::http::{Connection, Request};
use serde_json::json;

use super::endpoint::Endpoint;
use super::{PROGRAMS, server};

/// After this time the engine kills whatever is left.
const STOP_LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_stop_ends_every_program_well_within_ten_seconds() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let endpoint = Endpoint::of(&container);
    // An idle connection must not hold it up.
    let mut idle = Connection::open(endpoint.tracker).unwrap();
    idle.exchange(&Request::get("/")).unwrap().assert_is(200, &json!({"status": "ok"}));
    assert!(endpoint.registers());
    let took = container.stop();
    assert!(took < STOP_LIMIT, "{took:?}");
    let logs = container.logs();
    for program in PROGRAMS {
        assert!(logs.contains(&format!("stopped: {program} (exit status 0)")), "{program} in:\n{logs}");
    }
    assert_eq!(container.inspect()["State"]["ExitCode"], 0);
    println!("stopped in {took:?}");
}

#[test]
fn an_add_right_before_a_stop_is_there_in_the_next_container() {
    let Some(image) = ContainerImage::build() else { return };
    let volume = Volume::make();
    let first = server(&image, &[&volume.option()]);
    Endpoint::of(&first).add("203.0.113.5", "late.html");
    first.stop();
    drop(first);
    let second = server(&image, &[&volume.option()]);
    assert_eq!(Endpoint::of(&second).try_peers("late.html").unwrap(), ["203.0.113.5"]);
}
