//! A daemon that answers what the test scripted, writes down what it was asked, and fails the test when it
//! was asked anything else.

mod activity;
mod configuration;
mod keys;
mod logs;
mod samples;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use proxy_proto::v1::accounts_server::{Accounts, AccountsServer};
use proxy_proto::v1::activity_server::ActivityServer;
use proxy_proto::v1::configuration_server::ConfigurationServer;
use proxy_proto::v1::daemon_server::{Daemon, DaemonServer};
use proxy_proto::v1::diagnosis_server::{Diagnosis, DiagnosisServer};
use proxy_proto::v1::keys_server::KeysServer;
use proxy_proto::v1::logins_server::{Logins, LoginsServer};
use proxy_proto::v1::logs_server::LogsServer;
use proxy_proto::v1::*;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use self::activity::Messages;
pub(crate) use self::keys::{CLIENT_KEY, client_key};
use self::samples::begun;
pub(crate) use self::samples::{
    ACCOUNT_JSON, account, api_key_account, at, completed, from_now, refused, saved, settings, status,
};

/// Secrets that pass through the program. None may ever be in what it prints, but the state inside the URL.
pub(crate) const CODE: &str = "FAKE-CODE-canary-51";
pub(crate) const STATE: &str = "FAKE-STATE-canary-52";
pub(crate) const KEY: &str = "sk-ant-api03-FAKE-canary-53";

/// How long a test waits for a state before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// One scripted answer.
#[derive(Debug)]
pub(crate) enum Reply<T> {
    Now(Result<T, Status>),
    /// Given once the test adds a permit.
    Held(Result<T, Status>, Arc<Semaphore>),
}

