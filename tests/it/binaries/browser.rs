//! A real browser without a screen: Chromium opens the authorize page, a person clicks, and the last page is
//! this machine's own.

use std::process::Stdio;
use std::time::Duration;

use proxy_tests::binaries::{Live, Machine, browser};
use proxy_tests::fake_claude::{Decision, FakeClaude};
use proxy_tests::needs;
use proxy_tests::terminal::Terminal;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Chromium takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// Chromium behind its WebDriver, with a profile of its own.
struct Chromium {
    _driver: Live,
    session: String,
    _profile: TempDir,
}

impl Chromium {
    async fn start(machine: &Machine) -> Self {
        let mut command = machine.command("chromedriver");
        command.arg("--port=0").stdin(Stdio::null());
        let mut driver = Live::start(command);
        let line = driver.stdout_line("was started successfully on port").await;
        let port = line.trim_end_matches('.').rsplit(' ').next().unwrap().to_owned();
        let profile = tempfile::tempdir().unwrap();
        let data = format!("--user-data-dir={}", profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &data,
        ];
        let options = json!({"args": args, "binary": "/usr/bin/chromium"});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let base = format!("http://127.0.0.1:{port}/session");
        let begun = post(&base, &wanted).await;
        let session = format!("{base}/{}", begun["sessionId"].as_str().unwrap());
        Self { _driver: driver, session, _profile: profile }
    }

    async fn visit(&self, url: &str) {
        post(&format!("{}/url", self.session), &json!({"url": url})).await;
    }

    /// Clicks the button whose value is this.
    async fn click(&self, value: &str) {
        let selector = json!({"using": "css selector", "value": format!("button[value={value}]")});
        let found = post(&format!("{}/element", self.session), &selector).await;
        let element = found[ELEMENT].as_str().unwrap();
        post(&format!("{}/element/{element}/click", self.session), &json!({})).await;
    }

    async fn run(&self, script: &str) -> Value {
        post(&format!("{}/execute/sync", self.session), &json!({"script": script, "args": []})).await
    }

    /// The text of the page once its heading is this.
    async fn page(&self, heading: &str) -> String {
        let read = async {
            loop {
                let seen = self.run("return document.querySelector('h1')?.textContent ?? ''").await;
                if seen == heading {
                    return self.run("return document.body.innerText").await.as_str().unwrap().to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no page {heading:?}"))
    }

    /// Everything the page loaded beside itself.
    async fn loaded(&self) -> Value {
        self.run("return performance.getEntriesByType('resource').map(entry => entry.name)").await
    }

    /// Ends the browser; dropping the driver alone would leave it behind.
    async fn quit(self) {
        let ended = tokio::time::timeout(PATIENCE, browser().delete(&self.session).send()).await;
        assert!(ended.unwrap().unwrap().status().is_success());
    }
}

/// One WebDriver command; its value.
async fn post(url: &str, body: &Value) -> Value {
    let request = browser().post(url).json(body).send();
    let answer = tokio::time::timeout(PATIENCE, request).await.expect("the driver answers").unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["value"]["error"].is_null(), "{answer}");
    answer["value"].clone()
}

#[tokio::test]
async fn a_person_in_chromium_allows_one_login_and_denies_another() {
    if !needs::available("chromium", &["chromium", "chromedriver"]) {
        return;
    }
    let fake = FakeClaude::start().await;
    fake.decide(Decision::Ask);
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let chromium = Chromium::start(&machine).await;
    for (button, heading, text, code) in [
        ("allow", "Login complete", "You can close this page and go back to the terminal.", 0),
        ("deny", "Login refused", "Access was not granted and nothing was saved.", 15),
    ] {
        let mut terminal = Terminal::proxyctl(&machine, &["login", "claude", "--no-browser"]);
        let url = terminal.line("/oauth/authorize?").await;
        chromium.visit(&url).await;
        chromium.page("Fake Claude").await;
        chromium.click(button).await;
        let shown = chromium.page(heading).await;
        assert!(shown.contains(text), "{shown}");
        for unseen in ["code-FAKE", "state", "person@example.com"] {
            assert!(!shown.contains(unseen), "{unseen} is shown:\n{shown}");
        }
        assert_eq!(chromium.loaded().await, json!([]), "the page needs nothing else");
        let left = terminal.left().await;
        assert_eq!(left.code, Some(code), "{}", left.screen);
    }
    chromium.quit().await;
    let list = machine.proxyctl(&["accounts", "list", "--json"]).await.json();
    assert_eq!(list["accounts"].as_array().unwrap().len(), 1);
}
