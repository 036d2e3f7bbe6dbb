//! The example of twenty lines of the client library, as it stands in `crates/client/examples` and in its documentation.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::lab::{Lab, SERVER};
use black_box::process::{Launch, Process};
use black_box::router::RouterKind;

/// Killed with the test where it has not ended.
struct Hello(Child);

impl Hello {
    fn start(services: &Process, id: Option<&str>) -> Self {
        let path = Binary::Matchmaker.path().with_file_name("examples").join("hello");
        assert!(path.is_file(), "build first: cargo build -p peer-client --examples");
        let mut command = Command::new(path);
        command.arg(services.address("matchmaker").to_string()).args(id).stdin(Stdio::null());
        Self(command.stdout(Stdio::piped()).spawn().expect("the example starts"))
    }

    /// What it says first.
    fn line(&mut self) -> String {
        let mut line = String::new();
        // A byte at a time: what comes later is for others.
        let stdout = self.0.stdout.as_mut().expect("piped");
        BufReader::with_capacity(1, stdout).read_line(&mut line).expect("it speaks");
        line
    }

    /// All that it says until its end, which has to be good.
    fn end(mut self) -> String {
        let status = eventually(PATIENCE, "the example's end", || self.0.try_wait().expect("our child"));
        assert!(status.success(), "{status}");
        let mut said = String::new();
        self.0.stdout.as_mut().expect("piped").read_to_string(&mut said).expect("UTF-8");
        said
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// One waits, and the other calls it by the id that it says.
fn say_hello(mut waiting: Hello, call: impl FnOnce(&str) -> Hello) {
    let line = waiting.line();
    let (id, rest) = line.split_once(" at ").expect("an id and an address");
    assert!(id.len() == 43 && rest.contains(", NAT: Easy"), "{line}");
    for hello in [call(id), waiting] {
        let said = hello.end();
        assert!(said.contains(r#"says Some(b"hello")"#), "{said}");
    }
}

fn matchmaker() -> Launch {
    Launch::new(Binary::Matchmaker).set("MATCHMAKER_ALT_PORT", "0")
}

#[test]
fn the_example_has_twenty_lines_and_is_in_the_documentation() {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/client");
    let example = fs::read_to_string(client.join("examples/hello.rs")).expect("the example");
    assert!(example.lines().count() <= 20, "{} lines", example.lines().count());
    let library = fs::read_to_string(client.join("src/lib.rs")).expect("the library");
    assert!(library.contains(r#"include_str!("../examples/hello.rs")"#));
}

#[test]
fn two_programs_of_twenty_lines_say_hello_on_one_host() {
    let services = matchmaker().set("MATCHMAKER_LISTEN", "127.0.0.1:0").start();
    say_hello(Hello::start(&services, None), |id| Hello::start(&services, Some(id)));
}

#[test]
fn two_programs_of_twenty_lines_say_hello_through_their_routers() {
    let Some(lab) = Lab::open() else { return };
    let listen = SocketAddr::from((SERVER, 0)).to_string();
    let mut services = lab.server().run(|| matchmaker().set("MATCHMAKER_LISTEN", &listen).start());
    services.wait_for_listeners("matchmaker-alt", 1);
    let [waiting, calling] = [(); 2].map(|()| lab.household(RouterKind::HomeRouter));
    say_hello(waiting.run(0, || Hello::start(&services, None)), |id| {
        calling.run(0, || Hello::start(&services, Some(id)))
    });
}
