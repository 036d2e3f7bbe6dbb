//! The container's image, containers of it, and volumes for them.
//!
//! The image stays behind as the build's cache. Containers and volumes are removed when their handle is dropped; those
//! of a test process that was killed before it could do so are removed by the next one.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::deadline::eventually;
use crate::engine::{
    beside_the_test, docker, engine_answers, inspect, must_docker, output_of, owner_label, sweep, unique_name,
};

/// The tag that the tests build. Containers are started by the image's id, since another run may move the tag.
pub const TAG: &str = "p2p-tracker:test";

/// What the image is built upon, as its Dockerfile says.
const BASE: &str = "debian:bookworm-slim";

/// An image to test instead of building one: its tag or its id.
const IMAGE_VARIABLE: &str = "BLACK_BOX_IMAGE";

/// The first build compiles every dependency, and makes the base images before that.
const BUILD_LIMIT_SECS: u32 = 2_400;

/// From the start of a container to the first good health check, on a loaded machine.
pub const HEALTHY_LIMIT: Duration = Duration::from_mins(1);

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are in a folder of it").to_path_buf()
}

/// The image of this work tree.
#[derive(Clone, Debug)]
pub struct ContainerImage {
    id: String,
}

impl ContainerImage {
    /// The one that `BLACK_BOX_IMAGE` names; or builds it, once in a test process and from the build's cache in the next
    /// ones. None where no engine answers, which is then said loudly. Panics with the build's output when it fails.
    pub fn build() -> Option<Self> {
        static ID: OnceLock<String> = OnceLock::new();
        let id = engine_answers().then(|| {
            ID.get_or_init(|| {
                sweep();
                given_image().map_or_else(build, |given| {
                    must_docker(&["image", "inspect", "--format={{.Id}}", &given])
                })
            })
        })?;
        Some(Self { id: id.clone() })
    }

    /// A system with nothing on it: the base of the container, as `deploy/base-images` makes it. None where no engine answers,
    /// which is then said loudly.
    pub fn bare() -> Option<Self> {
        engine_answers().then(|| {
            let lock = beside_the_test("container-image.lock");
            lock.lock().expect("a file of ours can be locked");
            // Where this cannot make it, the engine may have it all the same.
            let bases = output_of(&mut Command::new(repository().join("deploy/base-images")));
            let id = docker(&["image", "inspect", "--format={{.Id}}", BASE]);
            Self { id: id.unwrap_or_else(|error| panic!("{BASE}: {error}\ndeploy/base-images: {bases:?}")) }
        })
    }

    /// Its id, by which it can be started.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the engine knows about it.
    pub fn inspect(&self) -> Value {
        inspect("image", &self.id)
    }

    /// Starts a container of it, with these options of `docker run`.
    #[track_caller]
    pub fn run(&self, options: &[&str]) -> Container {
        self.run_command(options, &[])
    }

    /// As [`run`](Self::run), with something else inside than the whole server.
    #[track_caller]
    pub fn run_command(&self, options: &[&str], command: &[&str]) -> Container {
        let label = owner_label();
        let mut words = vec!["run", "--detach", "--label", &label];
        words.extend(options);
        words.push(&self.id);
        words.extend(command);
        Container { id: must_docker(&words), ours: true }
    }
}

/// The image that is to be tested instead of this work tree's, if one is named.
pub fn given_image() -> Option<String> {
    env::var(IMAGE_VARIABLE).ok().filter(|image| !image.is_empty())
}

/// Builds the image and gives its id.
fn build() -> String {
    // Each test may be a process of its own: one builds, and the others wait and find it in the cache.
    let lock = beside_the_test("container-image.lock");
    lock.lock().expect("a file of ours can be locked");
    // Where this cannot make them, the build below may still be able to pull them.
    let bases = output_of(&mut Command::new(repository().join("deploy/base-images")));
    let mut build = Command::new("timeout");
    build.arg(BUILD_LIMIT_SECS.to_string()).args([
        "docker",
        "build",
        "--quiet",
        "--force-rm",
        "--tag",
        TAG,
        ".",
    ]);
    output_of(build.current_dir(repository()))
        .unwrap_or_else(|error| panic!("docker build: {error}\ndeploy/base-images: {bases:?}"))
}

/// A running container. It is removed, with the volumes that have no name, when this is dropped.
#[derive(Debug)]
pub struct Container {
    id: String,
    ours: bool,
}

