//! Client keys: who has one is served within its limits, and who has none is not, however often it is tried.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proxy_tests::fake_claude::{Caller, Gate, Script};

use crate::bench::{Answered, Bench, Setup, body, client, send};
use crate::case::{Shown, eventually, until};

/// `proxyctl keys create`, which prints the key alone.
async fn create(bench: &Bench, name: &str, rules: &[&str]) -> Result<String> {
    let done = bench.machine.proxyctl(&[&["keys", "create", name][..], rules].concat()).await;
    ensure!(done.code == Some(0), "keys create: {}", done.stderr);
    let key = done.stdout.trim();
    ensure!(key.starts_with("sk-proxyd-") && key.len() == 53, "not a key alone: {} characters", key.len());
    Ok(key.to_owned())
}

async fn with(bench: &Bench, header: &str, value: &str) -> Result<Answered> {
    let request = client()?.post(bench.daemon.url("/v1/messages")).json(&body("/v1/messages", false));
    send(request.header("anthropic-version", "2023-06-01").header(header, value)).await
}

async fn by_key() -> Result<Bench> {
    Ok(Setup::new().await?.set("http.auth", "key").start().await)
}

pub(crate) async fn good_and_wrong_keys() -> Shown {
    let bench = by_key().await?;
    let key = create(&bench, "good", &[]).await?;
    for (header, value) in [
        ("authorization", format!("Bearer {key}")),
        ("x-api-key", key.clone()),
        ("x-proxyd-key", key.clone()),
    ] {
        let answered = with(&bench, header, &value).await?;
        ensure!(answered.status == 200, "a good key as {header}: {} {}", answered.status, answered.text);
        let seen = bench.fake.requests_to("/v1/messages");
        let leaked = seen.iter().any(|request| format!("{:?}", request.headers).contains("sk-proxyd-"));
        ensure!(!leaked, "the client key went upstream");
    }
    let expired = create(&bench, "expired", &["--expires", "1s"]).await?;
    let revoked = create(&bench, "revoked", &[]).await?;
    let done = bench.machine.proxyctl(&["keys", "revoke", "revoked", "--yes"]).await;
    ensure!(done.code == Some(0), "keys revoke: {}", done.stderr);
    let over = || async { Ok(with(&bench, "x-api-key", &expired).await?.status != 200) };
    eventually("the key expires", over).await?;
    // What was asked while it served does not count.
    bench.fake.forget_requests();
    let made_up = format!("sk-proxyd-{}", "A".repeat(43));
    let mut other = key.clone();
    other.pop();
    for (what, value) in [
        ("expired", expired),
        ("revoked", revoked),
        ("made up", made_up),
        ("cut short", other),
        ("foreign", "x".to_owned()),
    ] {
        let answered = with(&bench, "x-api-key", &value).await?;
        ensure!(answered.status == 401, "a key that is {what}: {} {}", answered.status, answered.text);
        let says_no = answered.headers.get("x-should-retry").is_some_and(|value| value == "false");
        ensure!(says_no, "a key that is {what}: clients are not told to leave it");
    }
    let none = crate::bench::ask(&bench.daemon, "/v1/messages", false).await?;
    ensure!(none.status == 401, "no key: {}", none.status);
    let query = client()?.post(bench.daemon.url(&format!("/v1/messages?key={key}")));
    let answered = send(query.json(&body("/v1/messages", false)).header("x-api-key", &key)).await?;
    ensure!(answered.status == 400, "a key in a query: {}", answered.status);
    ensure!(bench.fake.count("/v1/messages") == 0, "a refused request went upstream");
    bench.stop().await?;
    Ok("three headers served, seven kinds refused".to_owned())
}

