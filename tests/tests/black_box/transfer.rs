//! `peerctl serve` and `fetch` between two homes: a whole site, through their routers and over lines that lose.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::{Household, Lab};
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;
use fastrand::Rng;
use nat_simulator::Link;

use crate::nat::{Programs, ServerInLab as _};

const FILES: usize = 200;
const FILE_BYTES: usize = 250_000;
/// Longest that the transfer of all may take on a machine that does much else.
const TRANSFER_MAX: Duration = Duration::from_mins(4);
/// Of the line of each home, one way. A round trip between them is four times that.
const LINE_DELAY: Duration = Duration::from_millis(10);
/// After how much silence a connection is lost, and what a machine that does much else needs besides.
const LOST_MAX: Duration = Duration::from_secs(15 + 20);

/// A home and its own `peerctl`.
struct Home {
    household: Household,
    launch: Launch,
}

/// One that has a site, one that wants it, and a server between.
struct Homes {
    owner: Home,
    reader: Home,
    /// The owner's id.
    id: String,
    _server: Programs,
    // Taken away last.
    _lab: Lab,
}

impl Home {
    fn path(&self, name: &str) -> PathBuf {
        self.launch.home().join(name)
    }

    /// Starts `peerctl` with these words.
    fn spawn(&self, words: &[&str]) -> Process {
        let launch = words.iter().fold(self.launch.clone(), |launch, word| launch.argument(word));
        self.household.spawn(&launch)
    }

    /// Runs it to its end, which has to be good; gives what it printed.
    fn prints(&self, words: &[&str], limit: Duration) -> String {
        let mut process = self.spawn(words);
        let status = process.wait(limit);
        assert!(status.success(), "{words:?}: {status}\n{}", process.said());
        process.stdout()
    }
}

impl Homes {
    /// Behind home routers, on lines that take their time. The one of the owner also loses this share, each way.
    fn open(loss: f64) -> Option<Self> {
        let lab = Lab::open()?;
        let server = Programs::start(&lab, &[Binary::Standalone]);
        let line = Link::delayed(LINE_DELAY);
        let [owner, reader] = [(1, loss), (2, 0.0)].map(|(seed, loss)| Home {
            household: lab.household_on(RouterKind::HomeRouter, Link { loss, ..line }, seed),
            launch: Launch::new(Binary::Peerctl)
                .set("PEERCTL_TRACKER", &format!("http://{}", server.tracker()))
                .set("PEERCTL_MATCHMAKER", &server.matchmaker().to_string()),
        });
        owner.prints(&["key"], PATIENCE);
        let id = owner.prints(&["key", "--show"], PATIENCE);
        write_site(&owner.path("site"));
        Some(Self { owner, reader, id, _server: server, _lab: lab })
    }

    /// Starts to serve, and waits until the owner is registered.
    fn serve(&self) -> Process {
        let serving = self.owner.spawn(&["serve", "site", "--key", "peer.key"]);
        eventually(PATIENCE, "the server's address", || serving.stdout().contains("address ").then_some(()));
        serving
    }

    fn fetching(&self) -> Process {
        self.reader.spawn(&["fetch", &self.id, "site"])
    }

    /// Fetches to the end, and says what `peerctl` says of it.
    fn fetch(&self) -> String {
        self.reader.prints(&["fetch", &self.id, "site"], TRANSFER_MAX)
    }

    fn copy(&self) -> PathBuf {
        self.reader.path("site")
    }

    #[track_caller]
    fn assert_copy_is_whole(&self) {
        // Not `assert_eq`, which would print 100 MB.
        assert!(files_below(&self.copy()) == files_below(&self.owner.path("site")), "every file as it was");
    }

    /// Waits until some files have come and most have not.
    fn wait_for_the_midst(&self) {
        eventually(TRANSFER_MAX, "some files", || {
            let there = names_below(&self.copy()).iter().filter(|name| !is_hidden(name)).count();
            (there >= FILES / 20).then_some(())
        });
        assert!(names_below(&self.copy()).len() < FILES, "it is over already");
    }

