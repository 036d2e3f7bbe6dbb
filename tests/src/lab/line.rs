//! A line that delays, jitters and loses, between two Ethernet interfaces of our own.
//!
//! The kernel's own way (netem) is not in every kernel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fastrand::Rng;
use nat_simulator::Link;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use crate::lab::{SERVER, SERVER_V6};
use crate::namespace::Namespace;

/// An Ethernet frame and more.
const FRAME_BYTES_MAX: usize = 2_048;

/// Frames on their way; what is beyond that is lost, as in the queue of a router.
const FRAMES_MAX: usize = 10_000;

/// Which of the two ends.
type End = usize;

/// When it is due, which one it is, where it goes, and what it is.
type Frame = (Instant, u64, End, Vec<u8>);

/// A line between two interfaces. It is taken away when this is dropped.
#[derive(Debug)]
pub(crate) struct Line {
    /// What datagrams to and from the server take beyond the others, in us.
    detour_us: Arc<AtomicU64>,
    /// Closed to end the thread.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Line {
    /// A new interface in each of two namespaces, and between them a line like `link`, with chance from `seed`.
    pub(crate) fn lay(ends: [(&Namespace, &str); 2], link: Link, seed: u64) -> io::Result<Self> {
        let devices = ends.map(|(namespace, interface)| {
            let device = namespace.run(|| interface_named(interface))?;
            namespace.ip(&format!("link set {interface} up"));
            Ok::<_, io::Error>(device)
        });
        let [first, second] = devices;
        let (stopped, stop) = io::pipe()?;
        let detour_us = Arc::new(AtomicU64::new(0));
        let mut forwarder = Forwarder {
            devices: [first?, second?],
            link,
            detour_us: Arc::clone(&detour_us),
            rng: Rng::with_seed(seed),
            frames: BinaryHeap::new(),
            number: 0,
        };
        let thread =
            thread::spawn(move || forwarder.run(&stopped).expect("interfaces of our own can be used"));
        Ok(Self { detour_us, stop: Some(stop), thread: Some(thread) })
    }

    /// From now on, the server is so much farther than all others, each way.
    pub(crate) fn keep_server_away(&self, detour: Duration) {
        let detour_us = u64::try_from(detour.as_micros()).expect("no line is as long");
        self.detour_us.store(detour_us, Ordering::Relaxed);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stop.take();
        // That it panicked has been said by then.
        self.thread.take().map(JoinHandle::join);
    }
}

fn interface_named(name: &str) -> io::Result<SyncDevice> {
    let device = DeviceBuilder::new().name(name).layer(Layer::L2).enable(false).build_sync()?;
    device.set_nonblocking(true)?;
    Ok(device)
}

struct Forwarder {
    devices: [SyncDevice; 2],
    link: Link,
    detour_us: Arc<AtomicU64>,
    rng: Rng,
    /// By the time at which they are due; those of one time in the order in which they came.
    frames: BinaryHeap<Reverse<Frame>>,
    number: u64,
}

impl Forwarder {
    /// Until the other end of `stopped` is closed.
    fn run(&mut self, stopped: &PipeReader) -> io::Result<()> {
        loop {
            self.send_what_is_due()?;
            let wait = self.frames.peek().map(|Reverse((due, ..))| {
                TimeSpec::from_duration(due.saturating_duration_since(Instant::now()))
            });
            let watch = [self.devices[0].as_fd(), self.devices[1].as_fd(), stopped.as_fd()];
            let mut watched = watch.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match ppoll(&mut watched, wait, None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready = watched.map(|fd| fd.any().unwrap_or(true));
            if ready[2] {
                return Ok(());
            }
            for end in [0, 1] {
                self.take_in(end)?;
            }
        }
    }

    fn take_in(&mut self, end: End) -> io::Result<()> {
        let mut buffer = [0; FRAME_BYTES_MAX];
        loop {
            let length = match self.devices[end].recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let frame = &buffer[..length];
            let takes = if is_of_the_lab(frame) {
                Some(Duration::ZERO)
            } else {
                let detour_us =
                    if is_of_the_server(frame) { self.detour_us.load(Ordering::Relaxed) } else { 0 };
                self.link.pass(&mut self.rng).map(|takes| takes + Duration::from_micros(detour_us))
            };
            if let Some(takes) = takes.filter(|_| self.frames.len() < FRAMES_MAX) {
                self.number += 1;
                self.frames.push(Reverse((Instant::now() + takes, self.number, 1 - end, frame.to_vec())));
            }
        }
    }

    fn send_what_is_due(&mut self) -> io::Result<()> {
        while self.frames.peek().is_some_and(|Reverse((due, ..))| *due <= Instant::now()) {
            let Some(Reverse((_, _, end, frame))) = self.frames.pop() else { break };
            match self.devices[end].send(&frame) {
                // A full queue loses it.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The length of an Ethernet header, and where in it the type of what follows is.
const ETHERNET_BYTES: usize = 14;
const ETHERTYPE: std::ops::Range<usize> = 12..14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// Whether a frame goes to the server or comes from it.
fn is_of_the_server(frame: &[u8]) -> bool {
    let is_either = |source: usize, address: &[u8]| {
        let both = frame.get(ETHERNET_BYTES + source..ETHERNET_BYTES + source + 2 * address.len());
        both.is_some_and(|both| both.chunks(address.len()).any(|end| end == address))
    };
    match frame.get(ETHERTYPE) {
        Some(kind) if kind == IPV4 => is_either(12, &SERVER.octets()),
        Some(kind) if kind == IPV6 => is_either(8, &SERVER_V6.octets()),
        _ => false,
    }
}

/// Whether a frame is of the lab's own and no traffic: who has which address is found out without delay and loss.
fn is_of_the_lab(frame: &[u8]) -> bool {
    const NEXT_HEADER: usize = ETHERNET_BYTES + 6;
    match frame.get(ETHERTYPE) {
        Some(kind) if kind == IPV4 => false,
        Some(kind) if kind == IPV6 => !matches!(frame.get(NEXT_HEADER), Some(6 | 17)),
        _ => true,
    }
}
