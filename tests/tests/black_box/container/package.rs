//! The Debian package, on a system that has nothing else.

use std::process::Command;

use black_box::commands::root;
use black_box::container::ContainerImage;
use black_box::deadline::PATIENCE;
use black_box::skip::skipped;

/// Where the container sees the folder with the package.
const MOUNTED: &str = "/package";

/// Builds the package from the programs that the tests are about, and gives its name in target/debian.
fn package() -> Option<String> {
    let installed = root().join("target/tools/bin/cargo-deb").exists();
    if !installed && !Command::new("cargo-deb").arg("--version").output().is_ok_and(|it| it.status.success())
    {
        skipped("cargo-deb", "it is not installed");
        return None;
    }
    let built = Command::new(root().join("deploy/debian/build")).arg("debug").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let path = String::from_utf8(built.stdout).unwrap();
    Some(path.trim().rsplit('/').next().unwrap().to_owned())
}

#[test]
fn the_package_installs_works_keeps_settings_and_leaves_nothing() {
    let Some(image) = ContainerImage::bare() else { return };
    let Some(package) = package() else { return };
    let mount = format!("--volume={}:{MOUNTED}:ro", root().join("target/debian").display());
    let container = image.run_command(&[&mount], &["sleep", "infinity"]);
    let shell = |line: &str| container.exec(&["sh", "-ec", line]);
    let install = format!("apt-get install -qq {MOUNTED}/{package} 2>&1");

    shell(&install);
    let version = shell("dpkg-query --show --showformat='${Version}' p2p-tracker");
    let (version, _) = version.split_once('-').expect("a version with a revision");
    for program in ["tracker", "matchmaker", "standalone", "peerctl"] {
        assert_eq!(shell(&format!("{program} --version")), format!("{program} {version}"));
    }
    // By the list, since a slim system leaves manuals and documents out.
    let files = shell("dpkg --listfiles p2p-tracker");
    for path in [
        "/usr/share/man/man1/peerctl.1.gz",
        "/usr/share/man/man1/peerctl-fetch.1.gz",
        "/usr/share/bash-completion/completions/peerctl",
        "/usr/share/fish/vendor_completions.d/peerctl.fish",
        "/usr/share/zsh/vendor-completions/_peerctl",
        "/usr/share/doc/p2p-tracker/settings.sample.toml",
        "/usr/share/doc/p2p-tracker/copyright",
    ] {
        assert!(files.lines().any(|file| file == path), "{path}");
    }
    for unit in ["tracker", "matchmaker", "standalone"] {
        let start = shell(&format!("grep ^ExecStart= /usr/lib/systemd/system/{unit}.service"));
        assert_eq!(start, format!("ExecStart=/usr/bin/{unit}"));
        assert_eq!(shell(&format!("stat --format=%a /etc/p2p-tracker/{unit}.env")), "600");
        // What is started, and when, is the operator's word.
        shell(&format!("test ! -e /etc/systemd/system/multi-user.target.wants/{unit}.service"));
    }

    shell("DATA_DIR=/tmp/data standalone >/tmp/log 2>&1 &");
    container.eventually(PATIENCE, "the tracker answers", || container.try_exec(&["peerctl", "files"]).ok());
    shell("peerctl publish /usr/lib/systemd/system --site units");
    assert!(shell("peerctl files").contains("units/tracker.service"));

    shell("echo PEER_TTL_SECS=600 >> /etc/p2p-tracker/tracker.env");
    shell(&install.replace("install", "install --reinstall"));
    assert_eq!(shell("tail -n 1 /etc/p2p-tracker/tracker.env"), "PEER_TTL_SECS=600");
    shell("apt-get purge -qq p2p-tracker 2>&1");
    let names =
        ["*p2p-tracker*", "*peerctl*", "tracker.service*", "matchmaker.service*", "standalone.service*"];
    let names = names.map(|name| format!("-name '{name}'")).join(" -o ");
    assert_eq!(shell(&format!("find / -xdev {names}")), "");
}
