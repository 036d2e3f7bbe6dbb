//! What `peerctl` says where it cannot do what it was asked for: what was wrong, and a hint of what to try next.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;

use black_box::binary::Binary;
use black_box::process::Launch;

use crate::peerctl::Peer;

/// The id of somebody who is not there.
const NOBODY: &str = "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw";

/// A command line, its exit code, and what the hint has in it.
type Case<'a> = (&'a [&'a str], i32, &'a str);

/// Runs each. The error comes first, and nothing comes after the hint.
#[track_caller]
fn each_has_a_hint(peer: &Peer<'_>, cases: &[Case<'_>]) {
    for (words, code, hint) in cases {
        has_a_hint(&peer.run(words), words, *code, hint);
    }
}

#[track_caller]
fn has_a_hint(output: &Output, words: &[&str], code: i32, hint: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.starts_with("error: ")).count(), 1, "{words:?}: {said}");
    let last = lines.last().expect("a line");
    assert!(last.starts_with("hint: ") && last.contains(hint), "{words:?}: {said}");
}

#[test]
fn a_command_line_that_is_wrong_is_told_where_to_read_on() {
    let services = Launch::new(Binary::Standalone).start();
    let peer = Peer::new(&services);
    each_has_a_hint(
        &peer,
        &[
            (&["fech", "site"], 2, "peerctl --help"),
            (&["--quiet"], 2, "peerctl --help"),
            (&["fetch", NOBODY], 2, "peerctl fetch --help"),
            (&["fetch", "bob", "site"], 2, "peerctl fetch --help"),
            (&["fetch", NOBODY, "site", "--max-bytes", "1GB"], 2, "peerctl fetch --help"),
            (&["connect", NOBODY, "--cout", "3"], 2, "peerctl connect --help"),
            (&["connect"], 2, "peerctl connect --help"),
            (&["peers", "a", "--limit", "0"], 2, "peerctl peers --help"),
            (&["publish", "site", "--ttl", "5"], 2, "peerctl publish --help"),
            (&["publish", "site", "--port", "0"], 2, "peerctl publish --help"),
            (&["serve", "site", "--listen", "localhost"], 2, "peerctl serve --help"),
            (&["key", "a.key", "b.key"], 2, "peerctl key --help"),
            (&["completion", "tcsh"], 2, "peerctl completions --help"),
        ],
    );
    // What was asked for is no error, and help for who asks for nothing is the hint.
    for (words, code) in [(&["fetch", "--help"] as &[&str], 0), (&["--version"], 0), (&[], 2)] {
        let output = peer.run(words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("error: "), "{words:?}: {output:?}");
    }
}

#[test]
fn a_file_or_a_directory_that_does_not_serve_is_named_with_what_to_do() {
    let services = Launch::new(Binary::Standalone).start();
    let peer = Peer::new(&services);
    peer.prints(&["key"]);
    let home = peer.home.path();
    fs::create_dir(home.join("empty")).expect("a folder");
    fs::create_dir_all(home.join("deep").join("a/".repeat(70))).expect("a folder");
    fs::create_dir(home.join("site")).expect("a folder");
    fs::write(home.join("site/a"), "a").expect("a file");
    for (name, mode) in [("open.key", 0o644), ("no.key", 0o600)] {
        fs::write(home.join(name), "no key").expect("a file");
        fs::set_permissions(home.join(name), fs::Permissions::from_mode(mode)).expect("our own file");
    }
    each_has_a_hint(
        &peer,
        &[
            (&["key"], 1, "peerctl key --show peer.key"),
            (&["key", "--show", "missing.key"], 1, "peerctl key missing.key"),
            (&["key", "--show", "open.key"], 1, "chmod 600 open.key"),
            (&["key", "--show", "no.key"], 1, "openssl"),
            (&["key", "missing/peer.key"], 1, "directory"),
            (&["serve", "site", "--key", "missing.key"], 1, "peerctl key missing.key"),
            (&["publish", "empty"], 1, "--hidden"),
            (&["publish", "missing"], 1, "DIR is a directory that is there"),
            (&["publish", "missing", "--site", "home"], 1, "DIR is a directory that is there"),
            (&["serve", "site/a"], 1, "DIR is a directory that is there"),
            (&["publish", "deep"], 1, "further down"),
            (&["publish", "/"], 2, "--site"),
            (&["publish", "site", "--site", "a/b"], 2, "one word"),
            (&["fetch", NOBODY, "a/b"], 2, "one word"),
            (&["fetch", NOBODY, "site", "--out", "site/a"], 1, "--out"),
            (&["man", "site/a"], 1, "peerctl man DIR"),
        ],
    );
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a disk that is full");
    peer.prints(&["publish", "site"]);
    let output = peer.command(&["files"]).stdout(full).output().expect("peerctl can be started");
    has_a_hint(&output, &["files"], 1, "disk is full");
}

#[test]
fn a_server_or_a_peer_that_does_not_do_it_is_named_with_what_to_try() {
    let services = Launch::new(Binary::Standalone).start();
    let peer = Peer::new(&services);
    peer.prints(&["key"]);
    let id = peer.prints(&["key", "--show"]);
    let id = id.trim();
    fs::create_dir(peer.home.path().join("site")).expect("a folder");
    fs::write(peer.home.path().join("site/a"), "a").expect("a file");
    let no_tracker = format!("http://{}", services.address("tracker-admin"));
    let no_tls = format!("https://{}", services.address("tracker"));
    // Nothing listens at this port of UDP: it is one of TCP.
    let silent = services.address("tracker").to_string();
    let with_scheme = format!("http://{silent}");
    let _serving = peer.serve("site");
    each_has_a_hint(
        &peer,
        &[
            (&["publish", "site", "--tracker", &no_tracker], 1, "curl"),
            (&["publish", "site", "--key", "peer.key", "--server-name", "another"], 1, "--server-name"),
            (&["peers", "../a"], 1, "/docs"),
            (&["watch", "--tracker", "http://127.0.0.1:9"], 1, "PEERCTL_TRACKER"),
            (&["files", "--tracker", &no_tls], 1, "speaks TLS"),
            (&["files", "--tracker", "tracker.example.org"], 2, "--tracker https://"),
            (&["files", "--tracker", "http://me:secret@127.0.0.1"], 2, "--tracker https://"),
            (&["fetch", id, "site", "--tracker", "tracker.example.org"], 2, "--tracker https://"),
            (&["fetch", id, "site", "--tracker", "http://127.0.0.1:9"], 1, "--unchecked"),
            (&["netcheck", "--matchmaker", &silent], 3, "--matchmaker"),
            (&["serve", "site", "--matchmaker", "no.such.host.invalid"], 1, "--matchmaker"),
            (&["connect", NOBODY, "--matchmaker", &with_scheme], 1, "without a scheme"),
            (&["connect", NOBODY, "--matchmaker", &silent], 3, "netcheck"),
            (&["connect", NOBODY, "--ipv6"], 1, "leave out --ipv6"),
            (&["connect", NOBODY, "--listen", "192.0.2.1:0"], 1, "an address of this machine"),
            (&["connect", NOBODY, "--listen", "[::1]:0"], 2, "the matchmaker's family"),
            (&["connect", NOBODY], 3, "peerctl serve or wait"),
            (&["fetch", id, "other"], 1, "peerctl files"),
            (&["fetch", id, "site", "--max-bytes", "0", "--unchecked"], 1, "--max-bytes"),
        ],
    );
}
