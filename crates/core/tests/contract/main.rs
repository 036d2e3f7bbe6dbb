//! docs/PROTOCOL.md shows every datagram as JSON and in bytes. Here they are made, read, and held against the document.
#![allow(clippy::unwrap_used, reason = "a test that cannot make its own sample has failed")]
#![allow(clippy::expect_used, reason = "as above")]
#![allow(clippy::large_types_passed_by_value, reason = "samples are made once")]

mod document;
mod legacy;
mod sample;
mod stun;
mod v2;

use document::Document;
use sample::Sample;

/// In the order in which the document has them.
fn samples() -> Vec<Sample> {
    [legacy::samples(), v2::requests(), v2::replies(), stun::samples()].concat()
}

#[test]
fn the_document_shows_every_datagram_as_it_is_made_and_what_it_shows_is_read_as_that() {
    let (mut document, samples) = (Document::read(), samples());
    let made: String = samples.iter().map(Sample::to_markdown).collect();
    // `UPDATE_PROTOCOL=1 cargo test -p peer-core` writes it anew.
    if std::env::var_os("UPDATE_PROTOCOL").is_some() {
        document.replace(&made);
    }
    assert_eq!(document.section(), made, "UPDATE_PROTOCOL=1 cargo test -p peer-core writes it anew");

    let shown = document.shown();
    assert_eq!(shown.len(), samples.len());
    for (shown, sample) in shown.iter().zip(&samples) {
        assert_eq!(shown.title, sample.title);
        if let Some(json) = &shown.json {
            assert_eq!(
                String::from_utf8_lossy(&shown.bytes),
                *json,
                "{}: bytes and JSON differ",
                shown.title
            );
        }
        // From the document and from nothing else.
        (sample.check)(&shown.bytes);
    }
}

#[test]
fn no_type_of_message_is_missing() {
    let samples = samples();
    let kinds: Vec<&str> = samples.iter().filter_map(|sample| sample.title.split(',').next()).collect();
    for kind in legacy::KINDS.iter().chain(v2::KINDS).chain(stun::KINDS) {
        assert!(kinds.contains(kind), "{kind}");
    }
}
