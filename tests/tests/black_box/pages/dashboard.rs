use std::path::Path;
use std::time::Duration;

use black_box::binary::Binary;
use black_box::process::{Launch, Process};
use black_box::skip::skipped;
use black_box::tracker::Tracker;
use black_box::udp::UdpPeer;
use serde_json::{Value, json};

use super::browser::{Browser, PATIENCE};
use super::network::Network;
use crate::client::meet;

/// How soon the page shows what changed.
const SOON: Duration = Duration::from_secs(2);
const TOKEN: &str = "correct-horse-battery";
const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

/// A tracker that tells of a matchmaker.
fn both() -> (Process, Tracker) {
    let matchmaker = Launch::new(Binary::Matchmaker).set("MATCHMAKER_ALT_PORT", "0").start();
    let admin = matchmaker.address("matchmaker-admin").to_string();
    let launch = Launch::new(Binary::Tracker).set("DASHBOARD_MATCHMAKER", &admin).set("ADMIN_TOKEN", TOKEN);
    (matchmaker, Tracker::embedded(&launch))
}

async fn open(browser: &Browser, tracker: &Tracker) -> String {
    let origin = format!("http://{}", tracker.address());
    browser.page.goto(&format!("{origin}/dashboard")).await.unwrap();
    browser.until(PATIENCE, "document.body.dataset.state === 'live'").await;
    browser.until(PATIENCE, "document.querySelector('#peers').textContent !== '–'").await;
    browser.until(PATIENCE, "document.querySelector('#found').textContent !== 'Loading…'").await;
    origin
}

/// The number in the last cell but `from_right` of the row of `table` that starts with `head`.
fn cell(table: &str, head: &str, column: usize) -> String {
    format!(
        "[...document.querySelectorAll('#{table} tbody tr')].find((row) => row.textContent.startsWith('{head}'))\
         ?.cells[{column}].textContent"
    )
}

#[tokio::test]
async fn the_page_shows_what_the_api_says_within_two_seconds() {
    let Some(browser) = Browser::open().await else { return };
    let (matchmaker, tracker) = both();
    let origin = open(&browser, &tracker).await;
    assert_eq!(browser.text("#peers").await, "0");
    assert_eq!(browser.text("#found").await, "No peer has published a file yet.");

    for (peer, file) in [("203.0.113.1", "a"), ("203.0.113.2", "a"), ("203.0.113.3", "b/c")] {
        tracker.add(peer, file, "abc");
    }
    tracker.get("/nothing").assert_refused(404);
    let udp = UdpPeer::at("127.0.0.1", matchmaker.address("matchmaker"));
    udp.register();
    udp.connect("203.0.113.77");
    let stats = json!({"peers": 3, "files": 2, "mappings": 3});
    let shown = "document.querySelector('#peers').textContent === '3' \
                 && document.querySelector('#files-count').textContent === '2' \
                 && document.querySelector('#mappings').textContent === '3'";
    browser.until(SOON, shown).await;
    assert_eq!(tracker.get("/v1/stats").json(), stats);
    browser.until(SOON, &format!("{} === '1'", cell("answers", "404", 1))).await;
    browser.until(SOON, &format!("{} === '1'", cell("meetings", "Tried", 1))).await;
    browser.until(SOON, &format!("{} === '1'", cell("nats", "Legacy peers", 1))).await;
    let (clients, paths) = meet(&matchmaker).await;
    browser.until(SOON, &format!("{} === '2'", cell("nats", "Easy", 1))).await;
    browser.until(SOON, &format!("Number({}) > 0", cell("meetings", "Reached", 1))).await;
    drop((clients, paths));
    let drawn = browser.value("document.querySelectorAll('#charts .plot[role=img] canvas').length").await;
    assert_eq!(drawn, json!(6));
    assert!(browser.value(&cell("health", "Memory", 1)).await.as_str().unwrap().ends_with("MiB"));

    tracker.peer_offline("203.0.113.3");
    browser.until(SOON, "document.querySelector('#peers').textContent === '2'").await;
    // Its name is no key of an object, and its text no HTML.
    tracker.add("203.0.113.3", "<b>x</b>", "abc");
    browser.click("#prefix").await;
    browser.press("<b").await;
    browser.until(PATIENCE, "document.querySelector('#listing tbody th')?.textContent === '<b>x</b>'").await;
    browser.press("zzz").await;
    browser
        .until(PATIENCE, "document.querySelector('#found').textContent === 'No file starts with “<bzzz”.'")
        .await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.assert_asked_only(&origin).await;
}

