//! Which request a line is about.

use black_box::binary::Binary;
use black_box::deadline::{PATIENCE, eventually};
use black_box::http::Request;
use black_box::process::Launch;
use black_box::tracker::{CALLER, Tracker};
use serde_json::json;

use super::{FORMS, line, talkative};

const HEADER: &str = "X-Request-Id";

/// The id that the answer to it bears.
#[track_caller]
fn id(tracker: &Tracker, request: &Request) -> String {
    let answer = tracker.send(request);
    answer.header(HEADER).unwrap_or_else(|| panic!("no id for {request:?}")).to_owned()
}

#[test]
fn every_answer_bears_an_id_whatever_it_is() {
    let launch = Launch::new(Binary::Tracker).set("TRACKER_RATE_PER_SEC", "1");
    let tracker = Tracker::embedded(&launch);
    let mut seen = std::collections::BTreeSet::new();
    for (request, status) in [
        (Request::get("/"), 200),
        (Request::get("/peers"), 422),
        (Request::get("/nothing"), 404),
        (Request::new("PATCH", "/peers"), 405),
        (Request::get("/dashboard"), 200),
        (Request::post("/v1/publish").body("text/plain", "x"), 415),
        (Request::get("/v1/operator/peers?filename=a"), 401),
    ] {
        let answer = tracker.send(&request);
        assert_eq!(answer.status, status, "{request:?}");
        let id = answer.header(HEADER).unwrap_or_else(|| panic!("no id for {request:?}")).to_owned();
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert!(seen.insert(id), "no two are one");
    }
    // So does one that is refused before any route has it.
    let too_often = eventually(PATIENCE, "a refusal", || {
        let answer = tracker.send(&Request::get("/").header(CALLER, "203.0.113.5"));
        (answer.status == 429).then_some(answer)
    });
    assert!(too_often.header(HEADER).is_some());
    too_often.assert_refused(429);
}

#[test]
fn a_trusted_proxy_names_a_request_and_nobody_else_does() {
    let trusting = Tracker::plain();
    let named = |text: &str| Request::get("/").header(HEADER, text);
    let uuid = "0c4cbd0e-1fc1-4a05-9a2b-8d3a31b65a9b";
    assert_eq!(id(&trusting, &named(uuid)), uuid);
    for text in ["", "a b", "a\"b", "a}b", "a=b", &"x".repeat(65)] {
        assert_ne!(id(&trusting, &named(text)), text);
    }
    let alone = Tracker::embedded(&Launch::new(Binary::Tracker).set("TRUSTED_PROXIES", "none"));
    assert_ne!(id(&alone, &named(uuid)), uuid);
}

#[test]
fn every_line_of_a_request_bears_its_id_in_both_forms() {
    for form in FORMS {
        let tracker = talkative(form, Launch::new(Binary::Tracker));
        let body = json!({"ip": "198.51.100.1", "filename": "a.html", "reason": "time-out"});
        let report = Request::post("/v1/report").json(&body).header(CALLER, "203.0.113.5");
        let (one, two) =
            (id(&tracker, &report), id(&tracker, &report.clone().header(HEADER, "of-the-proxy")));
        assert_eq!(two, "of-the-proxy");
        for id in [&one, &two] {
            for event in ["report", "request"] {
                let fields = line(&tracker.process, form, &format!("{event} of {id}"), |fields| {
                    fields["message"] == event && fields.get("request_id").is_some_and(|it| it == id)
                });
                assert_eq!(fields["level"], "DEBUG");
                if event == "request" {
                    assert_eq!(
                        [&fields["caller"], &fields["method"], &fields["route"], &fields["status"]],
                        ["203.0.113.5", "POST", "/v1/report", "200"]
                    );
                    assert!(fields["took_us"].as_str().unwrap().parse::<u64>().is_ok());
                }
            }
        }
        // What is not of a request has none.
        let listening = line(&tracker.process, form, "listening", |fields| fields["message"] == "listening");
        assert!(!listening.contains_key("request_id"));
    }
}

#[test]
fn what_strangers_make_up_is_one_word_in_a_line() {
    let tracker = talkative("json", Launch::new(Binary::Tracker));
    let id = id(&tracker, &Request::new("BREW", "/%0Afake?x=\n".trim_end()));
    let fields = line(&tracker.process, "json", "the request", |fields| {
        fields.get("request_id").is_some_and(|it| *it == id)
    });
    assert_eq!([&fields["method"], &fields["route"]], ["other", "other"]);
}
