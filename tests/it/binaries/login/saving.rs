//! A directory that cannot be written during a login: nothing is half-written, no code is spent for nothing,
//! and tokens that were issued already are saved once it can be.

use std::fs;

use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::{FakeClaude, Gate, Script, TOKEN_PATH};
use proxy_tests::wait::within;
use serde_json::json;

use super::{accounts, no_secret_in, on_terminal, visit};

#[tokio::test]
async fn before_the_code_is_spent_it_waits_for_the_person() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start_limitable().await;
    daemon.limit_files(Some(0)).await;
    let (terminal, url) = on_terminal(&machine, &["--json"]).await;
    assert!(visit(&url).await.contains("Login failed"));
    let left = terminal.left().await;
    assert!(left.code == Some(16) && left.screen.contains("could_not_save"), "{}", left.screen);

    let (mut terminal, url) = on_terminal(&machine, &[]).await;
    assert!(visit(&url).await.contains("Login failed"));
    terminal.line("the account could not be saved").await;
    terminal.line("Press Enter to try again").await;
    assert_eq!((accounts(&machine), fake.token_calls()), (Vec::<String>::new(), 0));
    daemon.limit_files(None).await;
    terminal.type_line("");
    let left = terminal.left().await;
    assert_eq!((left.code, accounts(&machine).len(), fake.token_calls()), (Some(0), 1, 1), "{}", left.screen);
    no_secret_in(&left.screen, &url, &fake, &machine);
}

#[tokio::test]
async fn after_the_code_is_spent_the_issued_tokens_are_saved_once_there_is_space() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start_limitable().await;
    let gate = Gate::new();
    fake.on(TOKEN_PATH).once(Script::real().hold_answer(&gate));
    let (mut terminal, url) = on_terminal(&machine, &[]).await;
    let (page, ()) = tokio::join!(visit(&url), async {
        within("the tokens are issued", gate.reached_by(1)).await;
        daemon.limit_files(Some(0)).await;
        gate.open();
    });
    assert!(page.contains("Login failed"));
    terminal.line("the account could not be saved").await;
    terminal.line("try: ").await;
    assert_eq!(accounts(&machine), Vec::<String>::new(), "nothing is half-written");
    daemon.limit_files(None).await;
    terminal.line("Press Enter to try again").await;
    terminal.type_line("");
    let left = terminal.left().await;
    assert_eq!((left.code, fake.token_calls()), (Some(0), 1), "{}", left.screen);
    let [name] = &accounts(&machine)[..] else { panic!("{:?}", accounts(&machine)) };
    let number = fake.account("person@example.com").unwrap();
    assert_eq!(machine.read(name)["refresh_token"], json!(fake.current_refresh_token(number)));
    no_secret_in(&left.screen, &url, &fake, &machine);
}

#[tokio::test]
async fn a_directory_that_is_gone_is_named_and_a_time_limit_does_not_give_up_issued_tokens() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let mut daemon = machine.start().await;
    let away = machine.home().join("away");
    fs::rename(machine.auth_dir(), &away).unwrap();
    let (mut terminal, url) = on_terminal(&machine, &["--timeout", "10s"]).await;
    assert!(visit(&url).await.contains("Login failed"));
    let cause = terminal.line("cause: ").await;
    assert!(cause.contains("cannot create a file in ") && cause.contains("/proxyd/auth"), "{cause}");
    let left = terminal.left().await;
    assert_eq!(left.code, Some(16), "{}", left.screen);
    fs::rename(&away, machine.auth_dir()).unwrap();
    daemon.log_line("login not completed").await;
    assert!(!daemon.log().contains("login cancelled"));
}
