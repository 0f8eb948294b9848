//! What a `proxyd` is asked that notes which of its code runs (`packaging/build`): all that programs ask day by day, in every dialect,
//! whole and streamed, with and without TLS to the provider. What is never asked here is taken for rare, and made small instead of fast.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use proxy_tests::binaries::browser;
use proxy_tests::fake_claude::{FakeClaude, OnSurprise, Options};
use proxy_tests::tls_front::TlsFront;
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Builder;

use crate::conversations;
use crate::program::{Daemon, Setup, UPSTREAM, accounts};
use crate::say;
use crate::wire::{self, Upstream};
use crate::works;

/// As many requests of each work for each one that is counted.
const TIMES: u64 = 40;
/// How often everything else is asked.
const ROUNDS: usize = 100;

pub(crate) fn train(program: &Path) -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    for work in works::all() {
        let upstream = Upstream::start(&work.answer)?;
        let front = runtime.block_on(TlsFront::start(upstream.address));
        let plain = vec![(UPSTREAM, format!("http://{}", upstream.address))];
        for environment in [plain, behind(&front, &directory)?] {
            let daemon = Daemon::start(Command::new(program), &Setup { accounts: &accounts(), environment })?;
            wire::ask(daemon.address, &work, TIMES * work.requests, &upstream).context(work.name)?;
            daemon.stop()?;
        }
        say(&format!("trained: {}", work.name));
    }
    runtime.block_on(converse(program, &directory))?;
    say("trained: conversations");
    Ok(())
}

/// What points a daemon at a provider behind TLS.
fn behind(front: &TlsFront, directory: &TempDir) -> anyhow::Result<Vec<(&'static str, String)>> {
    let file = directory.path().join("provider.pem");
    let written = File::create(&file).and_then(|mut file| file.write_all(front.certificate().as_bytes()));
    written.with_context(|| format!("cannot write {}", file.display()))?;
    let file = file.to_str().context("a path in UTF-8")?.to_owned();
    Ok(vec![(UPSTREAM, front.url()), ("PROXYD_UPSTREAM__CA_FILE", file)])
}

/// Has every kind of conversation with the fake provider, by logins and by a key.
async fn converse(program: &Path, directory: &TempDir) -> anyhow::Result<()> {
    let fake = FakeClaude::serve(Options { on_surprise: OnSurprise::Keep, ..Options::default() }).await?;
    let front = TlsFront::start(fake.address()).await;
    let accounts = [
        fake.issue_account("first@example.com").auth_file(),
        fake.issue_account("second@example.com").auth_file(),
        json!({"type": "claude", "api_key": fake.add_api_key()}),
    ];
    let environment = fake.proxyd_environment().into_iter().chain(behind(&front, directory)?).collect();
    let daemon = Daemon::start(Command::new(program), &Setup { accounts: &accounts, environment })?;
    let (client, base) = (browser(), format!("http://{}", daemon.address));
    let asked = conversations::all();
    for _ in 0..ROUNDS {
        let models = client.get(format!("{base}/v1/models")).send().await?;
        ensure!(models.status().is_success(), "the models: {}", models.status());
        for (path, body) in &asked {
            let answer = client.post(format!("{base}{path}")).json(body).send().await?;
            let status = answer.status();
            let said = answer.text().await?;
            ensure!(status.is_success(), "{path} {body}: {status} {said}");
        }
        fake.forget_requests();
    }
    daemon.stop()
}
