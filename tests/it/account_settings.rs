//! What a person sets on an account over the control plane: checked whole, written into the file, and told back.

use proxy_proto::v1::{
    Account, AccountChanges, ModelAlias, ModelAliases, ModelPatterns, UpdateAccountRequest,
};
use proxy_tests::daemon::{Setup, TestDaemon, key_file, put};
use proxy_tests::fake_claude::FakeClaude;
use serde_json::json;
use tonic::{Code, Status};

async fn change(daemon: &TestDaemon, account: &str, changes: AccountChanges) -> Result<Account, Status> {
    let request = UpdateAccountRequest { account: account.to_owned(), changes: Some(changes) };
    Ok(daemon.accounts_client().await.update_account(request).await?.into_inner().account.unwrap())
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[tokio::test]
async fn every_setting_is_written_told_back_and_taken_back() {
    let fake = FakeClaude::start().await;
    let mut file = key_file(&fake.add_api_key());
    file["x-mine"] = json!({"kept": 1.0});
    let daemon = TestDaemon::with(&fake, Setup::default(), |dir| put(dir, "claude-k.json", &file)).await;
    let id = daemon.only_account().await.id;
    let all = AccountChanges {
        label: Some(text("work")),
        priority: Some(7),
        weight: Some(3),
        reserve_percent: Some(20),
        prefix: Some(text("w")),
        proxy_url: Some(text("http://me:FAKE-pw@127.0.0.1:9")),
        model_aliases: Some(ModelAliases {
            aliases: vec![ModelAlias { alias: "best".to_owned(), model: "claude-opus-4-5".to_owned() }],
        }),
        excluded_models: Some(ModelPatterns { patterns: vec!["claude-haiku-*".to_owned()] }),
        note: Some(text("mine")),
        base_url: Some(text("https://gateway.example/anthropic")),
    };
    let account = change(&daemon, &id, all).await.unwrap();
    let settings = account.settings.unwrap();
    assert_eq!((account.label.as_str(), settings.priority, settings.weight), ("work", 7, 3));
    assert_eq!(settings.reserve_percent, 20);
    assert_eq!(settings.proxy_url, "http://me:****@127.0.0.1:9/");
    let written = daemon.read("claude-k.json");
    assert_eq!(written["proxy_url"], "http://me:FAKE-pw@127.0.0.1:9");
    assert_eq!(written["model_aliases"], json!([{"name": "claude-opus-4-5", "alias": "best"}]));
    let none = AccountChanges {
        label: Some(text("")),
        priority: Some(0),
        weight: Some(1),
        reserve_percent: Some(0),
        prefix: Some(text("")),
        proxy_url: Some(text("")),
        model_aliases: Some(ModelAliases::default()),
        excluded_models: Some(ModelPatterns::default()),
        note: Some(text("")),
        base_url: Some(text("")),
    };
    change(&daemon, "work", none).await.unwrap();
    assert_eq!(daemon.read("claude-k.json"), file);
}

#[tokio::test]
async fn one_mistake_among_them_changes_nothing_and_every_mistake_is_told() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_account(&fake).await;
    let before = daemon.read("claude-a.json");
    let wrong = AccountChanges {
        label: Some(text("fine")),
        priority: Some(5000),
        proxy_url: Some(text("me:FAKE-pw@proxy")),
        base_url: Some(text("https://gateway.example")),
        ..AccountChanges::default()
    };
    let refused = change(&daemon, "person@example.com", wrong).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for key in ["`priority`", "`proxy_url`", "`base_url`"] {
        assert!(refused.message().contains(key), "{}", refused.message());
    }
    assert!(!refused.message().contains("FAKE-pw"));
    let nothing = change(&daemon, "person@example.com", AccountChanges::default()).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
    assert_eq!(daemon.read("claude-a.json"), before);
}

#[tokio::test]
async fn a_label_names_one_account() {
    let fake = FakeClaude::start().await;
    let (daemon, _) = TestDaemon::with_accounts(&fake, 2).await;
    let accounts = daemon.list().await.accounts;
    let (one, two) = (&accounts[0], &accounts[1]);
    let label = |name: &str| AccountChanges { label: Some(text(name)), ..AccountChanges::default() };
    change(&daemon, &one.id, label("work")).await.unwrap();
    for taken in ["work", &one.email, &one.id, &one.id.to_uppercase()] {
        let refused = change(&daemon, &two.id, label(taken)).await.unwrap_err();
        assert!(refused.message().contains(&format!("the account {} already", one.id)), "{taken}");
    }
    change(&daemon, &one.id, label("work")).await.unwrap();
    change(&daemon, &two.id, label(&two.email)).await.unwrap();
}

#[tokio::test]
async fn settings_outlive_a_refresh() {
    let fake = FakeClaude::start().await;
    let (daemon, issued) = TestDaemon::with_account(&fake).await;
    let changes = AccountChanges { priority: Some(3), note: Some(text("mine")), ..AccountChanges::default() };
    let account = change(&daemon, "person@example.com", changes).await.unwrap();
    let refreshed = daemon.refresh(&account.id).await.unwrap();
    assert_eq!(refreshed.settings, account.settings);
    assert!(daemon.holds_newest(&fake, &issued, "claude-a.json"));
}