#[tokio::test]
async fn the_page_survives_a_crash_of_the_tracker() {
    let Some(browser) = Browser::open().await else { return };
    let mut tracker = Tracker::plain();
    open(&browser, &tracker).await;
    tracker.add("203.0.113.1", "a", "abc");
    browser.until(SOON, "document.querySelector('#peers').textContent === '1'").await;
    assert_eq!(browser.console().await, Vec::<String>::new());
    let settled = |tracker: &Tracker| tracker.get("/v1/stats").json()["peers"] == json!(1);
    assert!(settled(&tracker));

    let address = tracker.address().to_string();
    let launch = tracker.process.launch().clone().set("TRACKER_LISTEN", &address);
    tracker.process.kill9();
    browser.until(PATIENCE, "document.body.dataset.state === 'lost'").await;
    assert_eq!(browser.text("#state").await, "Connection lost, trying again…");
    let tracker = Tracker::embedded(&launch);
    browser.until(PATIENCE, "document.body.dataset.state === 'live'").await;
    tracker.add("203.0.113.2", "a", "abc");
    browser.until(PATIENCE, "document.querySelector('#peers').textContent !== '1'").await;
    // What it could not reach meanwhile is all that it complains of.
    let complaints = browser.console().await;
    assert!(complaints.iter().all(|line| line.contains("ERR_")), "{complaints:?}");
}

#[tokio::test]
async fn a_store_that_is_away_is_told_and_so_is_its_return() {
    let Some(browser) = Browser::open().await else { return };
    let mut tracker = Tracker::on_redis(&Launch::new(Binary::Tracker));
    open(&browser, &tracker).await;
    tracker.redis.as_mut().unwrap().kill9();
    browser.until(PATIENCE, "!document.querySelector('#notice').hidden").await;
    assert_eq!(browser.value(&cell("health", "Redis", 1)).await, json!("not available"));
    assert_eq!(browser.text("#peers").await, "–");
    tracker.redis.as_mut().unwrap().start();
    browser.until(PATIENCE, "document.querySelector('#notice').hidden").await;
    browser.until(PATIENCE, "document.querySelector('#peers').textContent === '0'").await;
    assert_eq!(
        browser.text("#meetings .empty").await,
        "Not connected: no matchmaker answers at DASHBOARD_MATCHMAKER."
    );
    assert_eq!(browser.console().await, Vec::<String>::new());
}

/// The address bar, what the page keeps, and what it asked for.
async fn assert_token_is_nowhere(browser: &Browser) {
    assert!(!browser.page.current_url().await.unwrap().as_str().contains(TOKEN));
    let kept =
        browser.value("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])").await;
    assert_eq!(kept, json!("[{},{},\"\"]"));
    let requests = browser.requests().await;
    assert!(requests.iter().any(|url| url.contains("/v1/operator/peers")), "{requests:?}");
    assert!(requests.iter().all(|url| !url.contains(TOKEN)), "{requests:?}");
}

