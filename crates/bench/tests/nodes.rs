//! The simulation of a fleet, held against real matchmakers over a real Redis.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::process::Command;

/// What Redis counts of three real processes (`INFO commandstats` and its bytes) is what the simulation counts, within a tenth.
#[test]
fn three_processes_ask_of_redis_what_the_simulation_says() {
    let run = Command::new(env!("CARGO_BIN_EXE_bench")).args(["nodes", "--processes", "3"]).output().unwrap();
    let said = [run.stdout, run.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(run.status.success(), "{said}");
    for counted in ["evalsha", "publish", "zrevrange", "bytes in", "bytes out", "matched across nodes"] {
        assert!(said.contains(counted), "{counted} is not in\n{said}");
    }
}
