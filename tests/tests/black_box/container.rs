//! The container: its image, what runs in it, what it survives.
#![allow(clippy::print_stdout, reason = "a test that measured a time has it in its output")]

mod compose;
mod endpoint;
mod fleet;
mod image;
mod package;
mod recovery;
mod serving;
mod stopping;
mod stream;
mod volume;

use black_box::container::{Container, ContainerImage};

/// Options of `docker run` for a server on free ports of loopback that is soon known to be healthy.
const SERVER: [&str; 3] =
    ["--publish=127.0.0.1::8000", "--publish=127.0.0.1::12345/udp", "--health-interval=1s"];

/// The names of the programs, as supervisord knows them.
const PROGRAMS: [&str; 3] = ["redis", "tracker", "matchmaker"];

/// A whole server that is ready, with more options of `docker run`.
#[track_caller]
fn server(image: &ContainerImage, options: &[&str]) -> Container {
    let container = image.run(&[&SERVER, options].concat());
    container.wait_until_ready();
    container
}