#[tokio::test]
async fn the_keyboard_reaches_everything_and_the_operator_sees_addresses() {
    let Some(browser) = Browser::open().await else { return };
    let (_matchmaker, tracker) = both();
    tracker.add("203.0.113.1", "site/index.html", "abc");
    open(&browser, &tracker).await;
    let focus = "document.activeElement.id || document.activeElement.textContent.trim()";
    browser.press(TAB).await;
    assert_eq!(browser.value(focus).await, json!("Skip to the search of files"));
    let skip = "document.querySelector('.skip').getBoundingClientRect().left >= 0";
    assert_eq!(browser.value(skip).await, json!(true));
    for stop in ["API", "The same as a table"] {
        browser.press(TAB).await;
        assert_eq!(browser.value(focus).await, json!(stop));
        let outline = browser.value("getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, json!("solid"), "the focus is seen on {stop}");
    }
    browser.press(ENTER).await;
    browser.until(PATIENCE, "document.querySelector('#series tbody').rows.length > 0").await;
    browser.press(TAB).await;
    assert_eq!(
        browser.value("document.activeElement.getAttribute('aria-label')").await,
        json!("Figures by half a minute")
    );
    browser.press(TAB).await;
    assert_eq!(browser.value(focus).await, json!("prefix"));
    browser.press("site").await;
    browser.press(ENTER).await;
    browser.until(PATIENCE, "document.querySelector('#found').textContent === '1 file'").await;
    browser.press(TAB).await;
    let label = "document.activeElement.getAttribute('aria-label')";
    assert_eq!(browser.value(label).await, json!("Addresses of the peers of site/index.html"));
    browser.press(ENTER).await;
    assert_eq!(browser.value(focus).await, json!("holders"));
    assert!(!browser.text("main").await.contains("203.0.113.1"));
    browser.press(TAB).await;
    assert_eq!(browser.value(focus).await, json!("token"));
    assert_eq!(browser.console().await, Vec::<String>::new());

    browser.press("some-other-token").await;
    browser.press(ENTER).await;
    browser
        .until(PATIENCE, "document.querySelector('#holders-state').textContent.includes('only the operator')")
        .await;
    assert_eq!(browser.value(focus).await, json!("token"));
    browser.press(TOKEN).await;
    browser.press(ENTER).await;
    browser
        .until(PATIENCE, "document.querySelector('#addresses tbody th')?.textContent === '203.0.113.1'")
        .await;
    assert_eq!(browser.text("#holders-state").await, "1 of 1");
    assert_token_is_nowhere(&browser).await;
    // The browser's own word about the wrong token.
    let complaints = browser.console().await;
    assert!(complaints.len() == 1 && complaints[0].contains("401"), "{complaints:?}");
}

/// Those of the documentation, of most of a minute of a small network:
/// `DASHBOARD_PICTURES=docs/pictures cargo nextest run -p black-box --run-ignored only -E 'test(pictures)'`
#[tokio::test]
#[ignore = "makes pictures for people, who have to look at them"]
async fn pictures_of_the_page_in_light_and_dark_and_on_a_phone() {
    let folder = std::env::var_os("DASHBOARD_PICTURES").expect("DASHBOARD_PICTURES names a folder");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let browser = Browser::open().await.expect("a browser");
    let (matchmaker, tracker) = both();
    let clients = meet(&matchmaker).await;
    let peers = Network::begin(&matchmaker, &tracker);
    browser.screen(1_280, 900, false).await;
    open(&browser, &tracker).await;
    let reached = "Number(document.querySelector('#peers').textContent) >= 240";
    browser.until(Duration::from_mins(2), reached).await;
    browser.click("#listing button").await;
    browser.click("#token").await;
    browser.press(TOKEN).await;
    browser.press(ENTER).await;
    browser.until(PATIENCE, "document.querySelector('#addresses tbody th') !== null").await;
    for (name, scheme, width, height, is_phone) in [
        ("dashboard-light", "light", 1_280, 900, false),
        ("dashboard-dark", "dark", 1_280, 900, false),
        ("dashboard-phone", "dark", 390, 844, true),
    ] {
        browser.color_scheme(scheme).await;
        browser.screen(width, height, is_phone).await;
        browser.value("scrollTo(0, 0)").await;
        let picture = browser.picture(!is_phone).await;
        std::fs::write(folder.join(format!("{name}.webp")), picture).expect("the folder is there");
    }
    drop((peers, clients));
}

/// What axe-core finds against WCAG 2.2 AA, a line each.
async fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.page.execute(axe, vec![]).await.expect("axe loads");
    let run = "const done = arguments[arguments.length - 1];\
               axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})\
                 .then((found) => done(found.violations.map((rule) => rule.id + ': ' + rule.nodes.map((node) => \
                   node.html + ' ' + node.failureSummary).join(' | '))), (error) => done([String(error)]))";
    let found = browser.page.execute_async(run, vec![]).await.expect("axe runs");
    let lines = found.as_array().expect("a list").iter().filter_map(Value::as_str);
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_is_accessible_in_light_and_dark_on_a_desk_and_on_a_phone_and_in_each_state() {
    let Some(browser) = Browser::open().await else { return };
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/axe/axe_playwright_python/axe.min.js");
    let Ok(axe) = std::fs::read_to_string(place) else {
        skipped("axe-core", "tests/run installs it");
        return;
    };
    let (_matchmaker, mut tracker) = both();
    tracker.add("203.0.113.1", "site/index.html", "abc");
    for scheme in ["light", "dark"] {
        browser.color_scheme(scheme).await;
        for (width, height, is_phone) in [(1280, 900, false), (390, 844, true)] {
            browser.screen(width, height, is_phone).await;
            open(&browser, &tracker).await;
            assert_eq!(violations(&browser, &axe).await, Vec::<String>::new(), "{scheme} at {width}");
            browser.click("summary").await;
            browser.click("#listing button").await;
            let found = violations(&browser, &axe).await;
            assert_eq!(found, Vec::<String>::new(), "{scheme} at {width} with all open");
            let wide = browser.value("document.documentElement.scrollWidth > innerWidth").await;
            assert_eq!(wide, json!(false), "nothing is wider than the screen of {width}");
        }
    }
    tracker.process.kill9();
    browser.until(PATIENCE, "document.body.dataset.state === 'lost'").await;
    assert_eq!(violations(&browser, &axe).await, Vec::<String>::new(), "while the tracker is away");
}
