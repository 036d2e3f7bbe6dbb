//! Every command of the documentation is run, or it is said why not.

use std::path::{Path, PathBuf};
use std::{env, fs};

use black_box::binary::Binary;
use black_box::commands::{Page, pages, root, tree};
use black_box::lab::Lab;
use black_box::process::{Launch, Process};
use black_box::redis::RedisServer;
use black_box::tracker::Tracker;

/// Why a command is not run here.
const OF_THE_CONTAINER: &str = "builds and starts containers for minutes: the tests in container/ do that";
const OF_THE_TESTS: &str = "runs the tests, of which this is one";
const OF_THE_FUZZER: &str = "goes on until it is stopped, and needs cargo-fuzz";
const OF_THE_BENCHMARKS: &str =
    "takes minutes of a machine that does nothing else; crates/bench tests its parts";

/// Pages whose commands are typed into one shell by tests of their own, which run all blocks marked `console`.
const ELSEWHERE: [&str; 1] = ["docs/PEERCTL.md"];

/// Both services, and what the commands of a page call them.
fn services() -> (Process, String, String) {
    let process = Launch::new(Binary::Standalone).start();
    let tracker = format!("http://{}", process.address("tracker"));
    let matchmaker = process.address("matchmaker").to_string();
    (process, tracker, matchmaker)
}

#[test]
fn every_page_with_commands_has_a_test() {
    let mut tests = String::new();
    for file in fs::read_dir(root().join("tests/tests/black_box")).expect("the tests") {
        let path = file.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            tests.push_str(&fs::read_to_string(path).expect("a source file"));
        }
    }
    let pages = pages();
    assert!(pages.iter().any(|page| page == "docs/CONTAINER.md"), "{pages:?}");
    let missing: Vec<String> = pages
        .into_iter()
        .filter(|page| !Page::read(page).commands().is_empty())
        .filter(|page| !ELSEWHERE.contains(&page.as_str()))
        .filter(|page| !tests.contains(&format!("Page::read(\"{page}\")")))
        .collect();
    for page in ELSEWHERE {
        let text = fs::read_to_string(root().join(page)).expect("a page");
        let fences = text.lines().filter(|line| line.starts_with("```") && *line != "```");
        let others: Vec<&str> = fences.filter(|fence| fence.starts_with("```sh")).collect();
        assert!(others.is_empty(), "{page}: the test of the page does not run {others:?}");
    }
    assert!(missing.is_empty(), "no test has Page::read of {missing:?}: see tests/src/commands.rs");
}

#[test]
fn the_readme_does_what_it_says() {
    let (_services, tracker, matchmaker) = services();
    let (_, port) = matchmaker.rsplit_once(':').expect("an address with a port");
    let redis = RedisServer::start_new();
    let tree = tree();
    // What `peerctl publish` and `serve` give out.
    fs::create_dir(tree.path().join("site")).expect("a folder");
    fs::write(tree.path().join("site/index.html"), "<p>hello").expect("a file");
    let mut closed = Tracker::plain();
    closed.add("203.0.113.5", "moved.html", "abc");
    closed.process.signal(nix::sys::signal::Signal::SIGTERM);
    closed.process.wait(black_box::deadline::PATIENCE);
    Page::read("README.md")
        .rewrite("http://localhost:8000", &tracker)
        .rewrite("\"127.0.0.1\",12345", &format!("\"127.0.0.1\",{port}"))
        .rewrite("41567", "…")
        .rewrite("redis://127.0.0.1:6379", &redis.url())
        .rewrite("peerctl key ", "peerctl key | tee id ")
        .rewrite("PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw", "$(cat id)")
        .set("PEERCTL_TRACKER", &tracker)
        .set("PEERCTL_MATCHMAKER", &matchmaker)
        .set("DATA_DIR", &closed.process.launch().home().join("data").display().to_string())
        .excuse(
            "cargo run --release",
            "builds for minutes and takes fixed ports; the other commands talk to that program",
        )
        .excuse("cargo build --release", "builds for minutes; the script is run with what is built here")
        .excuse(
            "sudo examples/two-nats",
            "has a test of its own, since not every machine may make namespaces",
        )
        .excuse("tests/run", OF_THE_TESTS)
        .excuse("docker", OF_THE_CONTAINER)
        .serve("peerctl serve", "address ")
        .run(tree.path());
    let copied = fs::read_to_string(tree.path().join("copies/site/index.html")).expect("it was fetched");
    assert_eq!(copied, "<p>hello");
    assert_eq!(Tracker::sharing(&redis).peers("moved.html"), ["203.0.113.5"], "it was imported");
}

