//! Network namespaces: made, entered by a thread, deleted.

use std::fs::{self, File};
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::deadline::{PATIENCE, eventually};

/// Every namespace of these tests is called `bb-<process>-<number>-<role>`.
const PREFIX: &str = "bb-";

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// A network namespace. One that was made here is deleted when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    handle: OwnedFd,
    /// What `ip link … netns` takes.
    reference: String,
    made_here: bool,
}

impl Namespace {
    /// A new one, with loopback up and no other way out. The error is what `ip` says.
    pub fn make(role: &str) -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}-{role}", process::id());
        succeed(Command::new("ip").args(["netns", "add", &name]))?;
        let handle = File::open(Path::new(FOLDER).join(&name)).map_err(|error| error.to_string())?.into();
        let namespace = Self { handle, reference: name, made_here: true };
        namespace.ip("link set lo up");
        // Its addresses are known to be free: interfaces that are made in it need not find that out for a second.
        for setting in ["all/accept_dad", "default/accept_dad", "default/dad_transmits"] {
            let _ = namespace.kernel_setting(&format!("net/ipv6/conf/{setting}"), "0");
        }
        // Docker loads a module that passes bridged frames through the filter of whoever bridges them.
        for family in ["ip", "ip6", "arp"] {
            let _ = namespace.kernel_setting(&format!("net/bridge/bridge-nf-call-{family}tables"), "0");
        }
        Ok(namespace)
    }

    /// That of a process which runs already: a container, say.
    pub fn of_process(id: u32) -> Self {
        let handle = File::open(format!("/proc/{id}/ns/net")).expect("the process runs").into();
        Self { handle, reference: id.to_string(), made_here: false }
    }

    /// What `ip link … netns` takes for it.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Runs `work` in a thread that is inside. Sockets and processes that it makes stay inside.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(&self.handle, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join().unwrap_or_else(|panic| resume_unwind(panic)))
    }

    /// Runs `ip` inside, with these words.
    #[track_caller]
    pub fn ip(&self, words: &str) {
        let done = self.run(|| succeed(Command::new("ip").args(words.split_whitespace())));
        done.unwrap_or_else(|error| panic!("ip {words} in {}: {error}", self.reference));
    }

    /// Gives an interface that is up an IPv6 address that is known to be free, and waits until neighbours can find it there.
    #[track_caller]
    pub fn add_v6_address(&self, address: Ipv6Addr, interface: &str) {
        self.ip(&format!("addr add {address}/64 dev {interface} nodad"));
        // The kernel joins the group of those who are asked for it (RFC 4291, section 2.7.1) behind our back, and whoever
        // asks before is not answered, and asks again after a second.
        let [.., high, middle, low] = address.octets();
        let group = format!("ff0200000000000000000001ff{high:02x}{middle:02x}{low:02x}");
        eventually(PATIENCE, "a group of solicited nodes", || {
            let groups = self.run(|| fs::read_to_string("/proc/thread-self/net/igmp6")).ok()?;
            let has_joined = |line: &str| {
                let mut words = line.split_whitespace().skip(1);
                words.next() == Some(interface) && words.next() == Some(&group)
            };
            groups.lines().any(has_joined).then_some(())
        });
    }

    /// Gives loopback these further IPv6 addresses, and waits until they can be reached.
    pub fn add_loopback_addresses(&self, addresses: &[Ipv6Addr]) {
        for address in addresses {
            self.ip(&format!("addr add {address}/64 dev lo nodad"));
        }
        // The kernel makes the routes behind our back: a socket can be bound before a datagram finds it.
        eventually(PATIENCE, "local routes", || {
            let mut command = Command::new("ip");
            let routes = self.run(|| output(command.args(["-6", "route", "show", "table", "local"]))).ok()?;
            addresses.iter().all(|address| routes.contains(&format!("local {address} dev lo"))).then_some(())
        });
    }

    /// Sets a value under `/proc/sys` as this namespace sees it.
    pub fn kernel_setting(&self, path: &str, value: &str) -> std::io::Result<()> {
        self.run(|| fs::write(Path::new("/proc/sys").join(path), value))
    }

    /// Loads nftables rules inside.
    pub fn filter(&self, rules: &str) {
        let loaded = self.run(|| {
            let file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
            fs::write(file.path(), rules).map_err(|error| error.to_string())?;
            succeed(Command::new("nft").arg("-f").arg(file.path()))
        });
        loaded.unwrap_or_else(|error| panic!("nft in {}: {error}\n{rules}", self.reference));
    }

    /// Connects a new interface of this one with a new interface of another.
    #[track_caller]
    pub fn join(&self, interface: &str, other: &Self, other_interface: &str) {
        // Both ends are made where they belong: names are then free to be the same in every lab.
        self.ip(&format!(
            "link add {interface} type veth peer name {other_interface} netns {}",
            other.reference
        ));
        self.ip(&format!("link set {interface} up"));
        other.ip(&format!("link set {other_interface} up"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.made_here {
            let _ = succeed(Command::new("ip").args(["netns", "delete", &self.reference]));
        }
    }
}

/// Deletes the namespaces of test processes that were killed before they could do so.
pub fn sweep() {
    let Ok(entries) = fs::read_dir(FOLDER) else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = succeed(Command::new("ip").args(["netns", "delete", &name]));
        }
    }
}

/// Runs a command to its end. The error is what it wrote to stderr.
pub(crate) fn succeed(command: &mut Command) -> Result<(), String> {
    output(command).map(|_| ())
}

/// As [`succeed`], and gives what it wrote to stdout.
fn output(command: &mut Command) -> Result<String, String> {
    let done = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(format!("{command:?}: {}", String::from_utf8_lossy(&done.stderr).trim()))
    }
}