#[derive(Debug)]
struct Queue<T>(VecDeque<Reply<T>>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

#[derive(Debug, Default)]
struct Script {
    status: Queue<GetStatusResponse>,
    list: Queue<ListAccountsResponse>,
    /// Answers every verb that returns one account.
    account: Queue<Account>,
    add: Queue<AddAccountResponse>,
    remove: Queue<RemoveAccountResponse>,
    import: Queue<ImportAccountsResponse>,
    export: Queue<ExportAccountResponse>,
    /// The messages of one stream, after which it ends.
    pools: Queue<Vec<WatchAccountsResponse>>,
    events: Queue<Vec<WatchEventsResponse>>,
    revoke: Queue<RevokeAccountResponse>,
    begin: Queue<BeginLoginResponse>,
    complete: Queue<CompleteLoginResponse>,
    request: Queue<ExplainRequestResponse>,
    keys: Queue<ListKeysResponse>,
    /// Answers every verb that returns one key.
    key: Queue<Key>,
    create_key: Queue<CreateKeyResponse>,
    strategy: Queue<SetStrategyResponse>,
    logs: Queue<Vec<WatchLogsResponse>>,
    log_level: Queue<LogLevel>,
    configuration: Queue<GetConfigurationResponse>,
    reload: Queue<ReloadResponse>,
    diagnosis: Queue<DiagnoseResponse>,
    activity: Queue<Vec<WatchActivityResponse>>,
    /// Streams end after their messages; otherwise they stay open, as those of a daemon do.
    streams_stay: bool,
    streams_end: CancellationToken,
    /// Everything that was asked, in words.
    calls: Vec<String>,
    surprises: Vec<String>,
}

/// The scripted daemon and the directory its socket is in.
#[derive(Debug)]
pub(crate) struct FakeDaemon {
    script: Arc<Mutex<Script>>,
    directory: TempDir,
    _runtime: Runtime,
}

#[derive(Debug, Clone)]
struct Services(Arc<Mutex<Script>>);

impl FakeDaemon {
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let services = Services(Arc::clone(&script));
        let socket = directory.path().join("control.sock");
        let listener = runtime.block_on(async { UnixListener::bind(&socket).unwrap() });
        let server = tonic::transport::Server::builder()
            .add_service(AccountsServer::new(services.clone()))
            .add_service(ConfigurationServer::new(services.clone()))
            .add_service(ActivityServer::new(services.clone()))
            .add_service(DaemonServer::new(services.clone()))
            .add_service(DiagnosisServer::new(services.clone()))
            .add_service(KeysServer::new(services.clone()))
            .add_service(LoginsServer::new(services.clone()))
            .add_service(LogsServer::new(services))
            .serve_with_incoming(UnixListenerStream::new(listener));
        runtime.spawn(server);
        Self { script, directory, _runtime: runtime }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("control.sock")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn status(self, reply: Result<GetStatusResponse, Status>) -> Self {
        self.script().status.0.push_back(Reply::Now(reply));
        self
    }

    pub(crate) fn list(self, reply: ListAccountsResponse) -> Self {
        self.script().list.0.push_back(Reply::Now(Ok(reply)));
        self
    }

    pub(crate) fn account(self, reply: Result<Account, Status>) -> Self {
        self.script().account.0.push_back(Reply::Now(reply));
        self
    }

    /// The account is told once the test adds a permit.
    pub(crate) fn account_held(self) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        self.script().account.0.push_back(Reply::Held(Ok(account()), Arc::clone(&gate)));
        (self, gate)
    }

    pub(crate) fn add(self, replaced: bool) -> Self {
        let reply = AddAccountResponse { account: Some(api_key_account()), replaced };
        self.script().add.0.push_back(Reply::Now(Ok(reply)));
        self
    }

    pub(crate) fn remove(self) -> Self {
        let reply = RemoveAccountResponse { id: account().id, path: account().path };
        self.script().remove.0.push_back(Reply::Now(Ok(reply)));
        self
    }

    pub(crate) fn import(self, reply: Result<Vec<ImportedFile>, Status>) -> Self {
        let reply = reply.map(|files| ImportAccountsResponse { files });
        self.script().import.0.push_back(Reply::Now(reply));
        self
    }

    pub(crate) fn export(self, reply: Result<&str, Status>) -> Self {
        let reply = reply.map(|path| ExportAccountResponse { id: account().id, path: path.to_owned() });
        self.script().export.0.push_back(Reply::Now(reply));
        self
    }

    /// One stream of the pool, which ends after these.
    pub(crate) fn pools(self, pools: Vec<WatchAccountsResponse>) -> Self {
        self.script().pools.0.push_back(Reply::Now(Ok(pools)));
        self
    }

    pub(crate) fn events(self, events: Vec<WatchEventsResponse>) -> Self {
        self.script().events.0.push_back(Reply::Now(Ok(events)));
        self
    }

    pub(crate) fn revoke(self, provider: ProviderRevocation, provider_error: &str) -> Self {
        let reply = RevokeAccountResponse {
            id: account().id,
            path: account().path,
            provider: provider.into(),
            provider_error: provider_error.to_owned(),
        };
        self.script().revoke.0.push_back(Reply::Now(Ok(reply)));
        self
    }

    /// Lets a login begin, on any port.
    pub(crate) fn login(self) -> Self {
        self.login_on(0)
    }

    /// Lets a login begin whose preferred port is this one.
    pub(crate) fn login_on(self, port: u16) -> Self {
        let status = GetStatusResponse { login_callback_port: port.into(), ..status() };
        self.script().begin.0.push_back(Reply::Now(Ok(begun())));
        self.status(Ok(status))
    }

    /// Lets a login begin that needs no port, and so no status.
    pub(crate) fn begin_only(self) -> Self {
        self.script().begin.0.push_back(Reply::Now(Ok(begun())));
        self
    }

    pub(crate) fn begin_refused(self, refusal: Status) -> Self {
        self.script().begin.0.push_back(Reply::Now(Err(refusal)));
        self
    }

    pub(crate) fn complete(self, reply: Reply<CompleteLoginResponse>) -> Self {
        self.script().complete.0.push_back(reply);
        self
    }

    /// What is told of one request.
    pub(crate) fn request(self, reply: Result<ExplainRequestResponse, Status>) -> Self {
        self.script().request.0.push_back(Reply::Now(reply));
        self
    }

    /// Lets the strategy be changed, which was this one before.
    pub(crate) fn strategy(self, before: Result<Strategy, Status>) -> Self {
        let reply = before.map(|before| SetStrategyResponse { before: before.into() });
        self.script().strategy.0.push_back(Reply::Now(reply));
        self
    }

    pub(crate) fn diagnosis(self, reply: Result<Vec<Finding>, Status>) -> Self {
        let reply = reply.map(|findings| DiagnoseResponse { findings });
        self.script().diagnosis.0.push_back(Reply::Now(reply));
        self
    }

    /// Everything that was asked so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.script().calls.clone()
    }

    /// Waits until the daemon was asked this.
    pub(crate) fn wait_for_call(&self, call: &str) {
        super::process::wait_until(call, || self.calls().iter().any(|made| made == call));
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }
}

impl Drop for FakeDaemon {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.script().surprises.is_empty(), "unexpected calls: {:?}", self.script().surprises);
        }
    }
}

