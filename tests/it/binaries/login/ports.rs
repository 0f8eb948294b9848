//! The callback port: who holds one that is taken, and which one is taken instead.

use std::net::TcpListener;

use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::terminal::Terminal;

use super::{on_terminal, pair, visit};

#[tokio::test]
async fn a_port_in_use_is_named_with_its_holder_and_no_login_begins() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake);
    let daemon = machine.start().await;
    for address in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"] {
        let Ok(holder) = TcpListener::bind(address) else { continue };
        let port = holder.local_addr().unwrap().port().to_string();
        for flags in [&[][..], &["--json"]] {
            let args = [&["login", "claude", "--callback-port", &port], flags].concat();
            let left = Terminal::proxyctl(&machine, &args).left().await;
            assert_eq!(left.code, Some(13), "{address}: {}", left.screen);
            assert!(
                left.screen.contains(&format!("the callback port {port} is in use by ")),
                "{}",
                left.screen
            );
            assert!(left.screen.contains(&format!("(pid {})", std::process::id())), "{}", left.screen);
        }
    }
    assert!(!daemon.log().contains("login begun"));
}

#[tokio::test]
async fn without_the_flag_the_next_free_port_is_taken_and_the_redirect_uri_follows() {
    let fake = FakeClaude::start().await;
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().port();
    let machine = Machine::new(&fake).with("PROXYD_CLAUDE__OAUTH__CALLBACK_PORT", taken.to_string());
    let _daemon = machine.start().await;
    let (terminal, url) = on_terminal(&machine, &[]).await;
    let redirect = url::Url::parse(&pair(&url, "redirect_uri")).unwrap();
    assert_ne!(redirect.port(), Some(taken));
    assert!(visit(&url).await.contains("Login complete"));
    let left = terminal.left().await;
    assert_eq!(left.code, Some(0), "{}", left.screen);
}
