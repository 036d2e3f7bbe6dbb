//! The compose file of the fleet, its services by name.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;

use black_box::container::{Container, ContainerImage, repository};
use black_box::deadline::eventually;
use black_box::engine::{beside_the_test, docker, output_of, remove_tag, unique_name};
use black_box::namespace::Namespace;
use black_box::skip::skipped;

use super::LIMIT;

/// The first address of the fleet's network: where whoever calls from this machine seems to be.
pub(super) const GATEWAY: &str = "172.30.77.1";
const NETWORK: &str = "172.30.77.0/24";
const MASTERS: usize = 3;
/// Ports of this machine, apart from the defaults.
const TRACKER: &str = "18000";
const MATCHMAKERS: [&str; 3] = ["22345", "22346", "22347"];

/// A running fleet. All of it is removed when this is dropped.
pub(super) struct Project {
    name: String,
    _only_one: File,
}

impl Project {
    /// None where there is no compose, or the network is taken; either is said loudly.
    pub(super) fn open(image: &ContainerImage) -> Option<Self> {
        let lock = beside_the_test("fleet.lock");
        lock.lock().unwrap();
        if output_of(Command::new("docker-compose").arg("version")).is_err() {
            skipped("docker-compose", "it does not run");
            return None;
        }
        let networks = docker(&["network", "ls", "--quiet"]).unwrap_or_default();
        let format = "--format={{range .IPAM.Config}}{{.Subnet}} {{end}}";
        for network in networks.lines() {
            if docker(&["network", "inspect", format, network]).is_ok_and(|taken| taken.contains(NETWORK)) {
                skipped("a free network", &format!("{NETWORK} is in use"));
                return None;
            }
        }
        let name = unique_name();
        docker(&["tag", image.id(), &format!("p2p-tracker:{name}")]).unwrap();
        let project = Self { name, _only_one: lock };
        project.run(&["build", "--quiet", "haproxy"]);
        project.run(&["up", "--detach", "--no-build"]);
        Some(project)
    }

    fn try_run(&self, words: &[&str]) -> Result<String, String> {
        let mut compose = Command::new("docker-compose");
        compose
            .args(["--project-name", &self.name, "--file"])
            .arg(repository().join("deploy/cluster/docker-compose.yml"))
            .args(words)
            .env("TRACKER_TAG", &self.name)
            .env("PUBLIC_ADDRESS", GATEWAY)
            .env("PUBLISH_TRACKER", format!("127.0.0.1:{TRACKER}"));
        for (port, number) in MATCHMAKERS.iter().zip(1..) {
            compose.env(format!("PUBLISH_MATCHMAKER_{number}"), port);
        }
        output_of(&mut compose)
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        self.try_run(words).unwrap_or_else(|error| panic!("compose {words:?}: {error}"))
    }

    /// The proxy, from outside.
    pub(super) fn tracker() -> SocketAddr {
        format!("127.0.0.1:{TRACKER}").parse().unwrap()
    }

    /// The matchmakers, from outside.
    pub(super) fn matchmakers() -> [SocketAddr; 3] {
        MATCHMAKERS.map(|port| format!("{GATEWAY}:{port}").parse().unwrap())
    }

    /// All services that run one of our programs.
    pub(super) fn programs() -> Vec<String> {
        let names = |what| (1..=3).map(move |number| format!("{what}-{number}"));
        names("tracker").chain(names("matchmaker")).collect()
    }

    fn container(&self, service: &str) -> Container {
        Container::named(self.run(&["ps", "--quiet", service]).trim())
    }

    /// Waits until the program of a service says that it is ready.
    #[track_caller]
    pub(super) fn await_ready(&self, service: &str) {
        let port = if service.starts_with("tracker") { 8001 } else { 8002 };
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET /ready HTTP/1.0\\r\\n\\r\\n' >&3 && head -1 <&3"
        );
        eventually(LIMIT, service, || {
            let line = self.container(service).try_exec(&["bash", "-c", &ask]).ok()?;
            line.contains(" 200").then_some(())
        });
    }

    /// Ends a service as a crash would. The engine starts it again: it was not asked to end it.
    #[track_caller]
    pub(super) fn kill(&self, service: &str) {
        let pid = self.container(service).pid().to_string();
        output_of(Command::new("kill").args(["-9", &pid])).unwrap();
    }

    /// As an operator would.
    #[track_caller]
    pub(super) fn restart(&self, service: &str) {
        self.run(&["restart", "--timeout", "35", service]);
    }

    /// A master of the Redis Cluster.
    #[track_caller]
    pub(super) fn a_master(&self) -> String {
        let is_master =
            |service: &String| self.container(service).exec(&["redis-cli", "role"]).starts_with("master");
        (1..=2 * MASTERS).map(|number| format!("redis-{number}")).find(is_master).unwrap()
    }

    fn network_of(&self, service: &str) -> Namespace {
        Namespace::of_process(self.container(service).pid())
    }

    /// Nothing comes to a service or from it, and nobody is told.
    #[track_caller]
    pub(super) fn cut_off(&self, service: &str) {
        self.network_of(service).filter(
            "table inet cut {
                chain input { type filter hook input priority 0; policy drop; iif lo accept; }
                chain output { type filter hook output priority 0; policy drop; oif lo accept; }
            }",
        );
    }

    /// It was cut off, and is reached again.
    #[track_caller]
    pub(super) fn join_again(&self, service: &str) {
        self.network_of(service).filter("delete table inet cut");
    }

    /// Waits until the cluster is whole again, with this one as a replica.
    #[track_caller]
    pub(super) fn await_cluster(&self, killed: &str) {
        eventually(LIMIT, "the cluster is whole again", || {
            let container = self.container(killed);
            let info = container.try_exec(&["redis-cli", "cluster", "info"]).ok()?;
            let role = container.try_exec(&["redis-cli", "role"]).ok()?;
            (info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384") && !role.is_empty())
                .then_some(())
        });
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let _ = self.try_run(&["down", "--volumes"]);
        for image in ["p2p-tracker", "p2p-tracker-haproxy"] {
            remove_tag(&format!("{image}:{}", self.name));
        }
    }
}
