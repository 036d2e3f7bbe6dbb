//! Ports for programs that cannot say which free one they took.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports below the range that the kernel takes for outgoing connections, so that a port stays free while the program is
/// down; and above 6379, which may be somebody's real Redis.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// One that nothing listens on. Tests run at the same time in one process or in many, so each starts to look at a place of
/// its own.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let spread = u16::try_from(std::process::id() % u32::from(PORTS.end)).expect("smaller than a port");
    let span = PORTS.end - PORTS.start;
    (0..span)
        .map(|_| {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            PORTS.start + spread.wrapping_mul(37).wrapping_add(step) % span
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port between 20000 and 32000")
}
