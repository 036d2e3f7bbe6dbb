//! A running container serves the legacy contract through its published ports.

use black_box::container::ContainerImage;
use black_box::deadline::PATIENCE;
use black_box::http::Request;
use black_box::udp::{UdpPeer, not_found, peer};
use serde_json::json;

use super::endpoint::Endpoint;
use super::{PROGRAMS, SERVER, server};

#[test]
fn a_new_container_becomes_healthy() {
    let Some(image) = ContainerImage::build() else { return };
    let container = image.run(&SERVER);
    container.wait_until_healthy();
    assert_eq!(container.exec(&["container-health"]).lines().count(), 2);
}

#[test]
fn each_program_runs_as_a_user_of_its_own_and_none_as_root() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    for program in PROGRAMS {
        let id = container.program(program).unwrap();
        let user = container.exec(&["stat", "--format=%U", &format!("/proc/{id}")]);
        assert_eq!(user, program, "the user of {program}");
    }
    // Whoever lists them is a process of root as well, but a passing one.
    container.eventually(PATIENCE, "supervisord is the only process of root that stays", || {
        let users = container.exec(&["bash", "-c", "stat --format='%U %n' /proc/[0-9]* 2>/dev/null || true"]);
        let mut of_root = users.lines().filter_map(|line| line.strip_prefix("root "));
        of_root
            .all(|folder| folder == "/proc/1" || container.try_exec(&["test", "-e", folder]).is_err())
            .then_some(())
    });
}

#[test]
fn only_root_inside_steers_the_programs() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    assert_eq!(container.exec(&["stat", "--format=%a %U", "/run/supervisord.sock"]), "700 root");
    let tried =
        container.try_exec(&["setpriv", "--reuid=tracker", "--clear-groups", "supervisorctl", "status"]);
    assert!(tried.is_err(), "{tried:?}");
}

#[test]
fn redis_is_not_reached_from_outside() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    assert_eq!(container.exec(&["redis-cli", "ping"]), "PONG");
    let own = container.inspect()["NetworkSettings"]["IPAddress"].as_str().unwrap().to_owned();
    let tried = container.try_exec(&["redis-cli", "-h", &own, "ping"]);
    assert!(!tried.is_ok_and(|answer| answer.contains("PONG")), "redis answers on {own}");
}

#[test]
fn the_start_is_free_of_supervisord_warnings() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let own_log = container.exec(&["cat", "/var/log/supervisor/supervisord.log"]);
    assert!(own_log.contains("supervisord started with pid 1"), "{own_log}");
    let log = container.logs();
    assert!(!log.contains("UserWarning"), "{log}");
    for line in own_log.lines().chain(log.lines()) {
        // Its lines have a comma in the time; a tracker that warns about a redis not yet there has its own form.
        let words: Vec<&str> = line.split(' ').take(3).collect();
        let complains = matches!(words[..], [_, time, "WARN" | "CRIT" | "ERRO"] if time.contains(','));
        assert!(!complains, "{line}");
    }
}

#[test]
fn http_answers_through_the_published_port() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let endpoint = Endpoint::of(&container);
    endpoint.send(&Request::get("/")).assert_is(200, &json!({"status": "ok"}));
    endpoint.add("203.0.113.5", "site/index.html");
    endpoint.add("198.51.100.1", "site/index.html");
    assert_eq!(endpoint.try_peers("site/index.html").unwrap(), ["198.51.100.1", "203.0.113.5"]);
    endpoint
        .send(&Request::get("/all_trackers"))
        .assert_is(200, &json!({"files": ["site/index.html"], "next": null}));
    // The admin listeners are for the inside.
    assert!(container.exec(&["container-health"]).contains("200"));
    assert!(container.inspect()["NetworkSettings"]["Ports"].get("8001/tcp").is_none());
}

#[test]
fn udp_answers_through_the_published_port() {
    let Some(image) = ContainerImage::build() else { return };
    let container = server(&image, &[]);
    let endpoint = Endpoint::of(&container);
    let one = UdpPeer::at("127.0.0.1", endpoint.matchmaker);
    let seen = one.register();
    // Connecting to oneself: the answer to the asker and the message to the target, both here.
    one.connect(&seen.ip().to_string());
    one.expect(&peer(seen));
    one.expect(&peer(seen));
    one.connect("192.0.2.9");
    one.expect(&not_found("192.0.2.9"));
    one.expect_silence();
}
