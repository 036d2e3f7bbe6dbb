//! Where settings come from, and what a bad one gets.

use std::fs;

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::Lab;
use black_box::process::Launch;

/// The exit code of bad settings: `EX_USAGE` of `sysexits.h`.
const BAD_SETTINGS: i32 = 64;

/// Panics unless the program refuses these settings and its message names all `words`.
#[track_caller]
fn assert_refused(launch: &Launch, words: &[&str]) {
    let mut process = launch.spawn();
    let status = process.wait(PATIENCE);
    assert_eq!(status.code(), Some(BAD_SETTINGS), "{status}\n{}", process.said());
    for word in words {
        assert!(process.stderr().contains(word), "stderr does not say {word}:\n{}", process.said());
    }
    assert!(!process.said().contains("panicked"), "{}", process.said());
}

/// The host of the first address that the tracker listens on.
#[track_caller]
fn host(launch: &Launch) -> String {
    launch.start().address("tracker").ip().to_string()
}

#[test]
fn a_bad_setting_in_the_environment_is_named() {
    for (setting, value) in [
        ("TRACKER_LISTEN", "127.0.0.1:70000"),
        ("TRACKER_LISTEN", "127.0.0.1"),
        ("TRACKER_LISTEN", "somewhere:80:80"),
        ("TRACKER_LISTEN", "127.0.0.1:0,,"),
        ("TRACKER_ADMIN_LISTEN", "nonsense"),
        ("PEER_TTL_SECS", "-1"),
        ("PEER_TTL_SECS", "soon"),
        ("PEER_TTL_SECS", "1.5"),
        ("PEER_TTL_SECS", "99999999999999999999999"),
        ("TRUSTED_PROXIES", "everyone"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
        ("LOG_FORMAT", "xml"),
        ("LOG_ADDRESSES", "none"),
        ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ("RUST_LOG", "tracker=loud=very"),
        ("REDIS_URL", "http://127.0.0.1"),
        ("REDIS_URL", "not a url"),
    ] {
        assert_refused(&Launch::new(Binary::Tracker).set(setting, value), &[setting]);
    }
    for (setting, value) in [
        ("MATCHMAKER_LISTEN", "127.0.0.1:port"),
        ("MATCHMAKER_ADMIN_LISTEN", ":"),
        ("MAX_CLIENTS", "many"),
        ("MAX_CLIENTS", "0"),
        ("MATCHMAKER_ALT_PORT", "70000"),
        ("MATCHMAKER_STUN", "yes"),
        ("MATCHMAKER_STUN_SOFTWARE", "coturn"),
        ("MATCHMAKER_STUN_OTHER", "192.0.2.1"),
        ("MATCHMAKER_STUN_OTHER", "192.0.2.1/192.0.2.2"),
        ("MATCHMAKER_TOKEN_KEY", "secret"),
        ("MATCHMAKER_TOKEN_KEY", "000102030405060708090a0b0c0d0e0f,"),
        ("LOG_FORMAT", "JSON!"),
        ("RUST_LOG", "[["),
    ] {
        assert_refused(&Launch::new(Binary::Matchmaker).set(setting, value), &[setting]);
    }
}

#[test]
fn a_password_in_a_bad_redis_url_is_not_printed() {
    let launch = Launch::new(Binary::Tracker).set("REDIS_URL", "redis://user:s3cret@127.0.0.1:nonsense/0");
    let mut process = launch.spawn();
    assert_eq!(process.wait(PATIENCE).code(), Some(BAD_SETTINGS), "{}", process.said());
    assert!(!process.said().contains("s3cret"), "{}", process.said());
}

#[test]
fn a_bad_flag_is_named() {
    for binary in [Binary::Tracker, Binary::Matchmaker] {
        for (flag, value) in [("--port", "70000"), ("--port", "http"), ("--host", "not an address")] {
            assert_refused(&Launch::new(binary).argument(flag).argument(value), &[flag]);
        }
    }
    for binary in Binary::ALL {
        assert_refused(&Launch::new(binary).argument("--no-such-flag"), &["--no-such-flag"]);
        assert_refused(&Launch::new(binary).argument("--config"), &["--config"]);
    }
}

#[test]
fn a_configuration_file_that_is_missing_or_broken_is_named() {
    for binary in Binary::ALL {
        let launch = Launch::new(binary);
        assert_refused(&launch.clone().argument("--config").argument("missing.toml"), &["missing.toml"]);
        fs::write(launch.home().join("broken.toml"), "this is = = no TOML").unwrap();
        assert_refused(&launch.argument("--config").argument("broken.toml"), &["broken.toml"]);
    }
}

#[test]
fn an_unknown_or_bad_key_of_the_configuration_file_is_named() {
    for (content, word) in [
        ("trackr_listen = \"127.0.0.1:0\"", "trackr_listen"),
        ("peer_ttl_secs = \"soon\"", "peer_ttl_secs"),
        ("[section]\nkey = 1", "section"),
    ] {
        let launch = Launch::new(Binary::Tracker);
        fs::write(launch.home().join("settings.toml"), content).unwrap();
        let mut process = launch.argument("--config").argument("settings.toml").spawn();
        let status = process.wait(PATIENCE);
        assert_eq!(status.code(), Some(BAD_SETTINGS), "{content}: {status}\n{}", process.said());
        assert!(process.stderr().to_lowercase().contains(word), "{content}:\n{}", process.said());
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file_and_that_over_defaults() {
    let launch = Launch::new(Binary::Tracker).unset("TRACKER_LISTEN");
    fs::write(launch.home().join("settings.toml"), "tracker_listen = \"127.0.0.2:0\"\n").unwrap();
    let with_file = launch.argument("--config").argument("settings.toml");
    assert_eq!(host(&with_file), "127.0.0.2");
    let with_environment = with_file.set("TRACKER_LISTEN", "127.0.0.3:0");
    assert_eq!(host(&with_environment), "127.0.0.3");
    let with_flag =
        with_environment.argument("--host").argument("127.0.0.4").argument("--port").argument("0");
    assert_eq!(host(&with_flag), "127.0.0.4");
}

#[test]
fn a_dotenv_file_gives_way_to_the_environment_and_wins_over_the_file() {
    let launch = Launch::new(Binary::Tracker).unset("TRACKER_LISTEN");
    fs::write(launch.home().join("settings.toml"), "tracker_listen = \"127.0.0.2:0\"\n").unwrap();
    fs::write(launch.home().join(".env"), "TRACKER_LISTEN=127.0.0.3:0\n").unwrap();
    let with_file = launch.argument("--config").argument("settings.toml");
    assert_eq!(host(&with_file), "127.0.0.3");
    assert_eq!(host(&with_file.set("TRACKER_LISTEN", "127.0.0.4:0")), "127.0.0.4");
}

#[test]
fn settings_of_the_clients_do_not_disturb() {
    let launch = Launch::new(Binary::Matchmaker)
        .set("MATCHMAKER_HOST", "matchmaker.example")
        .set("MATCHMAKER_PORT", "12345")
        .set("SOMETHING_ELSE", "x");
    assert_eq!(launch.start().address("matchmaker").ip().to_string(), "127.0.0.1");
}

#[test]
fn an_empty_variable_is_as_good_as_none() {
    let launch = Launch::new(Binary::Tracker).set("REDIS_URL", "").set("PEER_TTL_SECS", "");
    assert_eq!(host(&launch), "127.0.0.1");
}

#[test]
fn the_defaults_are_the_ports_of_the_original() {
    // Fixed ports are free only where nobody else is.
    let Some(lab) = Lab::open() else { return };
    let namespace = lab.server();
    namespace.run(|| {
        let mut launch = Launch::new(Binary::Standalone);
        for (setting, _) in Binary::Standalone.listeners() {
            launch = launch.unset(setting);
        }
        let mut process = launch.spawn();
        for (service, addresses) in [
            ("tracker", ["0.0.0.0:8000", "[::]:8000"].as_slice()),
            ("matchmaker", &["0.0.0.0:12345", "[::]:12345"]),
            ("tracker-admin", &["127.0.0.1:8001"]),
            ("matchmaker-admin", &["127.0.0.1:8002"]),
        ] {
            process.wait_for_listeners(service, addresses.len());
            let mut found: Vec<String> = process.addresses(service).iter().map(ToString::to_string).collect();
            found.sort();
            assert_eq!(found, addresses);
        }
    });
}

#[test]
fn logs_are_text_by_default() {
    let process = Launch::new(Binary::Matchmaker).unset("LOG_FORMAT").spawn();
    eventually(PATIENCE, "a text line for each listener", || {
        let said = process.stdout();
        assert!(!said.contains("\"message\""), "{said}");
        (said.matches("listening").count() >= 2).then_some(())
    });
}
