//! Bad input over HTTP gets a clear refusal; nothing is stored and nothing panics.

use std::io;

use black_box::http::{Answer, Connection, Request};
use black_box::tracker::{CALLER, Tracker, on_both_stores};
use serde_json::{Value, json};

use crate::parameters::assert_bad_value;

const ONE: &str = "203.0.113.5";

/// What must hold after any bad input.
fn assert_unharmed(tracker: &Tracker) {
    tracker.get("/").assert_is(200, &json!({"status": "ok"}));
    tracker.get("/all_trackers").assert_is(200, &json!({"files": [], "next": null}));
    assert_eq!(tracker.admin().live(), 200);
}

/// Runs `test` on both stores and looks for harm afterwards.
fn harmless(test: impl Fn(&Tracker)) {
    on_both_stores(|tracker| {
        test(tracker);
        assert_unharmed(tracker);
    });
}

/// Sends raw bytes over a connection of its own. None where the server closes without a word.
fn raw(tracker: &Tracker, bytes: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(tracker.address()).unwrap();
    connection.send(bytes).unwrap();
    match connection.receive() {
        Ok(answer) => Some(answer),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) =>
        {
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// `start`, and as many `x` behind it as make `size` bytes.
fn padded(start: &str, size: usize) -> String {
    start.to_owned() + &"x".repeat(size - start.len())
}

/// Panics unless this is a refusal. What cannot even be read as HTTP is refused before there is a route, and then
/// without a body.
#[track_caller]
fn assert_refused_or_unreadable(answer: &Answer) {
    assert!((400..500).contains(&answer.status), "{}", answer.text());
    if ![400, 431].contains(&answer.status) || !answer.body.is_empty() {
        answer.assert_refused(answer.status);
    }
}

#[test]
fn broken_utf8_in_a_query_is_refused() {
    harmless(|tracker| {
        for broken in ["%FF", "%C3", "a%C3%28b", "%ED%A0%80", "%F8%88%80%80%80", "%C0%AE%C0%AE%2Fx"] {
            for target in [format!("/add?hash=abc&filename={broken}"), format!("/peers?filename={broken}")] {
                assert_bad_value(&tracker.get(target), "filename");
            }
            assert_bad_value(&tracker.post(format!("/add?filename=a.html&hash={broken}")), "hash");
            assert_bad_value(&tracker.post(format!("/peer_offline?ip={broken}")), "ip");
        }
    });
}

#[test]
fn broken_utf8_as_raw_bytes_is_refused() {
    harmless(|tracker| {
        assert_refused_or_unreadable(
            &tracker.send(&Request::post(b"/add?hash=abc&filename=a\xff\xfeb".as_slice())),
        );
    });
}

#[test]
fn a_parameter_given_twice_is_refused() {
    harmless(|tracker| {
        for (target, name) in [
            ("/add?filename=a.html&filename=b.html&hash=abc", "filename"),
            ("/add?filename=a.html&filename=a.html&hash=abc", "filename"),
            ("/add?filename=a.html&hash=abc&hash=abc", "hash"),
            ("/add?filename=a.html&hash=abc&file%6Eame=b.html", "filename"),
            ("/remove?filename=a.html&ip=192.0.2.1&ip=192.0.2.2", "ip"),
            ("/peer_offline?ip=192.0.2.1&ip=192.0.2.1", "ip"),
        ] {
            assert_bad_value(&tracker.post(target), name);
        }
        assert_bad_value(&tracker.get("/peers?filename=a.html&filename=b.html"), "filename");
        let form = Request::post("/add").form("filename=a.html&filename=b.html&hash=abc");
        assert_bad_value(&tracker.send(&form), "filename");
    });
}

#[test]
fn numbers_where_text_should_be_are_refused() {
    harmless(|tracker| {
        let others = [json!(5), json!(1.5), json!(true), json!(["a"]), json!({"a": "b"}), json!(1e300)];
        for other in others {
            let send = |target: &str, body: &Value| tracker.send(&Request::post(target).json(body));
            assert_bad_value(&send("/add", &json!({"filename": other, "hash": "abc"})), "filename");
            assert_bad_value(&send("/add", &json!({"filename": "a.html", "hash": other})), "hash");
            assert_bad_value(&send("/remove", &json!({"filename": "a.html", "ip": other})), "ip");
            assert_bad_value(&send("/peer_offline", &json!({"ip": other})), "ip");
        }
    });
}

#[test]
fn duplicate_keys_in_a_json_body_are_refused() {
    harmless(|tracker| {
        let body = r#"{"filename":"a.html","filename":"b.html","hash":"abc"}"#;
        let answer = tracker.send(&Request::post("/add").body("application/json", body));
        assert!([400, 422].contains(&answer.status), "{}", answer.text());
        answer.assert_refused(answer.status);
    });
}

#[test]
fn a_json_body_that_is_no_object_is_refused() {
    let deep = [
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
        format!("{}{}", "[".repeat(30_000), "]".repeat(30_000)),
    ];
    let mut bodies: Vec<Vec<u8>> = deep.into_iter().map(String::into_bytes).collect();
    let simple: [&[u8]; 9] = [
        b"{",
        b"[]",
        b"5",
        b"null",
        b"\"filename\"",
        b"{\"filename\":\"a.html\",\"hash\":\"abc\"} x",
        b"{\"filename\":\"a.html\",\"hash\":\"abc\",}",
        b"\xef\xbb\xbf{\"filename\":\"a.html\",\"hash\":\"abc\"}",
        b"{\"filename\":\"\xff.html\",\"hash\":\"abc\"}",
    ];
    bodies.extend(simple.map(<[u8]>::to_vec));
    let mut inside = br#"{"filename":"a.html","hash":"abc","x":"#.to_vec();
    inside.extend("[".repeat(20_000).into_bytes());
    bodies.push(inside);
    harmless(|tracker| {
        for body in &bodies {
            let request = Request::post("/add").body("application/json", body).header(CALLER, ONE);
            let answer = tracker.send(&request);
            assert!([400, 422].contains(&answer.status), "{}", answer.text());
            answer.assert_refused(answer.status);
        }
    });
}

#[test]
fn a_body_over_the_limit_is_too_large() {
    harmless(|tracker| {
        for (kind, start) in [
            ("application/json", r#"{"filename":"a.html","hash":"abc","x":""#),
            ("application/x-www-form-urlencoded", "filename=a.html&hash=abc&x="),
        ] {
            for size in [64 * 1_024 + 1, 10 * 1_024 * 1_024] {
                let body = padded(start, size);
                let detail = tracker.send(&Request::post("/add").body(kind, body)).assert_refused(413);
                assert!(detail.as_str().is_some_and(|text| text.contains("65536")), "{detail}");
            }
        }
    });
}

#[test]
fn a_body_at_the_limit_is_read() {
    on_both_stores(|tracker| {
        let size = 64 * 1_024;
        let body = padded("filename=a.html&hash=abc&x=", size);
        let request = Request::post("/add").form(&body).header(CALLER, ONE);
        tracker.send(&request).assert_is(200, &json!({"status": "ok"}));
        assert_eq!(tracker.peers("a.html"), [ONE]);
    });
}

#[test]
fn a_chunked_body_over_the_limit_is_too_large() {
    harmless(|tracker| {
        let mut bytes = b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n".to_vec();
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for _ in 0..20 {
            bytes.extend_from_slice(b"1000\r\n");
            bytes.extend_from_slice(&[b' '; 0x1000]);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        raw(tracker, &bytes).expect("an answer").assert_refused(413);
    });
}

#[test]
fn a_target_of_ten_megabytes_is_refused() {
    harmless(|tracker| {
        for size in [100_000, 10_000_000] {
            let request = format!("GET /peers?filename={} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(size));
            if let Some(answer) = raw(tracker, request.as_bytes()) {
                assert_refused_or_unreadable(&answer);
            }
        }
    });
}

#[test]
fn garbage_in_place_of_a_request_gets_at_most_a_refusal() {
    harmless(|tracker| {
        let garbage: [&[u8]; 10] = [
            b"\0\0\0\0\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /a b c HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nbroken header\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n",
            b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: nonsense\r\n\r\n",
            b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            b"POST /add HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        ];
        for bytes in garbage {
            if let Some(answer) = raw(tracker, bytes) {
                assert_refused_or_unreadable(&answer);
            }
        }
    });
}

#[test]
fn every_refusal_is_json_with_a_detail() {
    harmless(|tracker| {
        for (request, status) in [
            (Request::get("/peers"), 422),
            (Request::get("/peers?filename=.."), 422),
            (Request::get("/nothing"), 404),
            (Request::new("DELETE", "/"), 405),
            (Request::post("/add?filename=a&hash=b").header("Sec-Fetch-Site", "cross-site"), 403),
            (Request::post("/add").body("application/json", vec![b' '; 70_000]), 413),
        ] {
            tracker.send(&request).assert_refused(status);
        }
    });
}
