//! The units of deploy/systemd: systemd takes them, they give away little, and what they say is what the programs do.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::commands::root;
use black_box::deadline::PATIENCE;
use black_box::process::Launch;
use black_box::skip::skipped;
use nix::sys::signal::Signal;

/// Most exposure, in tenths, that `systemd-analyze security` may find: 0 is none, and 100 a process of root without limits.
const EXPOSURE_MAX: u8 = 15;

/// A unit's settings by name, each with all its values.
fn unit(binary: Binary) -> (String, BTreeMap<String, Vec<String>>) {
    let path = root().join(format!("deploy/systemd/{}.service", binary.name()));
    let text = fs::read_to_string(path).unwrap();
    let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((name, value)) = line.split_once('=') {
            settings.entry(name.to_owned()).or_default().push(value.to_owned());
        }
    }
    (text, settings)
}

/// The value of a setting that is there once.
#[track_caller]
fn only<'a>(settings: &'a BTreeMap<String, Vec<String>>, name: &str) -> &'a str {
    let values = settings.get(name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(values.len(), 1, "{name}");
    &values[0]
}

#[test]
fn systemd_takes_the_units_and_finds_little_that_is_exposed() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    if !version.is_ok_and(|output| output.status.success()) {
        skipped("systemd-analyze", "it does not run here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    };
    for binary in Binary::ALL {
        let (text, settings) = unit(binary);
        let installed = format!("/usr/bin/{}", binary.name());
        assert_eq!(only(&settings, "ExecStart"), installed);
        // It is not installed here, and systemd wants the program to be there.
        let built = binary.path().display().to_string();
        let path = folder.path().join(format!("{}.service", binary.name()));
        fs::write(&path, text.replace(&installed, &built)).unwrap();
        let path = path.display().to_string();
        let (is_taken, said) = analyze(&["verify", "--man=no", &path]);
        assert!(is_taken && said.trim().is_empty(), "{said}");
        let threshold = format!("--threshold={EXPOSURE_MAX}");
        let (is_below, said) = analyze(&["security", "--offline=yes", &threshold, &path]);
        assert!(is_below, "{said}");
    }
}

#[test]
fn a_program_is_started_again_but_not_with_bad_settings() {
    for binary in Binary::ALL {
        let (_, settings) = unit(binary);
        assert_eq!((only(&settings, "Restart"), only(&settings, "Type")), ("always", "exec"));
        assert_eq!(only(&settings, "StartLimitIntervalSec"), "0");
        let bad = Launch::new(binary).set("PEER_TTL_SECS", "soon").set("MAX_CLIENTS", "none");
        let code = bad.spawn().wait(PATIENCE).code().unwrap();
        assert_eq!(only(&settings, "RestartPreventExitStatus"), code.to_string());
        let mut process = Launch::new(binary).start();
        assert_eq!(only(&settings, "KillSignal"), "SIGTERM");
        process.signal(Signal::SIGTERM);
        assert_eq!(process.wait(PATIENCE).code(), Some(0));
    }
}

#[test]
fn nobody_is_killed_while_peers_move_or_requests_end() {
    let sample = fs::read_to_string(root().join("deploy/settings.sample.toml")).unwrap();
    let drain = sample.lines().find_map(|line| line.strip_prefix("#drain_secs = ")).unwrap();
    let drain: u64 = drain.trim_matches('"').parse().unwrap();
    for binary in Binary::ALL {
        let (_, settings) = unit(binary);
        let stop = Duration::from_secs(only(&settings, "TimeoutStopSec").parse().unwrap());
        let least = if binary == Binary::Tracker { 8 } else { drain + 8 };
        assert!(stop > Duration::from_secs(least), "{binary:?}: {stop:?}");
    }
}

#[test]
fn data_are_in_the_state_directory_and_settings_in_a_file_that_may_be_absent() {
    for binary in Binary::ALL {
        let (_, settings) = unit(binary);
        let file = format!("-/etc/p2p-tracker/{}.env", binary.name());
        assert_eq!(only(&settings, "EnvironmentFile"), file);
        if binary == Binary::Matchmaker {
            assert!(!settings.contains_key("StateDirectory"), "it keeps nothing");
            continue;
        }
        let state = format!("%S/{}", only(&settings, "StateDirectory"));
        assert_eq!(only(&settings, "Environment"), format!("DATA_DIR={state}"));
        assert_eq!(only(&settings, "WorkingDirectory"), state);
    }
}
