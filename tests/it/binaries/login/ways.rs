//! Logins on a terminal that end well: by the browser, by a paste, by the provider's own page.

use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::{Decision, FakeClaude};
use serde_json::{Value, json};

use super::{accounts, no_secret_in, on_terminal, pair, visit};

#[tokio::test]
async fn the_terms_are_one_line_before_the_url() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let (terminal, url) = on_terminal(&machine, &[]).await;
    visit(&url).await;
    let left = terminal.left().await;
    let mut lines = left.screen.lines();
    let first = lines.next().unwrap();
    assert!(first.contains("not made or endorsed by Anthropic") && first.contains("accounts add claude"));
    assert_eq!(lines.next(), Some("Please visit this URL to authenticate:"), "{}", left.screen);
    assert_eq!((lines.next(), left.code), (Some(url.as_str()), Some(0)));
    no_secret_in(&left.screen, &url, &fake, &machine);
}

#[tokio::test]
async fn the_providers_own_page_shows_what_is_pasted_and_no_port_listens() {
    let fake = FakeClaude::start().await;
    for defaults in [false, true] {
        let machine = Machine::new(&fake);
        // Without the variable the real page's address is sent, which the fake answers with its own page.
        let machine =
            if defaults { machine.without("PROXYD_CLAUDE__OAUTH__PASTE_REDIRECT_URI") } else { machine };
        let _daemon = machine.start().await;
        let (mut terminal, url) = on_terminal(&machine, &["--paste"]).await;
        let redirect = pair(&url, "redirect_uri");
        let real = "https://platform.claude.com/oauth/code/callback";
        let expected = if defaults { real.to_owned() } else { format!("{}/oauth/code/callback", fake.url()) };
        assert_eq!(redirect, expected);
        let prompt = terminal.line("Paste it here").await;
        assert_eq!(prompt, "The last page shows a code. Paste it here and press Enter.");
        let page = visit(&url).await;
        let code = page.split("<pre id=\"code\">").nth(1).unwrap().split('<').next().unwrap();
        terminal.type_line("code-FAKEother#wrong");
        terminal.line("its state belongs to another login").await;
        terminal.type_line(code);
        let left = terminal.left().await;
        assert_eq!((left.code, accounts(&machine).len()), (Some(0), 1), "{}", left.screen);
        assert!(!left.screen.contains("ssh ") && !left.screen.contains("container"), "{}", left.screen);
        no_secret_in(&left.screen, &url, &fake, &machine);
    }
}

#[tokio::test]
async fn a_paste_and_the_browser_are_awaited_at_once() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    for by_paste in [true, false] {
        let (mut terminal, url) = on_terminal(&machine, &[]).await;
        terminal.line("paste the code").await;
        if by_paste {
            let back = fake.browse(&url, Decision::Allow).unwrap();
            terminal.type_line(&format!("{}#{}", pair(back.as_str(), "code"), pair(back.as_str(), "state")));
        } else {
            assert!(visit(&url).await.contains("Login complete"));
        }
        let left = terminal.left().await;
        assert_eq!(left.code, Some(0), "{}", left.screen);
        no_secret_in(&left.screen, &url, &fake, &machine);
    }
}

#[tokio::test]
async fn the_url_is_drawn_for_a_camera() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let (mut terminal, url) = on_terminal(&machine, &["--qr", "--paste"]).await;
    let told = terminal.line("QR code").await;
    terminal.line("Paste it here").await;
    terminal.press_ctrl_c();
    let left = terminal.left().await;
    let is_drawn =
        |line: &&str| !line.is_empty() && line.chars().all(|c| " \u{2580}\u{2584}\u{2588}".contains(c));
    let widths: Vec<_> = left.screen.lines().filter(is_drawn).map(|line| line.chars().count()).collect();
    assert!(widths.len() > 20 && widths.iter().all(|width| *width == widths[0]), "{widths:?}");
    assert!(told.contains(&format!("{} columns", widths[0])), "{told}");
    assert!(left.screen.contains(&url));
}

#[tokio::test]
async fn what_is_given_with_the_login_is_set_and_what_was_set_before_is_kept_and_named() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    let (terminal, url) = on_terminal(&machine, &["--label", "work", "--priority", "7"]).await;
    visit(&url).await;
    assert_eq!(terminal.left().await.code, Some(0));
    let stored = machine.read(&accounts(&machine)[0]);
    assert_eq!((&stored["label"], &stored["priority"]), (&json!("work"), &json!(7)));

    let (terminal, url) = on_terminal(&machine, &["--priority=-3"]).await;
    visit(&url).await;
    let left = terminal.left().await;
    assert!(
        left.screen.contains("This replaces the earlier login of work and keeps its label.\n"),
        "{}",
        left.screen
    );
    let [name] = &accounts(&machine)[..] else { panic!("{:?}", accounts(&machine)) };
    let stored = machine.read(name);
    assert_eq!((&stored["label"], &stored["priority"]), (&json!("work"), &json!(-3)));

    let (terminal, url) = on_terminal(&machine, &["--json"]).await;
    visit(&url).await;
    let left = terminal.left().await;
    let done: Value = serde_json::from_str(left.screen.lines().last().unwrap()).unwrap();
    assert_eq!((&done["replaced"], &done["kept"]), (&json!(true), &json!(["label", "priority"])));
    no_secret_in(&left.screen, &url, &fake, &machine);
}

#[tokio::test]
async fn one_email_in_two_organizations_is_two_accounts() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let _daemon = machine.start().await;
    for (organization, count, is_known) in
        [("Analytical", 1, false), ("Differential", 2, false), ("Analytical", 2, true)]
    {
        fake.sign_in_as("ada@example.com", organization);
        let (terminal, url) = on_terminal(&machine, &[]).await;
        visit(&url).await;
        let left = terminal.left().await;
        let replaces = left.screen.contains("This replaces the earlier login of ada@example.com.");
        assert_eq!((left.code, accounts(&machine).len()), (Some(0), count), "{}", left.screen);
        assert_eq!(replaces, is_known, "{}", left.screen);
    }
}
