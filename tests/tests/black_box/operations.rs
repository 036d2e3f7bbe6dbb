//! docs/OPERATIONS.md: its commands are run, its alerts are those that there are, and its figures those of the files.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use black_box::binary::Binary;
use black_box::commands::{Page, root, tree};
use black_box::process::Launch;
use black_box::redis::RedisServer;
use black_box::skip::skipped;
use black_box::tracker::Tracker;

const OF_A_MACHINE: &str = "changes the machine that it is typed on";
const OF_THE_CONTAINER: &str = "builds and starts containers for minutes: the tests in container/ do that";

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn the_commands_for_operators_do_what_the_page_says() {
    let redis = RedisServer::start_new();
    let launch = Launch::new(Binary::Standalone).set("REDIS_URL", &redis.url());
    let tracker = Tracker::over(launch.start(), None).when_ready();
    tracker.add("203.0.113.5", "site/index.html", "abc");
    let process = &tracker.process;
    let tree = tree();
    let mut page = Page::read("docs/OPERATIONS.md")
        .rewrite("127.0.0.1:8000", &tracker.address().to_string())
        .rewrite("127.0.0.1:8001", &process.address("tracker-admin").to_string())
        .rewrite("127.0.0.1:8002", &process.address("matchmaker-admin").to_string())
        .rewrite("127.0.0.1:6379", &redis.address().to_string())
        .excuse("docker", OF_THE_CONTAINER)
        .excuse("PUBLIC_ADDRESS=", OF_THE_CONTAINER);
    page = page.excuse(
        "deploy/debian/build",
        "builds for minutes: the test of the package does that with what is built",
    );
    for start in
        ["apt-get", "install -m", "install -d", "cp deploy/systemd", "echo 'ADMIN_TOKEN", "systemctl"]
    {
        page = page.excuse(start, OF_A_MACHINE);
    }
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        skipped("systemd-analyze", "it is not installed");
        page = page.excuse("systemd-analyze", "it is not installed");
    }
    page.run(tree.path());
    // What it says of a backup.
    let exported = fs::read_to_string(tree.path().join("mappings.ndjson")).unwrap();
    assert_eq!(exported.lines().count(), 1, "{exported}");
    let restored = tree.path().join("restored").display().to_string();
    let restored = Tracker::embedded(&Launch::new(Binary::Tracker).set("DATA_DIR", &restored));
    assert_eq!(restored.peers("site/index.html"), ["203.0.113.5"]);
    assert!(fs::metadata(tree.path().join("backup.rdb")).unwrap().len() > 0);
}

#[test]
fn every_alert_has_its_meaning_where_to_look_and_what_to_do() {
    let rules = read("deploy/prometheus/alerts.yml");
    let alerts: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let page = read("docs/OPERATIONS.md");
    let (_, rest) = page.split_once("\n## Alerts\n").unwrap();
    let (part, _) = rest.split_once("\n## ").unwrap();
    let mut told = BTreeSet::new();
    for section in part.split("\n### ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap();
        for word in ["*Means*:", "*Look*:", "*Act*:"] {
            assert!(text.contains(word), "{name} has no {word}");
        }
        told.insert(name);
    }
    assert_eq!(told, alerts);
}

#[test]
fn the_times_that_a_supervisor_gives_are_those_of_the_files() {
    let number = |path: &str, before: &str| -> u64 {
        let text = read(path);
        let rest = text.split_once(before).unwrap_or_else(|| panic!("{path} has no {before}")).1;
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let unit = number("deploy/systemd/matchmaker.service", "\nTimeoutStopSec=");
    let manifest = number("deploy/kubernetes/matchmaker.yaml", "terminationGracePeriodSeconds: ");
    let compose = number("deploy/cluster/docker-compose.yml", "DRAIN_SECS (20).\n  stop_grace_period: ");
    let said = format!("the units have {unit} s, the manifests {manifest}, compose {compose}.");
    assert!(read("docs/OPERATIONS.md").contains(&said), "{said}");
    let drain = number("deploy/settings.sample.toml", "#drain_secs = \"");
    assert!([unit, manifest, compose].into_iter().all(|seconds| seconds > drain));
}

#[test]
fn the_files_that_the_page_names_are_there() {
    for page in ["docs/OPERATIONS.md", "deploy/kubernetes/README.md"] {
        let text = read(page);
        let folder = root().join(page).parent().unwrap().to_owned();
        for link in text.split("](").skip(1) {
            let link = link.split_once(')').unwrap().0.split('#').next().unwrap();
            assert!(link.is_empty() || folder.join(link).exists(), "{page}: {link}");
        }
    }
}
