//! A line that delays, jitters and loses, between two Ethernet interfaces of our own.
//!
//! The kernel's own way (netem) is not in every kernel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, ErrorKind, PipeReader, PipeWriter};
use std::os::fd::AsFd as _;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use fastrand::Rng;
use nat_simulator::Link;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

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
        let mut forwarder = Forwarder {
            devices: [first?, second?],
            link,
            rng: Rng::with_seed(seed),
            frames: BinaryHeap::new(),
            number: 0,
        };
        let thread =
            thread::spawn(move || forwarder.run(&stopped).expect("interfaces of our own can be used"));
        Ok(Self { stop: Some(stop), thread: Some(thread) })
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
                Some(std::time::Duration::ZERO)
            } else {
                self.link.pass(&mut self.rng)
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

/// Whether a frame is of the lab's own and no traffic: who has which address is found out without delay and loss.
fn is_of_the_lab(frame: &[u8]) -> bool {
    const ETHERTYPE: std::ops::Range<usize> = 12..14;
    const NEXT_HEADER: usize = 14 + 6;
    match frame.get(ETHERTYPE) {
        Some([0x08, 0x00]) => false,
        Some([0x86, 0xdd]) => !matches!(frame.get(NEXT_HEADER), Some(6 | 17)),
        _ => true,
    }
}
