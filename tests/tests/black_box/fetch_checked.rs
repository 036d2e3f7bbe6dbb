//! `peerctl fetch` holds what a peer offers against what it published at a tracker.

use std::fs;
use std::path::Path;
use std::process::Output;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::Lab;
use black_box::process::Launch;
use black_box::router::RouterKind;
use nix::sys::signal::Signal;

use crate::nat::{Programs, ServerInLab as _};
use crate::peerctl::Peer;

/// More than a tracker is asked for at once, twice.
const FILES: usize = 401;

fn write(directory: &Path, name: &str, content: &str) {
    fs::create_dir_all(directory).expect("a folder");
    fs::write(directory.join(name), content).expect("a file");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no {word:?} in\n{said}");
    }
}

#[test]
fn what_a_peer_offers_is_what_it_published_or_nothing_is_fetched() {
    let services = Launch::new(Binary::Standalone).start();
    let (owner, reader) = (Peer::new(&services), Peer::new(&services));
    let (site, copy) = (owner.home.path().join("site"), reader.home.path().join("site"));
    for number in 0..FILES {
        write(&site, &format!("{number:03}"), &number.to_string());
    }
    owner.prints(&["key"]);
    let id = owner.prints(&["key", "--show"]).trim().to_owned();
    owner.prints(&["publish", "site", "--key", "peer.key"]);
    // Another peer has other contents under the same names, which is its right.
    let other = Peer::new(&services);
    write(&other.home.path().join("site"), "007", "another");
    other.prints(&["key"]);
    other.prints(&["publish", "site", "--key", "peer.key"]);

    let fetch = ["fetch", &id, "site", "--listen", "127.0.0.1:0"];
    let serving = owner.serve("site");
    let output = reader.run(&fetch);
    assert!(output.status.success(), "{output:?}");
    assert_says(&stderr(&output), &["401 of 401 files are as the peer published them at http://127.0.0.1:"]);
    assert_eq!(fs::read(copy.join("007")).expect("a file"), b"7");
    drop(serving);

    // Changed and served, and not published again; and one that is new.
    for name in ["007", "400"] {
        write(&site, name, "changed");
    }
    write(&site, "new", "new");
    let serving = owner.serve("site");
    let output = reader.run(&fetch);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_says(
        &stderr(&output),
        &[
            "error: 2 of 402 files are not what the peer published",
            "site/007, site/400",
            "hint: ",
            "--unchecked",
        ],
    );
    let differs = String::from_utf8_lossy(&output.stdout).into_owned();
    // Of "7" and of "changed".
    assert_says(
        &differs,
        &[
            "differs site/007: published 7902699be42c8a8e46fbbb4501726517e86b22c56a189f7625a6da49081b2451, offered ",
            "differs site/400: published ",
        ],
    );
    assert_eq!(differs.lines().count(), 2, "{differs}");
    assert_eq!(fs::read(copy.join("007")).expect("a file"), b"7", "nothing is fetched");
    assert!(!copy.join("new").exists(), "nothing is fetched");

    // What the publisher wants is said, and what it did not publish.
    owner.prints(&["publish", "site", "--key", "peer.key"]);
    write(&site, "later", "later");
    drop(serving);
    let _serving = owner.serve("site");
    let output = reader.run(&fetch);
    assert!(output.status.success(), "{output:?}");
    assert_says(
        &stderr(&output),
        &[
            "402 of 403 files are as the peer published them",
            "warning: the tracker knows no hash of this peer for 1 of 403 files: site/later",
        ],
    );
    assert_eq!(fs::read(copy.join("007")).expect("a file"), b"changed");
    assert_eq!(fs::read(copy.join("later")).expect("a file"), b"later");
}

#[test]
fn a_tracker_that_is_not_there_leaves_nothing_unchecked_unless_that_is_wanted() {
    let services = Launch::new(Binary::Standalone).start();
    let (owner, reader) = (Peer::new(&services), Peer::new(&services));
    write(&owner.home.path().join("site"), "a", "a");
    owner.prints(&["key"]);
    let id = owner.prints(&["key", "--show"]).trim().to_owned();
    let _serving = owner.serve("site");
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let fetch = ["fetch", &id, "site", "--listen", "127.0.0.1:0", "--tracker", &nowhere];
    let output = reader.run(&fetch);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_says(&stderr(&output), &["nothing was compared or fetched", &nowhere, "hint: ", "--unchecked"]);
    assert!(!reader.home.path().join("site").exists());
    let output = reader.run(&[&fetch[..], &["--unchecked"]].concat());
    assert!(output.status.success(), "{output:?}");
    let output = reader.run(&["fetch", &id, "site", "--tracker", "tracker.example.org"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_says(&stderr(&output), &["http:// or https://", "hint: "]);
}

/// One that nobody listens on: it was given out and taken back.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_peer_without_an_id_is_known_to_the_tracker_by_its_public_address() {
    let Some(lab) = Lab::open() else { return };
    let server = Programs::start(&lab, &[Binary::Tracker, Binary::Matchmaker]);
    let [owner, reader] = [(); 2].map(|()| lab.household(RouterKind::HomeRouter));
    let [owner_at, reader_at] = [(); 2].map(|()| {
        Launch::new(Binary::Peerctl)
            .set("PEERCTL_TRACKER", &format!("http://{}", server.tracker()))
            .set("PEERCTL_MATCHMAKER", &server.matchmaker().to_string())
    });
    let with = |launch: &Launch, words: &[&str]| {
        words.iter().fold(launch.clone(), |launch, word| launch.argument(word))
    };
    write(&owner_at.home().join("site"), "a", "a");
    let mut publishing = owner.spawn(&with(&owner_at, &["publish", "site"]));
    assert!(publishing.wait(PATIENCE).success(), "{}", publishing.said());
    let serve = || {
        let serving = owner.spawn(&with(&owner_at, &["serve", "site"]));
        eventually(PATIENCE, "the server's address", || serving.stdout().contains("address ").then_some(()));
        serving
    };
    let fetch = || {
        let mut fetching = reader.spawn(&with(&reader_at, &["fetch", &owner.public_text(), "site"]));
        let status = fetching.wait(PATIENCE);
        (status.code(), fetching.said())
    };
    let mut serving = serve();
    let (code, said) = fetch();
    assert_eq!(code, Some(0), "{said}");
    assert_says(&said, &["trusted on first sight", "1 of 1 files are as the peer published them"]);

    serving.signal(Signal::SIGTERM);
    assert!(serving.wait(PATIENCE).success(), "{}", serving.said());
    write(&owner_at.home().join("site"), "a", "b");
    let _serving = serve();
    let (code, said) = fetch();
    assert_eq!(code, Some(1), "{said}");
    assert_says(&said, &["1 of 1 files are not what the peer published", "site/a"]);
}
