//! A program that dies in the container comes back by itself, and nothing is lost.

use std::time::{Duration, Instant};

use black_box::container::{Container, ContainerImage};

use super::endpoint::Endpoint;
use super::{PROGRAMS, server};

/// From the kill of a program until the whole container serves again, on a loaded machine.
const RECOVERY_LIMIT: Duration = Duration::from_secs(20);

/// Longer than supervisord goes on trying by default: three times, with pauses of 1, 2 and 3 s.
const OUTAGE: Duration = Duration::from_secs(10);

/// Tries with pauses of 1, 2, 3 and 4 s fill the outage, so the next one comes after at most 5 s.
const HEALING_LIMIT: Duration = Duration::from_secs(20);

const ONE: &str = "203.0.113.5";

/// Waits until HTTP, UDP and the readiness of both are as before.
#[track_caller]
fn wait_until_serving(container: &Container, endpoint: Endpoint, filename: &str) {
    container.eventually(RECOVERY_LIMIT, "the container serves again", || {
        let found = endpoint.try_peers(filename)?;
        assert_eq!(found, [ONE], "the data are there");
        (endpoint.registers() && container.try_exec(&["container-health"]).is_ok()).then_some(())
    });
}

#[test]
fn a_killed_program_comes_back_and_the_data_are_there() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let endpoint = Endpoint::of(&container);
    endpoint.add(ONE, "kept.html");
    for program in PROGRAMS {
        let before = container.program(program).unwrap();
        let killed = Instant::now();
        container.kill9(before);
        container.eventually(RECOVERY_LIMIT, &format!("{program} runs again"), || {
            container.program(program).filter(|after| *after != before)
        });
        wait_until_serving(&container, endpoint, "kept.html");
        println!("{program} was back and serving {:?} after kill -9", killed.elapsed());
    }
    assert!(!container.logs().contains("panicked"), "{}", container.logs());
}

#[test]
fn a_program_that_is_killed_again_and_again_comes_back() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let endpoint = Endpoint::of(&container);
    endpoint.add(ONE, "kept.html");
    let mut before = None;
    for _ in 0..5 {
        let id = container.eventually(RECOVERY_LIMIT, "the tracker runs again", || {
            container.program("tracker").filter(|id| before != Some(*id))
        });
        container.kill9(id);
        before = Some(id);
    }
    wait_until_serving(&container, endpoint, "kept.html");
}

#[test]
fn a_redis_that_cannot_start_for_a_while_is_not_given_up() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let endpoint = Endpoint::of(&container);
    endpoint.add(ONE, "kept.html");
    let redis = container.program("redis").unwrap();
    container.exec(&["chown", "root", "/data/appendonlydir"]);
    container.exec(&["chmod", "0700", "/data/appendonlydir"]);
    container.kill9(redis);
    let down = Instant::now();
    container.eventually(OUTAGE * 2, "an outage that lasts", || {
        let health = container.try_exec(&["container-health"]);
        assert!(
            down.elapsed() < Duration::from_secs(2) || health.is_err(),
            "not ready without redis: {health:?}"
        );
        (down.elapsed() > OUTAGE).then_some(())
    });
    assert!(endpoint.registers(), "the matchmaker serves on without redis");
    container.exec(&["chown", "redis", "/data/appendonlydir"]);
    let healed = Instant::now();
    container.eventually(HEALING_LIMIT, "the data are served again", || {
        (endpoint.try_peers("kept.html")? == [ONE]).then_some(())
    });
    container.wait_until_ready();
    println!("served again {:?} after the cause of a {OUTAGE:?} outage was gone", healed.elapsed());
}
