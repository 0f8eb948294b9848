//! The pool as its users see it.

use super::*;
use crate::account::{Credential, Document, OAuth};
use crate::clock::{ManualClock, SignedDuration, Timestamp};
use crate::secret::AccessToken;

fn account(name: &str) -> Account {
    let json = format!(r#"{{"access_token":"a","refresh_token":"r","account_uuid":"{name}"}}"#);
    let file = FileName::parse(&format!("claude-{name}.json")).unwrap();
    Document::parse(json.as_bytes()).unwrap().to_account(file).unwrap()
}

/// With settings beside its tokens, as in its file.
fn set(name: &str, settings: &str) -> Account {
    let json = format!(r#"{{"access_token":"a","refresh_token":"r","account_uuid":"{name}",{settings}}}"#);
    let file = FileName::parse(&format!("claude-{name}.json")).unwrap();
    Document::parse(json.as_bytes()).unwrap().to_account(file).unwrap()
}

fn limited(until: Timestamp) -> Signal {
    Signal::RateLimited { until: Some(until), reach: Reach::Model }
}

/// When somebody is back, where everybody is out.
fn returns(result: Result<Lease, NoAccount>) -> Timestamp {
    match result {
        Err(NoAccount::Cooling { until, .. }) => until,
        other => panic!("{other:?}"),
    }
}

/// Whom `count` requests for `model` go to, in order.
fn served(pool: &Pool, model: &str, count: usize) -> Vec<AccountId> {
    (0..count).map(|_| pool.acquire(&Asked::messages(model)).unwrap().account().id.clone()).collect()
}

fn pool(names: &[&str]) -> (Pool, ManualClock) {
    let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
    let pool = Pool::new(Config::default(), manual.clock());
    for name in names {
        pool.publish(account(name));
    }
    (pool, manual)
}

#[test]
fn requests_rotate_over_all_accounts() {
    let (pool, _) = pool(&["a", "b", "c"]);
    let mut seen: Vec<_> =
        (0..3).map(|_| pool.acquire(&Asked::messages("m")).unwrap().account().id.clone()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[test]
fn to_ask_when_somebody_is_back_takes_nobodys_turn() {
    let (pool, _) = pool(&["a", "b"]);
    let before = served(&pool, "m", 2);
    for expected in &before {
        assert!(pool.soonest_return(&Asked::messages("m")).is_none());
        assert_eq!(served(&pool, "m", 1), std::slice::from_ref(expected));
    }
}

#[test]
fn a_request_never_gets_an_account_it_tried() {
    let (pool, _) = pool(&["a", "b"]);
    let first = pool.acquire(&Asked::messages("m")).unwrap().account().id.clone();
    let second = pool
        .acquire(&Asked { tried: std::slice::from_ref(&first), ..Asked::messages("m") })
        .unwrap()
        .account()
        .id
        .clone();
    assert_ne!(first, second);
    assert_eq!(
        pool.acquire(&Asked { tried: &[first, second], ..Asked::messages("m") }).unwrap_err(),
        NoAccount::Exhausted
    );
}

#[test]
fn the_reason_for_nobody_is_told() {
    let (pool, manual) = pool(&[]);
    assert_eq!(pool.acquire(&Asked::messages("m")).unwrap_err(), NoAccount::Empty);
    pool.publish(Account { disabled: true, ..account("a") });
    assert_eq!(
        pool.acquire(&Asked::messages("m")).unwrap_err(),
        NoAccount::AllOut { disabled: 1, needs_login: 0, invalid: 0, others: 0, withheld: 0 }
    );
    pool.publish(account("a"));
    let until = Timestamp::from_second(60).unwrap();
    pool.acquire(&Asked::messages("m")).unwrap().settle(&limited(until));
    assert_eq!(returns(pool.acquire(&Asked::messages("m"))), until);
    manual.advance(SignedDuration::from_secs(60));
    assert!(pool.acquire(&Asked::messages("m")).is_ok());
}

#[test]
fn a_new_login_lifts_what_only_its_owner_could_mend() {
    let (pool, _) = pool(&["a"]);
    pool.acquire(&Asked::messages("m")).unwrap().settle(&Signal::SpendLimit);
    pool.replace(account("a"));
    assert!(
        matches!(pool.acquire(&Asked::messages("m")), Err(NoAccount::Cooling { .. })),
        "a refresh mends nothing"
    );
    pool.publish(account("a"));
    assert!(pool.acquire(&Asked::messages("m")).is_ok());
}

#[test]
fn health_survives_a_change_of_the_file() {
    let (pool, _) = pool(&["a"]);
    let until = Timestamp::from_second(60).unwrap();
    pool.acquire(&Asked::messages("m")).unwrap().settle(&limited(until));
    pool.publish(Account { label: Some("work".into()), ..account("a") });
    assert_eq!(returns(pool.acquire(&Asked::messages("m"))), until);
}

#[test]
fn an_attempt_is_counted_once_by_how_it_ended() {
    let (pool, _) = pool(&["a"]);
    let member = pool.get(&account("a").id).unwrap();
    let lease = pool.acquire(&Asked::messages("m")).unwrap();
    lease.settle(&Signal::Served);
    assert_eq!(member.known().counters, Counters { served: 1, ..Counters::default() });
    lease.settle(&Signal::Unreachable);
    assert_eq!(member.known().counters, Counters { failed: 1, ..Counters::default() });
    pool.acquire(&Asked::messages("m")).unwrap().settle(&Signal::Unreachable);
    assert_eq!(member.known().counters, Counters { failed: 2, ..Counters::default() });
}

#[test]
fn counting_tokens_harms_no_account_however_it_ends() {
    let (pool, _) = pool(&["a"]);
    let member = pool.get(&account("a").id).unwrap();
    let counting = Asked { endpoint: Endpoint::CountTokens, ..Asked::messages("m") };
    for signal in [Signal::Served, Signal::Unreachable, Signal::Overloaded, limited(Timestamp::MAX)] {
        pool.acquire(&counting).unwrap().settle(&signal);
    }
    assert_eq!(member.known(), Vitals::default());
    pool.acquire(&counting).unwrap().settle(&Signal::Refused { status: 401, words: String::new() });
    assert_eq!(member.known().counters.refused, 1, "its token is not taken, whatever it was for");
}

#[test]
fn what_cannot_be_read_of_one_account_keeps_nothing_from_the_others() {
    let (before, _) = pool(&["a", "b"]);
    before.acquire(&Asked::messages("m")).unwrap().settle(&Signal::Served);
    before.acquire(&Asked::messages("m")).unwrap().settle(&Signal::Served);
    let mut json = serde_json::to_value(before.memory()).unwrap();
    let (a, b) = (account("a").id, account("b").id);
    for bad in [
        serde_json::json!({"counters": {"served": -1}}),
        serde_json::json!({"health": {"account": {"limit": {"until": "+99999-01-01T00:00:00Z", "cause": "new"}}}}),
        serde_json::json!({"quota": [{"name": "5h", "kind": "plan", "used": null}]}),
        serde_json::Value::Null,
    ] {
        json["accounts"][a.as_str()] = bad;
        let memory: Memory = serde_json::from_slice(&serde_json::to_vec(&json).unwrap()).unwrap();
        assert!(!memory.accounts.contains_key(a.as_str()));
        assert_eq!(memory.accounts[b.as_str()].counters.served, 1);
    }
    let (bad, huge) = (format!(r#""{a}":null"#), format!(r#""{a}":{{"counters":{{"served":1e999}}}}"#));
    let huge = serde_json::to_string(&json).unwrap().replace(&bad, &huge);
    assert_eq!(serde_json::from_str::<Memory>(&huge).unwrap().accounts.len(), 1);
    assert_eq!(serde_json::from_str::<Memory>("{}").unwrap(), Memory::default());
}

#[test]
fn leases_are_counted_while_they_live() {
    let (pool, _) = pool(&["a"]);
    let member = pool.get(&account("a").id).unwrap();
    let lease = pool.acquire(&Asked::messages("m")).unwrap();
    let renewed = lease.renewed(Arc::clone(&member));
    assert_eq!(member.in_flight(), 2);
    drop((lease, renewed));
    assert_eq!(member.in_flight(), 0);
}

#[test]
fn a_stale_view_of_the_directory_changes_nothing() {
    let (pool, _) = pool(&["a"]);
    let seen = pool.snapshot();
    pool.publish(account("b"));
    assert_eq!(pool.reconcile(&seen, vec![account("a")], vec![]), Err(StaleView));
    assert_eq!(pool.snapshot().members.len(), 2);
}

#[test]
fn a_reconcile_tells_what_changed() {
    let (pool, _) = pool(&["a", "b"]);
    let changed = Account { label: Some("x".into()), ..account("b") };
    let broken = InvalidFile { file: FileName::parse("x.json").unwrap(), reason: "broken".into() };
    let changes =
        pool.reconcile(&pool.snapshot(), vec![changed.clone(), account("c")], vec![broken.clone()]).unwrap();
    let expected = Changes {
        added: vec![account("c").id],
        changed: vec![changed.id.clone()],
        removed: vec![account("a").id],
        invalid: vec![broken.clone()],
    };
    assert_eq!(changes, expected);
    let again = pool.reconcile(&pool.snapshot(), vec![changed, account("c")], vec![broken]).unwrap();
    assert_eq!(again, Changes::default());
}

#[test]
fn a_token_that_ended_and_cannot_be_renewed_needs_a_login() {
    let (pool, manual) = pool(&[]);
    let tokens = OAuth {
        access: AccessToken::new("a"),
        refresh: None,
        expires_at: Some(Timestamp::from_second(10).unwrap()),
    };
    pool.publish(Account { credential: Credential::OAuth(tokens), ..account("a") });
    assert!(pool.acquire(&Asked::messages("m")).is_ok());
    manual.advance(SignedDuration::from_secs(10));
    assert_eq!(
        pool.acquire(&Asked::messages("m")).unwrap_err(),
        NoAccount::AllOut { disabled: 0, needs_login: 1, invalid: 0, others: 0, withheld: 0 }
    );
}

#[test]
fn one_that_left_the_pool_is_not_put_back_by_its_refresh() {
    let (pool, _) = pool(&["a"]);
    pool.remove(&account("a").id);
    pool.replace(account("a"));
    assert_eq!(pool.snapshot().members.len(), 0);
}

#[test]
fn priority_and_weight_decide_who_serves() {
    let (pool, _) = pool(&["a"]);
    let (heavy, light) = (set("b", r#""priority":5,"weight":3"#), set("c", r#""priority":5"#));
    pool.publish(heavy.clone());
    pool.publish(light.clone());
    let turns = served(&pool, "m", 8);
    let count = |id: &AccountId| turns.iter().filter(|turn| *turn == id).count();
    assert_eq!((count(&heavy.id), count(&light.id)), (6, 2));
    let tried = [heavy.id, light.id];
    assert_eq!(
        pool.acquire(&Asked { tried: &tried, ..Asked::messages("m") }).unwrap().account().id,
        account("a").id
    );
}

#[test]
fn requests_at_once_keep_the_shares() {
    let (pool, _) = pool(&["a"]);
    pool.set_strategy(Strategy::Weighted);
    pool.publish(set("b", r#""weight":3"#));
    let served: Vec<AccountId> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| served(&pool, "m", 100))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(served.iter().filter(|id| **id == account("a").id).count(), 100);
}

#[test]
fn an_alias_shares_the_limit_of_what_it_stands_for() {
    let (pool, _) = pool(&[]);
    pool.publish(set("a", r#""model_aliases":{"best":"opus"}"#));
    let lease = pool.acquire(&Asked::messages("best")).unwrap();
    assert_eq!(lease.model(), "opus");
    let until = Timestamp::from_second(60).unwrap();
    lease.settle(&limited(until));
    for name in ["best", "opus"] {
        assert_eq!(returns(pool.acquire(&Asked::messages(name))), until);
    }
}

#[test]
fn a_model_that_everybody_excludes_is_told_apart_from_nobody_being_usable() {
    let (pool, _) = pool(&[]);
    pool.publish(set("a", r#""excluded_models":["haiku*"]"#));
    let excluded = NoAccount::Excluded { model: "haiku-5".to_owned() };
    assert_eq!(pool.acquire(&Asked::messages("haiku-5")).unwrap_err(), excluded);
    assert!(excluded.to_string().contains("excluded_models"));
    pool.publish(Account { disabled: true, ..account("b") });
    assert_eq!(
        pool.acquire(&Asked::messages("haiku-5")).unwrap_err(),
        NoAccount::AllOut { disabled: 1, needs_login: 0, invalid: 0, others: 1, withheld: 0 }
    );
}

#[test]
fn a_disabled_account_keeps_its_prefix_to_itself() {
    let (pool, _) = pool(&["a"]);
    pool.publish(Account { disabled: true, ..set("b", r#""prefix":"work""#) });
    let nobody = pool.acquire(&Asked::messages("work/opus")).unwrap_err();
    assert_eq!(nobody, NoAccount::AllOut { disabled: 1, needs_login: 0, invalid: 0, others: 1, withheld: 0 });
    assert_eq!(pool.acquire(&Asked::messages("home/opus")).unwrap().model(), "home/opus");
}

#[test]
fn a_request_about_no_model_goes_to_the_provider_where_it_can() {
    let (pool, _) = pool(&["a"]);
    let json = r#"{"api_key":"k","base_url":"https://gateway.example","priority":9}"#;
    let gateway = Document::parse(json.as_bytes()).unwrap();
    let gateway = gateway.to_account(FileName::parse("claude-g.json").unwrap()).unwrap();
    pool.publish(gateway.clone());
    assert_eq!(served(&pool, "", 2), [account("a").id, account("a").id]);
    assert_eq!(served(&pool, "m", 2), [gateway.id.clone(), gateway.id.clone()]);
    assert_eq!(
        pool.acquire(&Asked { tried: &[account("a").id], ..Asked::messages("") }).unwrap().account().id,
        gateway.id
    );
}

#[test]
fn the_name_upstream_is_that_of_the_highest_priority() {
    let (pool, _) = pool(&["a"]);
    pool.publish(set("b", r#""model_aliases":{"best":"opus"}"#));
    pool.publish(set("c", r#""model_aliases":{"best":"fable"},"priority":1"#));
    assert_eq!(pool.upstream_name("best", &[]).as_deref(), Some("fable"));
    assert_eq!(pool.upstream_name("opus", &[]).as_deref(), Some("opus"));
    pool.publish(set("a", r#""excluded_models":["*"]"#));
    pool.publish(set("b", r#""excluded_models":["*"]"#));
    pool.publish(set("c", r#""excluded_models":["*"]"#));
    assert_eq!(pool.upstream_name("opus", &[]), None);
}

#[test]
fn what_lives_with_one_account_goes_there_and_waits_for_it() {
    let (pool, manual) = pool(&["a", "b"]);
    let owner = |bond| Owner { account: account("b").id, bond };
    let (only, preferred) = (owner(Bond::Only), owner(Bond::Preferred));
    let by = |owner| Asked { owner: Some(owner), ..Asked::messages("m") };
    for owner in [&only, &preferred, &only] {
        assert_eq!(pool.acquire(&by(owner)).unwrap().account().id, account("b").id);
    }
    let tried = [account("b").id];
    let after = |owner| Asked { tried: &tried, ..by(owner) };
    assert_eq!(pool.acquire(&after(&only)).unwrap_err(), NoAccount::Exhausted);
    assert_eq!(pool.acquire(&after(&preferred)).unwrap().account().id, account("a").id);
    let until = Timestamp::from_second(60).unwrap();
    pool.acquire(&by(&only)).unwrap().settle(&limited(until));
    assert_eq!(returns(pool.acquire(&by(&only))), until);
    assert_eq!(pool.acquire(&by(&preferred)).unwrap().account().id, account("a").id);
    manual.advance(SignedDuration::from_secs(60));
    assert_eq!(pool.acquire(&by(&only)).unwrap().account().id, account("b").id);
    pool.publish(Account { disabled: true, ..account("b") });
    let out = pool.acquire(&by(&only)).unwrap_err();
    assert!(out.to_string().contains("disabled"), "{out}");
    assert_eq!(pool.acquire(&by(&preferred)).unwrap().account().id, account("a").id);
    pool.remove(&account("b").id);
    assert_eq!(pool.acquire(&by(&only)).unwrap().account().id, account("a").id);
}

#[test]
fn only_the_accounts_of_who_asks_serve_and_are_told_of() {
    let (pool, _) = pool(&["a", "b"]);
    let (a, b) = (account("a").id, account("b").id);
    let only_b = [b.clone()];
    let by_b = Asked { accounts: &only_b, ..Asked::messages("m") };
    for _ in 0..3 {
        assert_eq!(pool.acquire(&by_b).unwrap().account().id, b);
    }
    let outlook = pool.outlook(&by_b);
    assert!(outlook.contains(&(a.clone(), Outlook::NotServing)), "{outlook:?}");
    let until = Timestamp::from_second(60).unwrap();
    pool.acquire(&by_b).unwrap().settle(&limited(until));
    let Err(NoAccount::Cooling { until: told, accounts }) = pool.acquire(&by_b) else {
        panic!("a is not for it")
    };
    assert_eq!((told, accounts.len()), (until, 1));
    assert!(matches!(pool.soonest_return(&by_b), Some(NoAccount::Cooling { .. })));
    assert!(pool.soonest_return(&Asked::messages("m")).is_none(), "a serves everybody else");
    pool.publish(Account { disabled: true, ..account("b") });
    let nobody = pool.acquire(&by_b).unwrap_err();
    assert_eq!(nobody, NoAccount::AllOut { disabled: 1, needs_login: 0, invalid: 0, others: 0, withheld: 1 });
    assert!(nobody.to_string().contains("1 are not for this client key"), "{nobody}");
    pool.remove(&b);
    for model in ["m", ""] {
        let nobody = pool.acquire(&Asked { accounts: &only_b, ..Asked::messages(model) }).unwrap_err();
        assert_eq!(nobody, NoAccount::Withheld { model: model.to_owned() });
    }
}

#[test]
fn a_name_means_the_same_whoever_asks() {
    let (pool, _) = pool(&["a"]);
    pool.publish(set("b", r#""model_aliases":{"best":"opus"},"prefix":"work""#));
    let only_a = [account("a").id];
    for model in ["best", "work/opus"] {
        let nobody = pool.acquire(&Asked { accounts: &only_a, ..Asked::messages(model) }).unwrap_err();
        assert_eq!(nobody, NoAccount::Withheld { model: model.to_owned() });
        assert_eq!(pool.upstream_name(model, &only_a), None);
    }
    assert_eq!(pool.upstream_name("best", &[]).as_deref(), Some("opus"));
}

#[test]
fn what_lives_with_an_account_that_is_not_for_who_asks_goes_nowhere() {
    let (pool, _) = pool(&["a", "b"]);
    let only_a = [account("a").id];
    let owner = |bond| Owner { account: account("b").id, bond };
    let (only, preferred) = (owner(Bond::Only), owner(Bond::Preferred));
    let by = |owner| Asked { owner: Some(owner), accounts: &only_a, ..Asked::messages("m") };
    assert_eq!(pool.acquire(&by(&only)).unwrap_err(), NoAccount::OwnerWithheld);
    assert!(pool.soonest_return(&by(&only)).is_none());
    assert_eq!(pool.acquire(&by(&preferred)).unwrap().account().id, account("a").id);
    pool.publish(Account { disabled: true, ..account("b") });
    assert_eq!(pool.acquire(&by(&only)).unwrap_err(), NoAccount::OwnerWithheld);
}
