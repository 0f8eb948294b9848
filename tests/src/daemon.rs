//! `TestDaemon`: the real `App` on free loopback ports and in a temporary directory, pointed at a
//! [`FakeClaude`].
//!
//! The black-box tests start the real binaries instead; see `it/binaries.rs`.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

mod configuration;
mod documents;
mod setup;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proxy_proto::v1::accounts_client::AccountsClient;
use proxy_proto::v1::activity_client::ActivityClient;
use proxy_proto::v1::daemon_client::DaemonClient;
use proxy_proto::v1::diagnosis_client::DiagnosisClient;
use proxy_proto::v1::logins_client::LoginsClient;
use proxy_proto::v1::{
    Account, BeginLoginRequest, BeginLoginResponse, CompleteLoginRequest, CompleteLoginResponse,
    ListAccountsRequest, ListAccountsResponse, RefreshAccountRequest,
};
use proxyd::admin::Outside;
use proxyd::app::{App, Broken};
use proxyd::keys::{Keys, NewKey, Rules};
use proxyd::notice::Notices;
use proxyd::pool::Pool;
use proxyd::refresh::Refresher;
use proxyd::systemd::Given;
use proxyd::tasks::Tasks;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::fake_claude::{FakeClaude, Issued};
use crate::wait::within;

pub use self::documents::{expired, fake_at, is_ready, key_file, message, private_dir, put, read};
pub use self::setup::Setup;

/// Between two looks at a state that tells nobody when it changes.
const LOOK: Duration = Duration::from_millis(10);

/// A running daemon. Dropped, it is stopped without waiting; [`TestDaemon::stop`] waits for its end.
#[derive(Debug)]
pub struct TestDaemon {
    home: TempDir,
    url: String,
    control_socket: PathBuf,
    metrics_addresses: Vec<String>,
    pool: Arc<Pool>,
    refresher: Refresher,
    keys: Keys,
    notices: Notices,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    tasks: Tasks,
    running: JoinHandle<Result<(), Broken>>,
}

impl TestDaemon {
    /// With an empty auth directory.
    pub async fn start(fake: &FakeClaude) -> Self {
        Self::with(fake, Setup::default(), |_| {}).await
    }

    /// With one account, logged in at `fake`.
    pub async fn with_account(fake: &FakeClaude) -> (Self, Issued) {
        let issued = fake.issue_account("person@example.com");
        let daemon =
            Self::with(fake, Setup::default(), |dir| put(dir, "claude-a.json", &issued.auth_file())).await;
        (daemon, issued)
    }

    /// With `count` accounts, each of an organization of its own, that serve in turns.
    pub async fn with_accounts(fake: &FakeClaude, count: usize) -> (Self, Vec<Issued>) {
        let issue =
            |n| fake.issue_account_in(&format!("person{n}@example.com"), &format!("Organization {n}"));
        let issued: Vec<Issued> = (0..count).map(issue).collect();
        let daemon = Self::with(fake, Setup::in_turns(), |dir| {
            for (n, issued) in issued.iter().enumerate() {
                put(dir, &format!("claude-{n}.json"), &issued.auth_file());
            }
        })
        .await;
        (daemon, issued)
    }

