use peer_core::datagram::{Reply, Request};

use super::sample::Sample;

pub(crate) const KINDS: &[&str] =
    &["Legacy register", "Legacy connect", "Legacy your_addr", "Legacy peer", "Legacy error"];

fn request(title: &str, json: &'static str, meaning: Request<'static>) -> Sample {
    Sample::new(title, json, move |datagram| assert_eq!(Request::decode(datagram).as_ref(), Ok(&meaning)))
}

/// There is no reader of these, since clients of the legacy contract are not ours: what is shown has to be what is written.
fn reply(title: &str, reply: Reply<'_>) -> Sample {
    let mut bytes = Vec::new();
    reply.encode(&mut bytes);
    let written = bytes.clone();
    Sample::new(title, bytes, move |datagram| {
        assert_eq!(datagram, written);
        let json: serde_json::Value = serde_json::from_slice(datagram).unwrap();
        assert!(json.get("type").is_some_and(serde_json::Value::is_string));
    })
}

pub(crate) fn samples() -> Vec<Sample> {
    let addr = "203.0.113.10:41567".parse().unwrap();
    let target = "203.0.113.10";
    vec![
        request("Legacy register", r#"{"type":"register"}"#, Request::Register),
        request(
            "Legacy connect",
            r#"{"type":"connect","target_ip":"203.0.113.10"}"#,
            Request::Connect { target: target.into() },
        ),
        reply("Legacy your_addr", Reply::YourAddr(addr)),
        reply("Legacy peer", Reply::Peer(addr)),
        reply("Legacy error, the target is not there", Reply::NotFound { target }),
        reply("Legacy error, no target is named", Reply::MissingTarget),
        reply("Legacy error, another type or none", Reply::UnknownType),
    ]
}
