//! A volume of the original server keeps its data in this image.

use std::time::Duration;

use black_box::container::{ContainerImage, Volume};

use super::endpoint::Endpoint;
use super::server;

/// For the import of a few keys after the start.
const IMPORT_LIMIT: Duration = Duration::from_secs(20);

/// Writes the original's keys by a redis of this image, leaves the volume to a user that this image does not know, and
/// ends. The options say how that redis keeps its data.
fn original_volume(image: &ContainerImage, options: &str) -> Volume {
    let volume = Volume::make();
    let container =
        image.run_command(&["--network=none", "--entrypoint=sleep", &volume.option()], &["infinity"]);
    let script = format!(
        "set -e
        redis-server --dir /data {options} --daemonize yes >/dev/null
        until redis-cli ping 2>/dev/null | grep -q PONG; do :; done
        redis-cli SADD file:old.html 203.0.113.5 198.51.100.1
        redis-cli SADD ip:203.0.113.5 old.html
        redis-cli SADD ip:198.51.100.1 old.html
        redis-cli SET filehash:old.html d41d8cd98f00b204e9800998ecf8427e
        now=$(date --utc --date='1 minute ago' +%FT%T.123456)
        redis-cli HSET peer:lastseen 203.0.113.5 $now 198.51.100.1 $now
        redis-cli SHUTDOWN
        while redis-cli ping >/dev/null 2>&1; do :; done
        chown --recursive 4242:4242 /data
        chmod --recursive go= /data"
    );
    container.exec(&["bash", "-c", &script]);
    volume
}

#[track_caller]
fn assert_taken_over(image: &ContainerImage, volume: &Volume) {
    for _ in 0..2 {
        let container = server(image, &[&volume.option()]);
        let endpoint = Endpoint::of(&container);
        container.eventually(IMPORT_LIMIT, "the original's peers", || {
            (endpoint.try_peers("old.html")? == ["198.51.100.1", "203.0.113.5"]).then_some(())
        });
        assert_eq!(container.exec(&["find", "/data", "!", "-user", "redis"]), "");
    }
}

#[test]
fn a_volume_of_the_original_keeps_its_data() {
    let Some(image) = ContainerImage::build() else { return };
    let volume = original_volume(&image, "--appendonly yes");
    assert_taken_over(&image, &volume);
}

#[test]
fn a_volume_with_a_snapshot_alone_keeps_its_data() {
    let Some(image) = ContainerImage::build() else { return };
    let volume = original_volume(&image, "--appendonly no --save '900 1'");
    assert_taken_over(&image, &volume);
}
