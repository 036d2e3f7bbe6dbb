//! The codec against a reader that goes through a whole JSON value: they agree on what a datagram asks for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peer_core::datagram::{Malformed, Reply, Request};
use peer_core::limits::DATAGRAM_MAX_BYTES;
use serde_json::{Map, Value};

fuzz_target!(|datagram: &[u8]| {
    let decoded = Request::decode(datagram);
    if datagram.len() > DATAGRAM_MAX_BYTES {
        assert_eq!(decoded, Err(Malformed::TooLarge));
        return;
    }
    // A value keeps the last of two equal keys and refuses depths that the codec skips over: there the two may
    // differ, and only there.
    let Ok(Value::Object(object)) = serde_json::from_slice(datagram) else { return };
    match decoded {
        Ok(request) => agree(&request, &object),
        Err(error) => {
            assert_eq!(error, Malformed::NotARequest);
            let is_connect = object.get("type") == Some(&Value::from("connect"));
            let target = object.get("target_ip");
            let is_no_text = target.is_some_and(|target| !target.is_string() && !target.is_null());
            assert!(is_connect && is_no_text || names_a_key_twice(datagram), "{object:?}");
        }
    }
});

fn agree(request: &Request<'_>, object: &Map<String, Value>) {
    let kind = object.get("type").and_then(Value::as_str);
    let target = object.get("target_ip").and_then(Value::as_str);
    match request {
        Request::Register => assert_eq!(kind, Some("register")),
        Request::Error => assert_eq!(kind, Some("error")),
        Request::Unknown => assert!(!matches!(kind, Some("register" | "connect" | "error"))),
        Request::ConnectWithoutTarget => {
            assert_eq!(kind, Some("connect"));
            assert!(target.is_none_or(str::is_empty));
        }
        Request::Connect { target: text } => {
            assert_eq!(kind, Some("connect"));
            assert_eq!(target, Some(&**text));
            let mut out = Vec::new();
            Reply::NotFound { target: text }.encode(&mut out);
            let answer: Value = serde_json::from_slice(&out).expect("an answer is JSON");
            assert_eq!(answer["msg"], format!("target {text} not found or offline"));
        }
    }
}

/// Whether one of our keys may occur twice: its name does, or something that could be it with escapes.
fn names_a_key_twice(datagram: &[u8]) -> bool {
    let text = String::from_utf8_lossy(datagram);
    text.matches("type").count() > 1 || text.matches("target_ip").count() > 1 || text.contains("\\u")
}