    /// Panics where a file has its name and not its content.
    #[track_caller]
    fn assert_no_half_files(&self) -> usize {
        let right = files_below(&self.owner.path("site"));
        let there = files_below(&self.copy());
        let named: Vec<_> = there.iter().filter(|(name, _)| !is_hidden(name)).collect();
        for (name, content) in &named {
            assert!(right.get(*name) == Some(content), "{} is not what it was", name.display());
        }
        named.len()
    }
}

/// Files that no two of are alike, nor two places in one.
fn write_site(directory: &Path) {
    let mut rng = Rng::with_seed(3);
    for number in 0..FILES {
        let folder = directory.join(format!("part-{}", number % 7));
        fs::create_dir_all(&folder).unwrap();
        let mut bytes = vec![0; FILE_BYTES];
        rng.fill(&mut bytes);
        fs::write(folder.join(format!("{number:03}.bin")), bytes).unwrap();
    }
}

fn is_hidden(name: &Path) -> bool {
    name.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// All files below a directory, which need not exist.
fn names_below(directory: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => names.push(entry.path()),
                // A part that was renamed in between.
                Err(_) => {}
            }
        }
    }
    names
}

fn files_below(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let names = names_below(directory);
    let below = |path: &Path| path.strip_prefix(directory).unwrap().to_owned();
    names.iter().map(|path| (below(path), fs::read(path).unwrap())).collect()
}

/// What docs/benchmarks has: how fast it was, with everything on one machine.
#[expect(clippy::print_stdout, reason = "a figure to be read")]
fn report(line: &str, fetched: &str) {
    println!("{line}: {fetched}");
}

#[test]
fn a_site_goes_from_home_to_home_with_the_right_hashes() {
    let Some(homes) = Homes::open(0.0) else { return };
    let _serving = homes.serve();
    report("no loss, round trip of 40 ms", &homes.fetch());
    homes.assert_copy_is_whole();
    let again = homes.fetch();
    assert!(again.contains(&format!("{FILES} were there")), "{again}");
}

#[test]
fn a_site_goes_from_home_to_home_over_a_line_that_loses_a_twentieth() {
    let Some(homes) = Homes::open(0.05) else { return };
    let _serving = homes.serve();
    report("5 % loss each way, round trip of 40 ms", &homes.fetch());
    homes.assert_copy_is_whole();
}

#[test]
fn a_server_that_dies_ends_the_fetch_and_the_next_one_goes_on_from_there() {
    let Some(homes) = Homes::open(0.0) else { return };
    let mut serving = homes.serve();
    let mut fetching = homes.fetching();
    homes.wait_for_the_midst();
    serving.kill9();
    let status = fetching.wait(LOST_MAX);
    assert_eq!(status.code(), Some(1), "{}", fetching.said());
    assert!(fetching.stderr().contains("the connection to the peer is lost"), "{}", fetching.said());
    let there = homes.assert_no_half_files();
    assert!((1..FILES).contains(&there), "{there} of {FILES}");

    let _serving = homes.serve();
    let fetched = homes.fetch();
    assert!(fetched.contains(&format!("{there} were there")), "{fetched}");
    homes.assert_copy_is_whole();
}

#[test]
fn a_fetch_that_dies_leaves_no_half_files_and_the_next_one_goes_on_from_there() {
    let Some(homes) = Homes::open(0.0) else { return };
    let _serving = homes.serve();
    let mut fetching = homes.fetching();
    homes.wait_for_the_midst();
    fetching.kill9();
    let there = homes.assert_no_half_files();
    assert!((1..FILES).contains(&there), "{there} of {FILES}");

    let fetched = homes.fetch();
    assert!(fetched.contains(&format!("{there} were there")), "{fetched}");
    // Nor are there pieces of files under other names any more.
    homes.assert_copy_is_whole();
}