pub(crate) async fn wrong_keys_are_throttled() -> Shown {
    let bench = by_key().await?;
    let key = create(&bench, "good", &[]).await?;
    let mut held_back = 0;
    for n in 0..100 {
        let wrong = format!("sk-proxyd-{n:043}");
        let answered = with(&bench, "x-api-key", &wrong).await?;
        match answered.status {
            401 => {}
            429 => {
                held_back += 1;
                let after = answered.headers.get("retry-after").and_then(|value| value.to_str().ok());
                ensure!(
                    after.is_some_and(|after| after.parse::<u64>().is_ok_and(|after| after > 0)),
                    "no retry-after"
                );
            }
            other => anyhow::bail!("a wrong key: {other} {}", answered.text),
        }
        // From the same source, all the while.
        if n % 10 == 0 {
            let answered = with(&bench, "x-api-key", &key).await?;
            ensure!(answered.status == 200, "a good key among wrong ones: {}", answered.status);
        }
    }
    ensure!(held_back > 50, "only {held_back} of 100 wrong keys were held back");
    bench.stop().await?;
    Ok(format!("{held_back} of 100 held back, no good one"))
}

pub(crate) async fn limits_of_keys() -> Shown {
    let bench = by_key().await?;
    let few = create(&bench, "few", &["--rpm", "60"]).await?;
    let (mut served, mut told) = (0, None);
    for _ in 0..70 {
        let answered = with(&bench, "x-api-key", &few).await?;
        match answered.status {
            200 => served += 1,
            429 => {
                let after = answered.headers.get("retry-after").and_then(|value| value.to_str().ok());
                told = Some(after.and_then(|after| after.parse::<u64>().ok()).context("a retry-after")?);
                break;
            }
            other => anyhow::bail!("{other} {}", answered.text),
        }
    }
    let after = told.context("no request was refused for its limit")?;
    ensure!((55..=70).contains(&served), "{served} were served at once");
    let since = Instant::now();
    let lets_in = || async {
        let asked = since.elapsed();
        let answered = with(&bench, "x-api-key", &few).await?;
        let is_late = answered.status != 200 && asked >= Duration::from_secs(after);
        ensure!(!is_late, "after the {after} s that were told: {}", answered.status);
        Ok(answered.status == 200)
    };
    eventually("the key's limit lets it in", lets_in).await?;

    let one = create(&bench, "one", &["--concurrency", "1", "--models", "claude-sonnet-*"]).await?;
    let waits = create(&bench, "waits", &["--concurrency", "1", "--wait", "20s"]).await?;
    for (key, second) in [(&one, 429), (&waits, 200)] {
        let gate = Gate::new();
        bench.fake.on("/v1/messages").once(Script::real().hold(&gate));
        let first = with(&bench, "x-api-key", key);
        let next = async {
            gate.reached_by(1).await;
            let next = with(&bench, "x-api-key", key);
            if second == 429 {
                let answered = next.await;
                gate.open();
                return answered;
            }
            // In line behind the first one.
            let (answered, waited) = tokio::join!(next, async {
                let in_line = || async {
                    let shown = bench.machine.proxyctl(&["keys", "show", "waits", "--json"]).await;
                    Ok(shown.json().to_string().contains("\"waiting\":1"))
                };
                let waited = eventually("the second waits in line", in_line).await;
                gate.open();
                waited
            });
            waited?;
            answered
        };
        let (first, next) = tokio::join!(first, next);
        ensure!(first?.status == 200, "the first of two at once");
        let next = next?;
        ensure!(next.status == second, "the second of two at once: {} {}", next.status, next.text);
    }
    let mut other = body("/v1/messages", false);
    if let Some(other) = other.as_object_mut() {
        other.insert("model".to_owned(), "claude-opus-4-1".into());
    }
    let answered =
        send(client()?.post(bench.daemon.url("/v1/messages")).json(&other).header("x-api-key", &one)).await?;
    ensure!((400..500).contains(&answered.status), "a model that the key may not use: {}", answered.status);
    bench.stop().await?;
    Ok(format!("{served} of 60 a minute, {} ms later again", since.elapsed().as_millis()))
}

