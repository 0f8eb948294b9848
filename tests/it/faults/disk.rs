//! A disk of 64 KiB that is full, has no names left, or is read-only.

use std::fs;

use proxy_tests::binaries::{Daemon, Machine};
use proxy_tests::fake_claude::{FakeClaude, Issued};
use proxy_tests::faults::{Disk, Inside};
use serde_json::json;

const FILE: &str = "claude-a.json";
const REFRESH: [&str; 3] = ["accounts", "refresh", "person@example.com"];
const NOT_SAVED: Option<i32> = Some(16);

async fn start(fake: &FakeClaude, options: &'static str) -> (Machine, Daemon, Inside, Issued) {
    let machine = Machine::new(fake);
    let issued = fake.issue_account("person@example.com");
    machine.put(FILE, &issued.auth_file());
    let daemon = machine.start_on(&Disk::of(options)).await;
    let inside = Inside::of(&daemon, &machine);
    (machine, daemon, inside, issued)
}

async fn spends_nothing(fake: &FakeClaude, machine: &Machine, daemon: &Daemon) {
    let refused = machine.proxyctl(&REFRESH).await;
    assert_eq!(refused.code, NOT_SAVED, "{}", refused.stderr);
    assert_eq!(daemon.ask("hello").await.status(), 200, "the token there is serves on");
    assert_eq!(fake.token_calls(), 0);
}

async fn refreshes(fake: &FakeClaude, machine: &Machine, inside: &Inside, issued: &Issued) {
    let refreshed = machine.proxyctl(&REFRESH).await;
    assert_eq!(refreshed.code, Some(0), "{}", refreshed.stderr);
    assert_eq!(inside.read(FILE)["refresh_token"], json!(fake.current_refresh_token(issued.account)));
    assert_eq!(fake.token_calls(), 1);
}

#[tokio::test]
async fn on_a_full_disk_no_token_is_spent_and_with_space_it_is_refreshed() {
    if !Disk::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    let (machine, daemon, inside, issued) = start(&fake, "size=64k").await;
    let filler = inside.fill();
    spends_nothing(&fake, &machine, &daemon).await;
    fs::remove_file(filler).unwrap();
    refreshes(&fake, &machine, &inside, &issued).await;
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn on_a_disk_without_names_no_token_is_spent_and_with_one_it_is_not_either_until_there_are_two() {
    if !Disk::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    let (machine, daemon, inside, issued) = start(&fake, "size=64k,nr_inodes=12").await;
    let mut fillers = inside.use_up_names();
    spends_nothing(&fake, &machine, &daemon).await;
    // One is for the answer, and the other for what is asked.
    fs::remove_file(fillers.pop().unwrap()).unwrap();
    spends_nothing(&fake, &machine, &daemon).await;
    fs::remove_file(fillers.pop().unwrap()).unwrap();
    refreshes(&fake, &machine, &inside, &issued).await;
    assert_eq!(daemon.stop().await.code, Some(0));
}

#[tokio::test]
async fn on_a_read_only_disk_no_token_is_spent_and_on_one_that_can_be_written_it_is_refreshed() {
    if !Disk::can_be() {
        return;
    }
    let fake = FakeClaude::start().await;
    let (machine, daemon, inside, issued) = start(&fake, "size=64k").await;
    inside.make_read_only(true).await;
    spends_nothing(&fake, &machine, &daemon).await;
    inside.make_read_only(false).await;
    refreshes(&fake, &machine, &inside, &issued).await;
    assert_eq!(daemon.stop().await.code, Some(0));
}
