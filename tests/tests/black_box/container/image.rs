//! What the image says of itself and what is in it.

use black_box::container::ContainerImage;
use serde_json::json;

/// The Debian base is 75 MB of it, redis and supervisord with its Python 40 MB.
const SIZE_LIMIT_BYTES: u64 = 150_000_000;

#[test]
fn the_image_is_small_and_says_what_it_is() {
    let Some(image) = ContainerImage::build() else { return };
    let image = image.inspect();
    let config = &image["Config"];
    assert_eq!(config["ExposedPorts"], json!({"8000/tcp": {}, "12345/udp": {}}));
    assert_eq!(config["Volumes"], json!({"/data": {}}));
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "container-health"]));
    let labels = config["Labels"].as_object().unwrap();
    for name in ["title", "description", "source", "licenses", "version", "revision"] {
        let label = labels.get(&format!("org.opencontainers.image.{name}"));
        assert!(
            label.is_some_and(|label| label.as_str().is_some_and(|text| !text.is_empty())),
            "{name}: {labels:?}"
        );
    }
    let size = image["Size"].as_u64().unwrap();
    assert!(size < SIZE_LIMIT_BYTES, "{size} bytes");
}

#[test]
fn the_image_holds_no_tools_and_no_leftovers_of_the_build() {
    let Some(image) = ContainerImage::build() else { return };
    let container = image.run_command(&["--network=none", "--entrypoint=sleep"], &["infinity"]);
    for absent in ["cargo", "rustc", "gcc", "curl", "wget", "ps"] {
        let found = container.try_exec(&["bash", "-c", &format!("command -v {absent}")]);
        assert!(found.is_err(), "{absent} is in the image: {found:?}");
    }
    for empty in ["/var/lib/apt/lists", "/var/cache/apt/archives", "/usr/share/man", "/data"] {
        let files = container.exec(&["find", empty, "-type", "f", "-not", "-name", "lock"]);
        assert_eq!(files, "", "in {empty}");
    }
}

#[test]
fn the_image_runs_either_program_alone() {
    let Some(image) = ContainerImage::build() else { return };
    for program in ["tracker", "matchmaker"] {
        let container = image.run_command(&["--network=none", "--entrypoint=sleep"], &["infinity"]);
        let version = container.exec(&[program, "--version"]);
        assert!(version.starts_with(program), "{version}");
    }
}