impl Container {
    /// One that somebody else starts and removes.
    pub fn named(name: &str) -> Self {
        Self { id: name.to_owned(), ours: false }
    }

    /// Its id or its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the engine knows about it.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        inspect("container", &self.id)
    }

    /// The id, on this machine, of its first process: with it [`Namespace::of_process`] finds its network.
    ///
    /// [`Namespace::of_process`]: crate::namespace::Namespace::of_process
    #[track_caller]
    pub fn pid(&self) -> u32 {
        let pid = self.inspect()["State"]["Pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.filter(|pid| *pid != 0).unwrap_or_else(|| panic!("it does not run:\n{}", self.logs()))
    }

    /// Runs a command inside, as root, and gives its output.
    pub fn try_exec(&self, command: &[&str]) -> Result<String, String> {
        docker(&[&["exec", self.id()], command].concat())
    }

    /// As [`try_exec`](Self::try_exec). Panics where the command fails.
    #[track_caller]
    pub fn exec(&self, command: &[&str]) -> String {
        self.try_exec(command).unwrap_or_else(|error| panic!("{command:?}: {error}\n{}", self.logs()))
    }

    /// All that it wrote so far.
    pub fn logs(&self) -> String {
        let logs = Command::new("docker").args(["logs", &self.id]).stdin(Stdio::null()).output();
        logs.map_or_else(
            |error| error.to_string(),
            |Output { stdout, stderr, .. }| {
                format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr))
            },
        )
    }

    /// Where a port of it, such as `8000/tcp`, is reached from this machine.
    #[track_caller]
    pub fn published(&self, port: &str) -> SocketAddr {
        let addresses = must_docker(&["port", &self.id, port]);
        addresses.lines().next().and_then(|line| line.parse().ok()).expect("the port is published")
    }

    /// Its health as the engine sees it: `starting`, `healthy` or `unhealthy`.
    #[track_caller]
    pub fn health(&self) -> String {
        self.inspect()["State"]["Health"]["Status"].as_str().unwrap_or("no health check").to_owned()
    }

    /// Waits until the engine calls it healthy.
    #[track_caller]
    pub fn wait_until_healthy(&self) {
        self.eventually(HEALTHY_LIMIT, "the container is healthy", || {
            (self.health() == "healthy").then_some(())
        });
    }

    /// Waits until the check of the image is content, without waiting for the engine's next one.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        self.eventually(HEALTHY_LIMIT, "the services are ready", || {
            self.try_exec(&["container-health"]).ok()
        });
    }

    /// As [`eventually`], with the container's log in the message of a failure.
    #[track_caller]
    pub fn eventually<T>(&self, limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        eventually(limit * 2, what, || {
            let found = probe();
            assert!(
                found.is_some() || started.elapsed() < limit,
                "not within {limit:?}: {what}\n{}",
                self.logs()
            );
            found
        })
    }

    /// The id, inside, of a program that supervisord runs. None while it does not run.
    pub fn program(&self, name: &str) -> Option<u32> {
        let id = self.try_exec(&["supervisorctl", "pid", name]).ok()?;
        id.parse().ok().filter(|id| *id != 0)
    }

    /// Ends a program inside as a crash would.
    #[track_caller]
    pub fn kill9(&self, program: u32) {
        self.exec(&["bash", "-c", &format!("kill -9 {program}")]);
    }

    /// Stops it as an operator would, with the 10 s that are the engine's default. Gives the time that it took.
    #[track_caller]
    pub fn stop(&self) -> Duration {
        let started = Instant::now();
        must_docker(&["stop", "--time", "10", &self.id]);
        started.elapsed()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.ours {
            let _ = docker(&["rm", "--force", "--volumes", &self.id]);
        }
    }
}

/// A volume with a name of its own. It is removed when this is dropped, so containers that use it must go before.
#[derive(Debug)]
pub struct Volume {
    name: String,
}

impl Volume {
    /// A new, empty one.
    #[track_caller]
    pub fn make() -> Self {
        Self { name: must_docker(&["volume", "create", "--label", &owner_label(), &unique_name()]) }
    }

    /// The option of `docker run` that puts it where the image keeps its data.
    pub fn option(&self) -> String {
        format!("--volume={}:/data", self.name)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = docker(&["volume", "rm", "--force", &self.name]);
    }
}