    /// `prepare` fills the auth directory before the start.
    pub async fn with(fake: &FakeClaude, setup: Setup, prepare: impl FnOnce(&Path)) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        prepare(&private_dir(home.path().join("auth")));
        Self::start_in(fake, setup, home).await
    }

    /// With one account, and set up like this.
    pub async fn with_account_and(fake: &FakeClaude, setup: Setup) -> Self {
        let file = fake.issue_account("person@example.com").auth_file();
        Self::with(fake, setup, |dir| put(dir, "claude-a.json", &file)).await
    }

    /// In a home that an earlier daemon left behind.
    pub async fn start_in(fake: &FakeClaude, setup: Setup, home: TempDir) -> Self {
        let outside = Outside::start().expect("a thread");
        let app = App::start(setup.load(fake, home.path()), setup.clock, outside, Given::default())
            .await
            .expect("the daemon starts");
        let address = app.addresses().first().expect("an address").to_string();
        let (stop, stopped) = oneshot::channel();
        let (pool, refresher) = (Arc::clone(app.pool()), app.refresher().clone());
        let (notices, tasks) = (app.notices().clone(), app.tasks().clone());
        let keys = app.keys().clone();
        let control_socket = app.control_socket().to_owned();
        let metrics_addresses = app.metrics_addresses().iter().map(ToString::to_string).collect();
        let running = Tasks::new().spawn(app.run(async {
            // A dropped sender asks just as well.
            let _asked = stopped.await;
        }));
        // Only the first test of the process installs it; the client wants one even for plain http.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        Self {
            home,
            url: format!("http://{address}"),
            control_socket,
            metrics_addresses,
            pool,
            refresher,
            keys,
            notices,
            http,
            stop: Some(stop),
            tasks,
            running,
        }
    }

    /// Asks it to stop, waits for its end and hands back its home.
    pub async fn stop(mut self) -> TempDir {
        self.ask_to_stop();
        let ended = within("the daemon stops", self.running).await.expect("the daemon ends without a panic");
        ended.expect("no part of it ended before");
        self.home
    }

    /// Waits for an end that nobody asked for.
    pub async fn broken(self) -> (Broken, TempDir) {
        let ended = within("the daemon stops", self.running).await.expect("the daemon ends without a panic");
        (ended.expect_err("it says that a part of it ended"), self.home)
    }

    /// The daemon's own tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Asks it to stop and does not wait.
    pub fn ask_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Whether something of it still runs.
    pub fn is_running(&self) -> bool {
        !self.running.is_finished()
    }

    /// `http://127.0.0.1:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url)
    }

    pub fn auth_dir(&self) -> PathBuf {
        self.home.path().join("auth")
    }

    pub fn control_socket(&self) -> &Path {
        &self.control_socket
    }

    /// Where metrics are served alone: `127.0.0.1:PORT`.
    pub fn metrics_address(&self) -> &str {
        self.metrics_addresses.first().expect("metrics.listen is set")
    }

    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A client key with these rules, as its client has it.
    pub fn create_key(&self, name: &str, rules: Rules) -> String {
        let new = NewKey { name: name.to_owned(), expires_at: None, rules };
        let (_, key) = self.keys.create(new).expect("a key is made");
        key.expose().to_owned()
    }

    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    pub fn refresher(&self) -> &Refresher {
        &self.refresher
    }

    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// POSTs JSON as a client of the Anthropic API would.
    pub async fn post(&self, path: &str, body: &Value) -> reqwest::Response {
        let request = self.http.post(self.url(path)).header("anthropic-version", "2023-06-01").json(body);
        within("an answer", request.send()).await.expect("the daemon answers")
    }

    /// A small Messages request.
    pub async fn ask(&self, text: &str) -> reqwest::Response {
        self.post("/v1/messages", &message(text)).await
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        within("an answer", self.http.get(self.url(path)).send()).await.expect("the daemon answers")
    }

    pub async fn accounts_client(&self) -> AccountsClient<Channel> {
        AccountsClient::new(channel(&self.control_socket).await)
    }

    pub async fn logins_client(&self) -> LoginsClient<Channel> {
        LoginsClient::new(channel(&self.control_socket).await)
    }

    pub async fn daemon_client(&self) -> DaemonClient<Channel> {
        DaemonClient::new(channel(&self.control_socket).await)
    }

    pub async fn diagnosis_client(&self) -> DiagnosisClient<Channel> {
        DiagnosisClient::new(channel(&self.control_socket).await)
    }

    pub async fn activity_client(&self) -> ActivityClient<Channel> {
        ActivityClient::new(channel(&self.control_socket).await)
    }

    /// What `proxyctl accounts list` is told.
    pub async fn list(&self) -> ListAccountsResponse {
        let listed = self.accounts_client().await.list_accounts(ListAccountsRequest::default()).await;
        listed.expect("the accounts are listed").into_inner()
    }

    /// The one account there is.
    pub async fn only_account(&self) -> Account {
        let mut accounts = self.list().await.accounts;
        assert_eq!(accounts.len(), 1, "{accounts:?}");
        accounts.pop().expect("one account")
    }

    /// The account that came from this file.
    pub async fn account_of(&self, file: &str) -> Account {
        let accounts = self.list().await.accounts;
        accounts.into_iter().find(|account| account.path.ends_with(file)).expect("an account of that file")
    }

    /// `proxyctl accounts refresh`.
    pub async fn refresh(&self, account: &str) -> Result<Account, Status> {
        let request = RefreshAccountRequest { account: account.to_owned() };
        let refreshed = within("an answer", self.accounts_client().await.refresh_account(request)).await?;
        Ok(refreshed.into_inner().account.expect("an account"))
    }

    /// `BeginLogin`, as `proxyctl` would with a listener on port 54545.
    pub async fn begin_login(&self) -> BeginLoginResponse {
        let request = BeginLoginRequest {
            provider: "claude".to_owned(),
            callback_port: 54545,
            ..BeginLoginRequest::default()
        };
        let begun = within("an answer", self.logins_client().await.begin_login(request)).await;
        begun.expect("a login begins").into_inner()
    }

    pub async fn complete_login(
        &self,
        login_id: &str,
        code: &str,
        state: &str,
    ) -> Result<CompleteLoginResponse, Status> {
        let [login_id, code, state] = [login_id, code, state].map(str::to_owned);
        let request = CompleteLoginRequest { login_id, code, state };
        let completed = within("an answer", self.logins_client().await.complete_login(request)).await?;
        Ok(completed.into_inner())
    }

    /// The names in the auth directory that a person would see, in order.
    pub fn files(&self) -> Vec<String> {
        self.all_files().into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// Every name in the auth directory, in order.
    pub fn all_files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.auth_dir()).expect("the auth directory");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name in UTF-8");
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// Waits until the file holds the refresh token that the issuer holds as current, rotated `rotations`
    /// times.
    pub async fn wait_until_saved(&self, fake: &FakeClaude, issued: &Issued, file: &str, rotations: usize) {
        within("the newest token is on disk", async {
            while !self.holds_newest(fake, issued, file) || fake.rotations(issued.account) < rotations {
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
        assert_eq!(fake.rotations(issued.account), rotations);
    }

    /// Whether the file holds the refresh token that the issuer holds as current.
    pub fn holds_newest(&self, fake: &FakeClaude, issued: &Issued, file: &str) -> bool {
        let current = fake.current_refresh_token(issued.account).expect("a login that lives");
        self.read(file).get("refresh_token") == Some(&json!(current))
    }

    /// Waits until `accounts list` says so.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&ListAccountsResponse) -> bool) {
        within(what, async {
            while !condition(&self.list().await) {
                tokio::time::sleep(LOOK).await;
            }
        })
        .await;
    }

    /// Writes an account's file into the auth directory.
    pub fn put(&self, name: &str, document: &Value) {
        put(&self.auth_dir(), name, document);
    }

    /// What an account's file holds now.
    pub fn read(&self, name: &str) -> Value {
        read(&self.auth_dir().join(name))
    }
}

/// A connection to a control socket.
pub async fn channel(socket: &Path) -> Channel {
    let socket = socket.to_owned();
    let connect = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    within("the control socket", endpoint.connect_with_connector(connect))
        .await
        .expect("a control connection")
}