pub(crate) async fn open_addresses_need_keys() -> Shown {
    let setup = Setup::new().await?;
    let done = setup.machine.proxyd(&["--listen", "0.0.0.0:0"]).await;
    crate::evidence::log(&done.stderr);
    ensure!(done.code.is_some_and(|code| code != 0), "it starts");
    ensure!(done.stderr.contains("keys create"), "it does not say what to do: {}", done.stderr);
    Ok("no start without a key".to_owned())
}

/// A credential of the caller's own goes up as it is, past the accounts of the pool, where that is switched on.
pub(crate) async fn passthrough() -> Shown {
    let mut shown = Vec::new();
    for is_on in [false, true] {
        let bench = Setup::new().await?.set("http.passthrough", &is_on.to_string()).start().await;
        let theirs = bench.fake.add_api_key();
        let answered = with(&bench, "x-api-key", &theirs).await?;
        ensure!(answered.status == 200, "passthrough {is_on}: {} {}", answered.status, answered.text);
        let seen = bench.fake.requests_to("/v1/messages");
        let caller = seen.first().and_then(|request| request.caller.clone());
        let expected = if is_on { Caller::ApiKey(theirs) } else { Caller::Account(bench.issued.account) };
        ensure!(caller == Some(expected), "passthrough {is_on}: it went as somebody else");
        if is_on {
            // A good account of the pool does not stand in for it.
            let answered = with(&bench, "x-api-key", "sk-ant-api03-FAKE-nobody").await?;
            ensure!(answered.status == 401, "a credential that upstream refuses: {}", answered.status);
        }
        shown.push(if is_on { "on: the caller's own" } else { "off: the pool's" });
        bench.stop().await?;
    }
    Ok(shown.join(", "))
}

pub(crate) async fn overload_is_shed() -> Shown {
    let setup = Setup::new().await?.set("http.max_requests", "4").set("http.max_waiting", "2");
    let bench = setup.start().await;
    let gate = Gate::new();
    bench.fake.on("/v1/messages").always(Script::real().hold(&gate));
    let routes = crate::bench::DIALECTS.iter().copied().cycle().take(20);
    let (daemon, turned_away) = (&bench.daemon, &AtomicUsize::new(0));
    let asking = futures_util::future::join_all(routes.map(|route| async move {
        let answered = crate::bench::ask(daemon, route, false).await;
        if answered.as_ref().is_ok_and(|answered| answered.status != 200) {
            turned_away.fetch_add(1, Ordering::Relaxed);
        }
        (route, answered)
    }));
    let meanwhile = async {
        gate.reached_by(4).await;
        // Refresh and control go on.
        let done = bench.machine.proxyctl(&["accounts", "refresh", crate::evidence::EMAIL]).await;
        ensure!(done.code == Some(0), "proxyctl accounts refresh: {}", done.stderr);
        ensure!(bench.holds_newest() && bench.fake.token_calls() == 1, "the refresh was not saved");
        // All that do not fit are shed, before any of the others is let go on.
        until("the rest is shed", || turned_away.load(Ordering::Relaxed) == 14).await?;
        let upstream = bench.fake.count("/v1/messages");
        gate.open();
        anyhow::Ok(upstream)
    };
    let (answers, upstream) = tokio::join!(asking, meanwhile);
    ensure!(upstream? == 4, "more than four requests were upstream at once");
    let (mut served, mut shed) = (0, 0);
    for (route, answered) in answers {
        let answered = answered?;
        match answered.status {
            200 => served += 1,
            429 | 503 | 529 => {
                shed += 1;
                ensure!(answered.headers.contains_key("retry-after"), "{route}: no retry-after");
                ensure!(answered.is_error_of(route), "{route}: {}", answered.text);
            }
            other => anyhow::bail!("{route}: {other} {}", answered.text),
        }
    }
    ensure!((served, shed) == (6, 14), "{served} served, {shed} shed");
    bench.stop().await?;
    Ok(format!("{served} served, {shed} shed, a refresh saved meanwhile"))
}
