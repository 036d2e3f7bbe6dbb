//! What one learns `peerctl` from says all that there is: help, completions, manual pages, docs/PEERCTL.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test reports what is wrong by failing")]

use std::fs;

use clap::{CommandFactory as _, Parser as _, ValueEnum as _};
use clap_complete::Shell;

use super::{Cli, Command};

const PAGE: &str = include_str!("../../../../docs/PEERCTL.md");

fn commands() -> Vec<clap::Command> {
    let mut cli = Cli::command();
    cli.build();
    cli.get_subcommands().cloned().collect()
}

/// The switches of a command, without their dashes.
fn switches(command: &clap::Command) -> Vec<String> {
    command.get_arguments().filter_map(|argument| argument.get_long()).map(str::to_owned).collect()
}

/// The examples in what stands below the switches of `--help`, each as far as it is a command line of ours.
fn examples(command: &clap::Command) -> Vec<Vec<String>> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let examples =
        text.split_once("Examples:\n").map(|(_, examples)| examples.to_owned()).unwrap_or_default();
    let lines = examples.lines().filter_map(|line| line.strip_prefix("  peerctl "));
    // Two blanks end it, and what a shell takes for its own.
    let words = lines.map(|line| {
        let line = line.split("  ").next().unwrap_or_default();
        line.split(' ').take_while(|word| !matches!(*word, "|" | ">")).map(str::to_owned).collect()
    });
    words.collect()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_is_explained_by_examples_that_are_taken() {
    let mut all = commands();
    all.push(Cli::command());
    for command in all {
        let name = command.get_name();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(about.len() > 20, "{name}: {about:?}");
        let examples = examples(&command);
        assert!(examples.len() >= 2, "{name} has {} examples", examples.len());
        for example in examples {
            let words = [&["peerctl".to_owned()], example.as_slice()].concat();
            Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")));
        }
        for argument in command.get_arguments() {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.len() > 8, "{name} {argument}: {help:?}");
        }
    }
}

/// A terminal of the usual width.
const COLUMNS: usize = 80;

#[test]
fn help_is_cut_into_lines_by_the_terminal_and_not_by_us() {
    for command in commands().iter().chain([&Cli::command()]) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for line in &lines {
            assert!(!line.starts_with(' ') || line.len() <= COLUMNS, "{} columns: {line}", line.len());
        }
        for pair in lines.windows(2) {
            let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
            assert!(!pair.iter().all(|line| is_prose(line)), "{pair:#?}");
        }
    }
}

#[test]
fn completions_of_every_shell_have_all_commands_and_switches() {
    for shell in Shell::value_variants() {
        let mut script = Vec::new();
        clap_complete::generate(*shell, &mut Cli::command(), "peerctl", &mut script);
        let script = String::from_utf8(script).unwrap();
        for command in commands() {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            for switch in switches(&command) {
                assert!(script.contains(&switch), "{shell}: {} --{switch}", command.get_name());
            }
        }
    }
}

#[test]
fn the_manual_has_a_page_for_each_command_with_all_of_its_switches() {
    let dir = tempfile::tempdir().unwrap();
    let man = super::ManCommand { dir: Some(dir.path().join("man1")) };
    crate::run(super::Command::Man(man)).unwrap_or_else(|failure| panic!("{failure}"));
    let read = |name: &str| {
        // A dash is escaped in troff, lest it become a hyphen.
        fs::read_to_string(dir.path().join("man1").join(name)).unwrap().replace("\\-", "-")
    };
    let own = read("peerctl.1");
    assert!(own.contains("Exit codes"), "{own}");
    for command in commands() {
        let name = command.get_name();
        assert!(own.contains(&format!("peerctl-{name}(1)")), "{name}");
        let page = read(&format!("peerctl-{name}.1"));
        assert!(page.contains("Examples:"), "{name}");
        for switch in switches(&command) {
            assert!(page.contains(&format!("--{switch}")), "{name} --{switch}");
        }
    }
    let pages = fs::read_dir(dir.path().join("man1")).unwrap().count();
    assert_eq!(pages, commands().len() + 1);
}

#[test]
fn the_page_has_every_command_with_an_example_every_switch_and_every_exit_code() {
    for command in commands() {
        let name = command.get_name();
        assert!(
            PAGE.lines().any(|line| line.starts_with("## `") && line.contains(&format!("`{name}`"))),
            "{name}"
        );
        let example = format!("peerctl {name}");
        let has_example = PAGE.lines().any(|line| line.starts_with("$ ") && line.contains(&example));
        assert!(has_example, "{name} has no example");
        for switch in switches(&command).iter().filter(|switch| *switch != "help") {
            assert!(PAGE.contains(&format!("--{switch}")), "{name} --{switch}");
        }
    }
    for code in 0..=3 {
        assert!(PAGE.contains(&format!("\n| {code} | ")), "exit code {code}");
    }
}

#[test]
fn a_peer_whose_id_begins_with_hyphens_is_no_switch() {
    for id in ["-UAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw", "--AXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw"] {
        for words in [
            vec!["fetch", id, "home"],
            vec!["fetch", "--unchecked", id, "home", "--out", "copies"],
            vec!["connect", id, "--chat"],
            vec!["connect", "--count", "3", id],
        ] {
            let cli = Cli::try_parse_from([&["peerctl"], words.as_slice()].concat());
            let peer = match cli.unwrap_or_else(|error| panic!("{words:?}: {error}")).command {
                Command::Fetch(fetch) => fetch.peer,
                Command::Connect(connect) => connect.peer,
                other => panic!("{other:?}"),
            };
            assert_eq!(peer, crate::rendezvous::target(id).unwrap(), "{words:?}");
        }
    }
    for switch in ["-h", "--help", "--no-such-switch"] {
        assert!(Cli::try_parse_from(["peerctl", "fetch", switch, "home"]).is_err(), "{switch}");
    }
}
