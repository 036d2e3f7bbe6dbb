//! The Debian package, on a system that has nothing else.

use std::process::Command;

use black_box::commands::root;
use black_box::container::{Container, ContainerImage};
use black_box::deadline::PATIENCE;
use black_box::skip::skipped;

/// Where the container sees the folder with the package.
const MOUNTED: &str = "/package";

const UNITS: [&str; 3] = ["tracker", "matchmaker", "standalone"];

/// One of the users that systemd makes up for `DynamicUser=`.
const USER: &str = "61184";

/// Starts the program of the unit `$1` as systemd would, which does not run in a container: by what the unit says and its file
/// of settings, as the user `$2`, who has the state directory and no capability. The exit code is in a file afterwards.
const START: &str = r#"
    unit=$1 user=$2
    says() { sed -n "s,%S,/var/lib,g; s,^$1=,,p" "/usr/lib/systemd/system/$unit.service"; }
    state=$(says StateDirectory)
    [ -z "$state" ] ||
        install -d -o "$user" -g "$user" -m "$(says StateDirectoryMode)" "/var/lib/$state"
    cd "$(says WorkingDirectory)"
    umask "$(says UMask)"
    settings=$(says EnvironmentFile)
    settings=$(grep -v '^#' "${settings#-}" || true)
    (
        env -i $(says Environment) $settings setpriv --reuid="$user" --regid="$user" --clear-groups \
            --no-new-privs --inh-caps=-all --bounding-set=-all $(says ExecStart) &
        echo $! >/tmp/$unit.pid
        wait $! || code=$?
        echo "${code:-0}" >/tmp/$unit.code
    ) >/tmp/$unit.log 2>&1 &
"#;

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
    has_all_files(&container);
    units_serve(&container);

    let settings = shell("tail -n 1 /etc/p2p-tracker/tracker.env");
    shell(&install.replace("install", "install --reinstall"));
    assert_eq!(shell("tail -n 1 /etc/p2p-tracker/tracker.env"), settings);

    systemd_takes_the_units(&container);
    shell("apt-get purge -qq p2p-tracker 2>&1");
    let names = ["*p2p-tracker*".to_owned(), "*peerctl*".to_owned()];
    let names = names.into_iter().chain(UNITS.map(|unit| format!("{unit}.service*")));
    let names: Vec<String> = names.map(|name| format!("-name '{name}'")).collect();
    // Data are the operator's to take away.
    assert_eq!(shell(&format!("find / -xdev {}", names.join(" -o "))), "/var/lib/p2p-tracker");
}

fn has_all_files(container: &Container) {
    let shell = |line: &str| container.exec(&["sh", "-ec", line]);
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
    for unit in UNITS {
        assert_eq!(shell(&format!("stat --format=%a /etc/p2p-tracker/{unit}.env")), "600");
        // What is started, and when, is the operator's word.
        shell(&format!("test ! -e /etc/systemd/system/multi-user.target.wants/{unit}.service"));
    }
}

/// Each unit's program answers with its settings, and `standalone` has what the tracker stored.
fn units_serve(container: &Container) {
    let shell = |line: &str| container.exec(&["sh", "-ec", line]);
    let start = |unit| container.exec(&["sh", "-ec", START, "sh", unit, USER]);
    let answers = |unit: &str, command: &[&str]| {
        container.eventually(PATIENCE, &format!("{unit} answers"), || container.try_exec(command).ok());
        assert_eq!(shell(&format!("stat --format=%u /proc/$(cat /tmp/{unit}.pid)")), USER);
    };
    let ends = |unit: &str| {
        shell(&format!("kill -TERM $(cat /tmp/{unit}.pid)"));
        let code = format!("/tmp/{unit}.code");
        let code = container.eventually(PATIENCE, &format!("{unit} has ended"), || {
            container.try_exec(&["cat", &code]).ok().filter(|code| !code.is_empty())
        });
        assert_eq!(code, "0", "{unit}: {}", shell(&format!("cat /tmp/{unit}.log")));
    };
    let tracker = "http://127.0.0.1:8400";
    let matchmaker = "127.0.0.1:12400";
    shell("echo TRACKER_LISTEN=127.0.0.1:8400 >>/etc/p2p-tracker/tracker.env");
    shell(&format!("echo MATCHMAKER_LISTEN={matchmaker} >>/etc/p2p-tracker/matchmaker.env"));

    start("tracker");
    start("matchmaker");
    answers("tracker", &["peerctl", "files", "--tracker", tracker]);
    answers("matchmaker", &["peerctl", "netcheck", "--matchmaker", matchmaker]);
    shell(&format!("peerctl publish /usr/lib/systemd/system --site units --tracker {tracker}"));
    ends("tracker");
    ends("matchmaker");
    assert_eq!(shell("stat --format='%u %a' /var/lib/p2p-tracker"), format!("{USER} 700"));

    start("standalone");
    answers("standalone", &["peerctl", "files"]);
    answers("standalone", &["peerctl", "netcheck"]);
    assert!(shell("peerctl files").contains("units/tracker.service"));
    ends("standalone");
}

fn systemd_takes_the_units(container: &Container) {
    let shell = |line: &str| container.exec(&["sh", "-ec", line]);
    shell("apt-get update -qq 2>&1 && apt-get install -qq --no-install-recommends systemd 2>&1");
    for unit in UNITS {
        let verify = format!("systemd-analyze verify --man=no /usr/lib/systemd/system/{unit}.service 2>&1");
        assert_eq!(shell(&verify), "", "{unit}");
    }
}