#[test]
fn two_homes_meet_as_the_readme_shows() {
    // It says so where this machine has no laboratory.
    if Lab::open().is_none() {
        return;
    }
    let programs = Binary::Standalone.path().parent().expect("a file is in a folder").to_owned();
    let tree = tree();
    let work = tree.path().join("work");
    fs::create_dir(&work).expect("a new folder");
    Page::read("README.md")
        .only("sudo examples/two-nats")
        .rewrite("sudo examples/two-nats", "examples/two-nats")
        .set("PROGRAMS", &programs.display().to_string())
        .set("TMPDIR", &work.display().to_string())
        .rewrite("kfpQ0125WDtkJebPPEVjf4VqAcNo6qi0XZkONecU8W0", "…")
        .rewrite("42775", "…")
        .rewrite("after 2 ms", "after … ms")
        .rewrite("0.18 ms at least, 0.28 on average, 0.36 at most", "…")
        .rewrite("0.18 ms", "… ms")
        .rewrite("0.30 ms", "… ms")
        .rewrite("0.36 ms", "… ms")
        .run(tree.path());
    assert_eq!(processes_in(&work), Vec::<PathBuf>::new(), "all that it started has ended");
    assert_eq!(fs::read_dir(&work).expect("the folder").count(), 0, "and nothing is left of its files");
}

/// The programs that run in a folder, or in one below it, also where that is deleted.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let folder = folder.canonicalize().expect("the folder");
    let processes = fs::read_dir("/proc").expect("there is /proc").flatten().map(|entry| entry.path());
    let inside = |process: &PathBuf| {
        fs::read_link(process.join("cwd")).is_ok_and(|directory| directory.starts_with(&folder))
    };
    processes.filter(inside).filter_map(|process| fs::read_link(process.join("exe")).ok()).collect()
}

#[test]
fn what_is_said_of_request_ids_is_so() {
    let (_services, tracker, _) = services();
    Page::read("docs/LOGGING.md")
        .rewrite("http://localhost:8000", &tracker)
        .rewrite("5f0c1f6f7d9a21be", "…")
        .run(tree().path());
}

#[test]
fn the_examples_do_what_they_say() {
    let (_services, tracker, matchmaker) = services();
    let tree = tree();
    Page::read("examples/README.md")
        .set("TRACKER", &tracker)
        .set("MATCHMAKER", &matchmaker)
        .rewrite("127.0.0.1:41567", "$(grep -o '127.0.0.1:[0-9]*' .said-0)")
        .serve("python3 examples/python/peer.py share", "sharing site/hello.txt")
        .rewrite("cargo run -q -p peer-client --example peer --", &example("peer"))
        .run(tree.path());
}

/// An example as `tests/run` has built it: the command would build it in the copy of the repository once more.
fn example(name: &str) -> String {
    let path = Binary::Tracker.path().with_file_name("examples").join(name);
    assert!(path.is_file(), "{} is missing: cargo build --examples", path.display());
    path.display().to_string()
}

#[test]
fn the_commands_of_the_container_page_are_excused_one_by_one() {
    let (_services, tracker, _) = services();
    Page::read("docs/CONTAINER.md")
        .rewrite("http://127.0.0.1:8000", &tracker)
        .excuse("docker", OF_THE_CONTAINER)
        .excuse("PUBLISH_TRACKER=127.0.0.1:18000", OF_THE_CONTAINER)
        .excuse(
            "sudo deploy/base-images",
            "makes images of the machine's engine; tests/run runs it where there is one",
        )
        .run(tree().path());
}

#[test]
fn the_version_of_a_release_is_set_as_its_page_says() {
    let tree = tree();
    // Where cargo has what it knows of other crates.
    let home = env::var("HOME").unwrap();
    Page::read("docs/RELEASING.md")
        .set("HOME", &home)
        .excuse("git clone", OF_THE_TESTS)
        .excuse("deploy/debian/build", "the test of the package does that with what is built")
        .excuse("docker", OF_THE_CONTAINER)
        .excuse("git tag", "signs with a key of whoever makes the release")
        .excuse("cargo install", "tests/run does that at its end, from the build that is there")
        .run(tree.path());
    let lock = fs::read_to_string(tree.path().join("Cargo.lock")).unwrap();
    assert!(lock.contains("name = \"standalone\"\nversion = \"0.2.0\""));
}

#[test]
fn the_commands_of_contributors_are_excused_one_by_one() {
    for page in [
        Page::read("CONTRIBUTING.md")
            .excuse("tests/run", OF_THE_TESTS)
            .excuse("cargo nextest run", OF_THE_TESTS)
            .excuse("cargo fuzz run", OF_THE_FUZZER),
        Page::read("docs/NATS.md")
            .excuse("cargo build --bins && cargo test -p black-box", OF_THE_TESTS)
            .excuse("cargo test -p matchmaker", OF_THE_TESTS),
        Page::read("docs/benchmarks/README.md")
            .excuse("cargo build --release", "builds for minutes")
            .excuse("target/release/bench", OF_THE_BENCHMARKS)
            .excuse("unshare -n", OF_THE_BENCHMARKS)
            .excuse("bench ", OF_THE_BENCHMARKS),
    ] {
        page.run(tree().path());
    }
}
