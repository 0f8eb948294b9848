//! Another configuration while the daemon runs: what it changes is seen by the next request, and what is wrong with it changes
//! nothing.

mod every_key;
mod groups;
mod http;
mod listen;
mod watch;

use proxy_proto::v1::{ConfigurationChange, ConfigurationEffect, ReloadResponse};
use proxy_tests::daemon::{Setup, TestDaemon};
use proxy_tests::fake_claude::FakeClaude;

async fn daemon(fake: &FakeClaude, file: &str) -> TestDaemon {
    TestDaemon::with_account_and(fake, Setup::file(file)).await
}

/// Key, effect and reason of each change.
fn effects(changes: &[ConfigurationChange]) -> Vec<(&str, ConfigurationEffect, &str)> {
    changes.iter().map(|change| (change.key.as_str(), change.effect(), change.reason.as_str())).collect()
}

#[tokio::test]
async fn what_changed_is_told_once_with_its_place() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "[pool]\nqueue = 5\n").await;
    daemon.configure("[pool]\nqueue = 5\n\n[http]\n  drain = \"1s\"\n");
    let changes = daemon.reload().await.changes;
    let file = daemon.configuration_file().display().to_string();
    assert_eq!(effects(&changes), [("http.drain", ConfigurationEffect::Applied, "")]);
    assert_eq!(changes[0].before, "\"30s\"");
    assert_eq!(changes[0].after, "\"1s\"");
    assert_eq!(changes[0].origin, format!("{file}:5:3"));
    assert_eq!(daemon.reload().await, ReloadResponse::default());
    let told = daemon.configuration().await;
    let key = |name: &str| told.iter().find(|key| key.key == name).unwrap();
    assert_eq!((key("http.drain").value.as_str(), &key("http.drain").origin), ("\"1s\"", &changes[0].origin));
    assert_eq!(key("pool.queue").origin, format!("{file}:2:1"));
    assert_eq!(key("auth.dir").origin, "flag --auth-dir");
    assert_eq!(key("claude.api_base_url").origin, "environment PROXYD_CLAUDE__API_BASE_URL");
    assert_eq!(key("log.level").origin, "default");
}

#[tokio::test]
async fn a_place_that_moved_is_no_change_and_is_told_as_it_is() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "[pool]\nqueue = 5\n").await;
    daemon.configure("# Written anew.\n[pool]\nqueue = 5\n");
    assert_eq!(daemon.reload().await, ReloadResponse::default());
    let told = daemon.configuration().await;
    let queue = told.iter().find(|key| key.key == "pool.queue").unwrap();
    assert!(queue.origin.ends_with("config.toml:3:1"), "{}", queue.origin);
}

#[tokio::test]
async fn a_configuration_with_mistakes_changes_nothing_and_all_of_them_are_told() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "[pool]\nqueue = 5\n").await;
    let before = daemon.configuration().await;
    daemon.configure(
        "[pool]\nqueue = 7\nwait = 30\nstrateg = \"quota\"\n[http]\nusers = [\"\"]\ndrain = \"soon\"\n[nonsense]\n",
    );
    daemon.drop_in("10-more.toml", "[http]\n\n  max_requests = -1\n");
    daemon.drop_in("20-broken.toml", "[http\n");
    let ReloadResponse { changes, mistakes } = daemon.reload().await;
    assert!(changes.is_empty(), "{changes:?}");
    let dir = daemon.configuration_file().parent().unwrap().display().to_string();
    let places: Vec<_> = mistakes
        .iter()
        .map(|mistake| mistake.strip_prefix(&format!("{dir}/")).unwrap_or(mistake))
        .map(|mistake| mistake.split_once(": ").unwrap().0)
        .collect();
    let expected = [
        "config.toml:3:1",
        "config.toml:4:1",
        "config.toml:8:2",
        "config.d/20-broken.toml:1:6",
        "config.toml:7:1",
        "config.toml:6:1",
        "config.d/10-more.toml:3:3",
    ];
    assert_eq!(places, expected, "{mistakes:#?}");
    assert_eq!(daemon.configuration().await, before);
    assert_eq!(daemon.ask("hi").await.status(), 200);
    daemon.drop_in("20-broken.toml", "");
    daemon.drop_in("10-more.toml", "");
    daemon.reconfigure("[pool]\nqueue = 7\n").await;
}

#[tokio::test]
async fn what_needs_a_restart_is_told_each_time_until_it_is_taken_back() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    daemon.configure(
        "[sandbox]\nlandlock = \"off\"\n[upstream]\nproxy_url = \"http://me:FAKE-password@127.0.0.1:1\"\n",
    );
    for _ in 0..2 {
        let reloaded = daemon.reload().await;
        let told = format!("{reloaded:?}");
        assert!(!told.contains("FAKE-password") && told.contains("me:****@127.0.0.1:1"), "{told}");
        let keys: Vec<_> =
            effects(&reloaded.changes).into_iter().map(|(key, effect, _)| (key, effect)).collect();
        let restart = ConfigurationEffect::NeedsRestart;
        assert_eq!(keys, [("upstream.proxy_url", restart), ("sandbox.landlock", restart)]);
        assert!(reloaded.changes.iter().all(|change| !change.reason.is_empty()), "{told}");
        assert_eq!(daemon.configured("sandbox.landlock").await, "\"required\"");
        assert_eq!(daemon.ask("hi").await.status(), 200);
    }
    daemon.configure("");
    assert_eq!(daemon.reload().await, ReloadResponse::default());
}

#[tokio::test]
async fn reloads_that_are_asked_for_at_once_are_done_one_after_the_other() {
    let fake = FakeClaude::start().await;
    let daemon = daemon(&fake, "").await;
    daemon.configure("[pool]\nqueue = 7\n");
    let all = futures_util::future::join_all((0..40).map(|_| daemon.reload())).await;
    let changed = all.iter().filter(|reloaded| !reloaded.changes.is_empty()).count();
    assert_eq!((changed, all.iter().all(|reloaded| reloaded.mistakes.is_empty())), (1, true));
}
