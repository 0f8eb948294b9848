//! Where the person sits: what is said in an SSH session and in a container.

use proxy_tests::binaries::Machine;
use proxy_tests::fake_claude::FakeClaude;
use proxy_tests::terminal::Terminal;

use super::{on_terminal, pair, visit};

fn port(url: &str) -> u16 {
    url::Url::parse(&pair(url, "redirect_uri")).unwrap().port().unwrap()
}

#[tokio::test]
async fn in_an_ssh_session_the_url_is_printed_with_the_command_that_brings_the_browser_back() {
    let fake = FakeClaude::start().await;
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    for (connection, before, host) in [
        ("192.0.2.1 50022 192.0.2.7 22", "ssh -L", "192.0.2.7"),
        ("2001:db8::1 50022 2001:db8::7 2222", "ssh -p 2222 -L", "2001:db8::7"),
    ] {
        let machine = Machine::new(&fake).with("SSH_CONNECTION", connection);
        let _daemon = machine.start().await;
        // No flag: that no browser can appear here is found out.
        let mut terminal = Terminal::proxyctl(&machine, &["login", "claude"]);
        let url = terminal.line("/oauth/authorize?").await;
        terminal.line("This is an SSH session").await;
        let command = terminal.line("ssh ").await;
        let port = port(&url);
        assert_eq!(command.trim(), format!("{before} {port}:localhost:{port} {user}@{host}"));
        terminal.line("paste the code").await;
        assert!(visit(&url).await.contains("Login complete"));
        assert_eq!(terminal.left().await.code, Some(0));
    }
}

#[tokio::test]
async fn in_a_container_the_way_without_a_port_is_named() {
    let fake = FakeClaude::start().await;
    let machine = Machine::new(&fake).with("container", "podman");
    let _daemon = machine.start().await;
    let (mut terminal, url) = on_terminal(&machine, &[]).await;
    let line = terminal.line("This is a container").await;
    assert!(line.contains(&port(&url).to_string()) && line.contains("--paste"), "{line}");
    terminal.press_ctrl_c();
    assert_eq!(terminal.left().await.code, Some(130));
}
