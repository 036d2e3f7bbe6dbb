//! The limit for a UDP service: the cheapest system calls, and nothing in between.

use std::convert::Infallible;
use std::io::{IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;

use clap::Args;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg, setsockopt, sockopt};

use super::datagram::{DATAGRAM_BYTES, FIXED_ANSWER, v4};

/// Serve the bare limit for UDP: the same answer to every datagram
///
/// One thread that takes up to 32 datagrams with one system call (recvmmsg), looks at none of them, and answers all
/// with one system call (sendmmsg) and a fixed text of 58 bytes, about as long as a matchmaker's. What a matchmaker
/// costs beyond it is the matchmaker's own doing. Measure it with `bench udp --mode echo`.
///
/// The first line of its output says where it listens.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct UdpEchoArgs {
    /// Address to listen on
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST)]
    host: Ipv4Addr,
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// Datagrams of one system call.
const BATCH: usize = 32;
/// As the matchmaker asks for.
const RECEIVE_BUFFER_BYTES: usize = 1 << 20;

/// Runs `bench udp-echo` until a signal ends it.
pub(crate) fn run(args: &UdpEchoArgs) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(SocketAddr::new(IpAddr::V4(args.host), args.port))?;
    setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER_BYTES)?;
    crate::servers::announce("udp-echo", SocketAddr::V4(v4(socket.local_addr()?)?))?;
    match serve(&socket)? {}
}

fn serve(socket: &UdpSocket) -> anyhow::Result<Infallible> {
    let mut buffers = [[0; DATAGRAM_BYTES]; BATCH];
    let mut received = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let mut sent = MultiHeaders::<SockaddrIn>::preallocate(BATCH, None);
    let answers = [[IoSlice::new(FIXED_ANSWER)]; BATCH];
    let mut senders: Vec<Option<SockaddrIn>> = Vec::with_capacity(BATCH);
    loop {
        let mut slices = buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        senders.clear();
        // Waits for the first and takes what else is there.
        match recvmmsg(socket.as_raw_fd(), &mut received, &mut slices, MsgFlags::MSG_WAITFORONE, None) {
            Ok(datagrams) => senders.extend(datagrams.map(|datagram| datagram.address)),
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut waiting = senders.as_slice();
        while !waiting.is_empty() {
            let flags = MsgFlags::empty();
            let done = match sendmmsg(socket.as_raw_fd(), &mut sent, &answers, waiting, [], flags) {
                Ok(results) => results.count(),
                // The first of them could not be sent; the others may.
                Err(_) => 1,
            };
            waiting = waiting.get(done.max(1)..).unwrap_or_default();
        }
    }
}