impl Services {
    async fn answer<T>(
        &self,
        call: String,
        queue: impl FnOnce(&mut Script) -> &mut Queue<T>,
    ) -> Result<Response<T>, Status> {
        let reply = {
            let mut script = self.0.lock().unwrap();
            script.calls.push(call.clone());
            let reply = queue(&mut script).0.pop_front();
            if reply.is_none() {
                script.surprises.push(call);
            }
            reply
        };
        match reply {
            Some(Reply::Now(reply)) => reply.map(Response::new),
            Some(Reply::Held(reply, gate)) => {
                drop(gate.acquire().await);
                reply.map(Response::new)
            }
            None => Err(Status::internal("the test did not expect this")),
        }
    }

    async fn one(&self, verb: &str, name: &str) -> Result<Account, Status> {
        let reply = self.answer(format!("{verb} {name}"), |script| &mut script.account).await?;
        Ok(reply.into_inner())
    }
}

#[tonic::async_trait]
impl Daemon for Services {
    type WatchEventsStream = Messages<WatchEventsResponse>;

    async fn watch_events(
        &self,
        _: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let messages = self.answer("watch events".to_owned(), |script| &mut script.events).await?;
        Ok(Response::new(self.stream(messages.into_inner())))
    }

    async fn get_status(&self, _: Request<GetStatusRequest>) -> Result<Response<GetStatusResponse>, Status> {
        self.answer("status".to_owned(), |script| &mut script.status).await
    }

    async fn explain_request(
        &self,
        request: Request<ExplainRequestRequest>,
    ) -> Result<Response<ExplainRequestResponse>, Status> {
        self.answer(format!("explain {}", request.get_ref().request_id), |script| &mut script.request).await
    }

    async fn set_strategy(
        &self,
        request: Request<SetStrategyRequest>,
    ) -> Result<Response<SetStrategyResponse>, Status> {
        let word = request.get_ref().strategy().as_str_name();
        self.answer(format!("set {word}"), |script| &mut script.strategy).await
    }
}

#[tonic::async_trait]
impl Diagnosis for Services {
    async fn diagnose(&self, _: Request<DiagnoseRequest>) -> Result<Response<DiagnoseResponse>, Status> {
        self.answer("diagnose".to_owned(), |script| &mut script.diagnosis).await
    }
}

#[tonic::async_trait]
impl Accounts for Services {
    type WatchAccountsStream = Messages<WatchAccountsResponse>;

    async fn watch_accounts(
        &self,
        _: Request<WatchAccountsRequest>,
    ) -> Result<Response<Self::WatchAccountsStream>, Status> {
        let messages = self.answer("watch accounts".to_owned(), |script| &mut script.pools).await?;
        Ok(Response::new(self.stream(messages.into_inner())))
    }

    async fn update_account(
        &self,
        request: Request<UpdateAccountRequest>,
    ) -> Result<Response<UpdateAccountResponse>, Status> {
        let UpdateAccountRequest { account, changes } = request.into_inner();
        let account = Some(self.one("change", &format!("{account} {}", shown(&changes.unwrap()))).await?);
        Ok(Response::new(UpdateAccountResponse { account }))
    }

    async fn remove_account(
        &self,
        request: Request<RemoveAccountRequest>,
    ) -> Result<Response<RemoveAccountResponse>, Status> {
        self.answer(format!("remove {}", request.get_ref().account), |script| &mut script.remove).await
    }

    async fn import_accounts(
        &self,
        request: Request<ImportAccountsRequest>,
    ) -> Result<Response<ImportAccountsResponse>, Status> {
        let ImportAccountsRequest { directory, r#move } = request.into_inner();
        let verb = if r#move { "move" } else { "copy" };
        self.answer(format!("{verb} {directory}"), |script| &mut script.import).await
    }

    async fn export_account(
        &self,
        request: Request<ExportAccountRequest>,
    ) -> Result<Response<ExportAccountResponse>, Status> {
        let ExportAccountRequest { account, path } = request.into_inner();
        self.answer(format!("export {account} {path}"), |script| &mut script.export).await
    }

    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let call = match request.into_inner() {
            ListAccountsRequest { explain: false, model } if model.is_empty() => "list".to_owned(),
            ListAccountsRequest { explain, model } => format!("list explain:{explain} model:{model}"),
        };
        self.answer(call, |script| &mut script.list).await
    }

    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<GetAccountResponse>, Status> {
        let GetAccountRequest { account, fresh } = request.into_inner();
        let account = Some(self.one(if fresh { "show fresh" } else { "show" }, &account).await?);
        Ok(Response::new(GetAccountResponse { account }))
    }

