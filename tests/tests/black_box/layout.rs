//! The layout that ARCHITECTURE.md draws, held against what the manifests and the sources say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who may import whom, of our own crates.
const ARROWS: [(&str, &[&str]); 11] = [
    ("peer-core", &[]),
    ("service", &[]),
    ("registry", &["peer-core"]),
    ("matchmaker", &["peer-core", "registry", "service"]),
    ("tracker", &["peer-core", "registry", "service"]),
    ("standalone", &["matchmaker", "service", "tracker"]),
    ("bench", &["matchmaker", "peer-core", "registry"]),
    ("peerctl", &["peer-client", "peer-core"]),
    ("peer-client", &["peer-core"]),
    ("nat-simulator", &[]),
    ("black-box", &["nat-simulator"]),
];

/// Files that are functions of their arguments, and what would make them more than that.
const PURE: [&str; 17] = [
    "crates/core/src",
    "crates/client/src/machine.rs",
    "crates/client/src/machine",
    "crates/matchmaker/src/endpoints.rs",
    "crates/matchmaker/src/engine.rs",
    "crates/matchmaker/src/engine/admission.rs",
    "crates/matchmaker/src/nodes/asks.rs",
    "crates/matchmaker/src/nodes/elsewhere.rs",
    "crates/matchmaker/src/nodes/message.rs",
    "crates/matchmaker/src/nodes/moving.rs",
    "crates/matchmaker/src/nodes/presence.rs",
    "crates/matchmaker/src/stun.rs",
    "crates/matchmaker/src/v2.rs",
    "crates/matchmaker/src/v2",
    "crates/matchmaker/src/registrations.rs",
    "crates/matchmaker/src/registrations",
    "crates/matchmaker/src/outbox.rs",
];
const IMPURE_WORDS: [&str; 8] =
    ["tokio", "UdpSocket", "TcpStream", "Instant", "SystemTime", "std::fs", "std::thread", "fastrand"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").to_owned()
}

#[test]
fn arrows_between_crates_go_down_only() {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&cargo.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut imports = BTreeMap::new();
    for package in packages {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let of_us: BTreeSet<&str> = dependencies
            .iter()
            // Tests may use the harness of the black box.
            .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|name| ours.contains(name))
            .collect();
        imports.insert(package["name"].as_str().expect("a name"), of_us);
    }
    for (name, imported) in imports {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(other, _)| *other == name)
            .unwrap_or_else(|| panic!("{name} is new: where is its floor?"));
        let above: Vec<_> = imported.iter().filter(|other| !allowed.contains(other)).collect();
        assert!(above.is_empty(), "{name} may not import {above:?}");
    }
}

#[test]
fn what_is_a_function_of_its_arguments_has_no_clock_and_does_no_io() {
    for path in PURE {
        let path = root().join(path);
        let files = if path.is_dir() { rust_files(&path) } else { vec![path] };
        assert!(!files.is_empty());
        for file in files {
            let text = std::fs::read_to_string(&file).expect("a source file");
            for (number, line) in
                text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
            {
                for word in IMPURE_WORDS {
                    assert!(!line.contains(word), "{}:{}: {word}", file.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn only_the_redis_store_names_its_library() {
    for file in rust_files(&root().join("crates")) {
        let is_store = file.starts_with(root().join("crates/registry/src/redis"));
        let text = std::fs::read_to_string(&file).expect("a source file");
        assert!(is_store || !text.contains("deadpool_redis"), "{}", file.display());
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
