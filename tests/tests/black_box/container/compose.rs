//! `deploy/docker-compose.yml`, by whichever compose command the machine has.

use std::process::Command;
use std::time::{Duration, Instant};

use black_box::container::{Container, ContainerImage, given_image, repository};
use black_box::engine::{beside_the_test, docker, output_of, remove_tag, unique_name};
use black_box::skip::skipped;

use super::PROGRAMS;
use super::endpoint::Endpoint;

/// The name that the compose file gives its container.
const NAME: &str = "p2p-tracker";

/// After this time the engine kills whatever is left.
const STOP_LIMIT: Duration = Duration::from_secs(10);

const ONE: &str = "203.0.113.5";

/// A project of compose. Its container, network and volume are removed when this is dropped.
struct Project {
    tool: &'static [&'static str],
    name: String,
    /// The tag under which compose finds the image, in the repository `p2p-tracker`.
    tag: String,
}

impl Project {
    /// None where there is no compose command, or where the name of the container is taken; either is said loudly.
    fn open() -> Option<Self> {
        let tools: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
        let works =
            |tool: &&&[&str]| output_of(Command::new(tool[0]).args(&tool[1..]).arg("version")).is_ok();
        let Some(tool) = tools.iter().find(works) else {
            skipped("compose", "neither docker compose nor docker-compose runs");
            return None;
        };
        if docker(&["container", "inspect", NAME]).is_ok() {
            skipped("a free container name", &format!("a container {NAME} exists that is not of this test"));
            return None;
        }
        let name = unique_name();
        Some(Self { tool, tag: name.clone(), name })
    }

    fn try_run(&self, words: &[&str]) -> Result<String, String> {
        let file = repository().join("deploy/docker-compose.yml");
        output_of(
            Command::new(self.tool[0])
                .args(&self.tool[1..])
                .args(["--project-name", &self.name, "--file"])
                .arg(file)
                .args(words)
                .env("TRACKER_TAG", &self.tag)
                .env("PUBLISH_TRACKER", "127.0.0.1:0")
                .env("PUBLISH_MATCHMAKER", "127.0.0.1:0"),
        )
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        self.try_run(words).unwrap_or_else(|error| panic!("compose {words:?}: {error}"))
    }

    /// Starts it, and waits until it is ready.
    #[track_caller]
    fn up(&self, options: &[&str]) -> Container {
        self.run(&[&["up", "--detach"], options].concat());
        let container = Container::named(NAME);
        container.wait_until_ready();
        container
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.try_run(&["down", "--volumes"]);
        remove_tag(&format!("{NAME}:{}", self.tag));
    }
}

/// The values that the contract fixes, as the engine has understood them.
#[track_caller]
fn assert_as_written(container: &Container, project: &str) {
    let about = container.inspect();
    let host = &about["HostConfig"];
    assert_eq!(host["RestartPolicy"]["Name"], "always");
    assert_eq!(about["Config"]["StopTimeout"], 10);
    assert_eq!(about["Config"]["Labels"]["com.docker.compose.service"], "tracker");
    assert!(about["State"]["Health"].is_object(), "a health check");
    let mounts = about["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!(mounts[0]["Destination"], "/data");
    assert_eq!(mounts[0]["Name"], format!("{project}_redis-data"));
}

#[test]
fn compose_down_and_up_keep_the_data() {
    let Some(image) = ContainerImage::build() else { return };
    // The container's name is fixed, so only one test on a machine may use it at a time.
    let lock = beside_the_test("compose.lock");
    lock.lock().unwrap();
    let Some(project) = Project::open() else { return };

    docker(&["tag", image.id(), &format!("{NAME}:{}", project.tag)]).unwrap();
    if given_image().is_none() {
        // Its build is ours, so it finds all of it in the cache.
        project.run(&["build"]);
    }
    let container = project.up(&["--no-build"]);
    assert_as_written(&container, &project.name);
    let endpoint = Endpoint::of(&container);
    endpoint.add(ONE, "kept.html");
    assert!(endpoint.registers());
    let log = project.run(&["logs"]);
    for program in PROGRAMS {
        assert!(log.contains(&format!("spawned: '{program}'")), "{program} in:\n{log}");
    }

    let started = Instant::now();
    project.run(&["down"]);
    assert!(started.elapsed() < STOP_LIMIT, "{:?}", started.elapsed());
    assert!(docker(&["container", "inspect", NAME]).is_err(), "the container is gone");

    let container = project.up(&["--no-build"]);
    let endpoint = Endpoint::of(&container);
    assert_eq!(endpoint.try_peers("kept.html").unwrap(), [ONE]);
    assert!(endpoint.registers());

    project.run(&["down", "--volumes"]);
    let volumes = docker(&["volume", "ls", "--quiet"]).unwrap();
    assert!(!volumes.lines().any(|name| name.starts_with(&project.name)), "{volumes}");
}