    async fn add_account(
        &self,
        request: Request<AddAccountRequest>,
    ) -> Result<Response<AddAccountResponse>, Status> {
        let AddAccountRequest { credential, settings, .. } = request.into_inner();
        let (kind, secret) = match credential.unwrap() {
            add_account_request::Credential::ApiKey(key) => ("key", key),
            add_account_request::Credential::SetupToken(token) => ("token", token),
        };
        let label = settings.and_then(|settings| settings.label).unwrap_or_default();
        self.answer(format!("add {kind} {secret} {label}"), |script| &mut script.add).await
    }

    async fn revoke_account(
        &self,
        request: Request<RevokeAccountRequest>,
    ) -> Result<Response<RevokeAccountResponse>, Status> {
        self.answer(format!("revoke {}", request.get_ref().account), |script| &mut script.revoke).await
    }

    async fn disable_account(
        &self,
        request: Request<DisableAccountRequest>,
    ) -> Result<Response<DisableAccountResponse>, Status> {
        let account = Some(self.one("disable", &request.get_ref().account).await?);
        Ok(Response::new(DisableAccountResponse { account }))
    }

    async fn enable_account(
        &self,
        request: Request<EnableAccountRequest>,
    ) -> Result<Response<EnableAccountResponse>, Status> {
        let account = Some(self.one("enable", &request.get_ref().account).await?);
        Ok(Response::new(EnableAccountResponse { account }))
    }

    async fn refresh_account(
        &self,
        request: Request<RefreshAccountRequest>,
    ) -> Result<Response<RefreshAccountResponse>, Status> {
        let account = Some(self.one("refresh", &request.get_ref().account).await?);
        Ok(Response::new(RefreshAccountResponse { account }))
    }
}

#[tonic::async_trait]
impl Logins for Services {
    async fn begin_login(
        &self,
        request: Request<BeginLoginRequest>,
    ) -> Result<Response<BeginLoginResponse>, Status> {
        let request = request.into_inner();
        let is_paste = request.redirect() == LoginRedirect::Paste;
        let BeginLoginRequest { provider, callback_port, label, priority, .. } = request;
        let paste = if is_paste { " by paste" } else { "" };
        let label = if label.is_empty() { String::new() } else { format!(" label {label}") };
        let priority = priority.map(|priority| format!(" priority {priority}")).unwrap_or_default();
        let call = format!("begin {provider}{paste}{label}{priority}");
        let mut reply = self.answer(call, |script| &mut script.begin).await?;
        let begun = reply.get_mut();
        begun.redirect_uri = if is_paste {
            "https://issuer.example/code".to_owned()
        } else {
            format!("http://localhost:{callback_port}/callback")
        };
        begun.authorize_url = format!("{}&port={callback_port}", begun.authorize_url);
        Ok(reply)
    }

    /// Checks what a daemon would: the login, the state, and here that the code is the one the test sent.
    async fn complete_login(
        &self,
        request: Request<CompleteLoginRequest>,
    ) -> Result<Response<CompleteLoginResponse>, Status> {
        let CompleteLoginRequest { login_id, code, state } = request.into_inner();
        let right = login_id == begun().login_id && code == CODE && state == STATE;
        let call = if right { "complete" } else { "complete with something else" };
        self.answer(call.to_owned(), |script| &mut script.complete).await
    }

    async fn cancel_login(
        &self,
        request: Request<CancelLoginRequest>,
    ) -> Result<Response<CancelLoginResponse>, Status> {
        assert_eq!(request.get_ref().login_id, begun().login_id);
        self.0.lock().unwrap().calls.push("cancel".to_owned());
        Ok(Response::new(CancelLoginResponse {}))
    }
}

/// The changes that were asked for, in the order of their fields.
fn shown(changes: &AccountChanges) -> String {
    let AccountChanges {
        label,
        priority,
        weight,
        prefix,
        proxy_url,
        model_aliases,
        excluded_models,
        note,
        base_url,
        reserve_percent,
    } = changes;
    let aliases = model_aliases.as_ref().map(|list| {
        let pairs = list.aliases.iter().map(|alias| format!("{}={}", alias.alias, alias.model));
        pairs.collect::<Vec<_>>().join(",")
    });
    let words = [
        ("label", label.clone()),
        ("priority", priority.map(|number| number.to_string())),
        ("weight", weight.map(|number| number.to_string())),
        ("reserve", reserve_percent.map(|number| number.to_string())),
        ("prefix", prefix.clone()),
        ("proxy", proxy_url.clone()),
        ("aliases", aliases),
        ("excluded", excluded_models.as_ref().map(|list| list.patterns.join(","))),
        ("note", note.clone()),
        ("base", base_url.clone()),
    ];
    let words = words.into_iter().filter_map(|(name, value)| Some(format!("{name}:{}", value?)));
    words.collect::<Vec<_>>().join(" ")
}
