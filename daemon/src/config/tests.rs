//! The configuration as a person writes it.

use std::time::Duration;

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn with_file(text: &str) -> (tempfile::TempDir, Flags) {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "config.toml", text);
    let flags = Flags { config: Some(dir.path().join("config.toml")), ..Flags::default() };
    (dir, flags)
}

fn put(dir: &tempfile::TempDir, name: &str, text: &str) {
    use std::io::Write as _;
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn mistakes(text: &str) -> Vec<String> {
    let (dir, flags) = with_file(text);
    let prefix = format!("{}/", dir.path().display());
    let Mistakes(mistakes) = load(&flags, &environment(&[])).unwrap_err();
    mistakes.into_iter().map(|mistake| mistake.replace(&prefix, "")).collect()
}

#[test]
fn nothing_set_is_a_whole_configuration() {
    let (_dir, flags) = with_file("");
    let loaded = load(
        &flags,
        &environment(&[("STATE_DIRECTORY", "/var/lib/proxyd"), ("RUNTIME_DIRECTORY", "/run/proxyd:/x")]),
    )
    .unwrap();
    assert_eq!(loaded.config.http.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(loaded.config.auth_dir, PathBuf::from("/var/lib/proxyd/auth"));
    assert_eq!(loaded.config.control_socket, PathBuf::from("/run/proxyd/control.sock"));
    assert_eq!(loaded.config.callback_port, 54545);
    assert_eq!(loaded.config.http.drain, Duration::from_secs(30));
}

#[test]
fn flag_beats_environment_beats_dropin_beats_file() {
    let (dir, mut flags) = with_file(
        "[log]\nlevel = \"error\"\n[http]\ndrain = \"1s\"\n[claude.oauth]\nclient_id = \"file\"\ncallback_port = 1\n",
    );
    put(
        &dir,
        "config.d/10-a.toml",
        "[log]\nlevel = \"warn\"\n[claude.oauth]\nclient_id = \"a\"\ncallback_port = 2\n",
    );
    put(&dir, "config.d/20-b.toml", "[claude.oauth]\nclient_id = \"b\"\n");
    put(&dir, "config.d/ignored.txt", "not toml");
    flags.log_level = Some("debug".into());
    let environment = environment(&[
        ("PROXYD_LOG__LEVEL", "info"),
        ("PROXYD_CLAUDE__OAUTH__CALLBACK_PORT", "3"),
        ("PROXYD_X", "not ours"),
    ]);
    let loaded = load(&flags, &environment).unwrap();
    assert_eq!(loaded.config.log_level, Level::Debug);
    assert_eq!(loaded.config.callback_port, 3);
    assert_eq!(loaded.config.claude.oauth.client_id, "b");
    assert_eq!(loaded.config.http.drain, Duration::from_secs(1));
    let printed = loaded.print();
    assert!(printed.contains("log.level = \"debug\"  # flag --log-level\n"), "{printed}");
    assert!(
        printed.contains("callback_port = 3  # environment PROXYD_CLAUDE__OAUTH__CALLBACK_PORT\n"),
        "{printed}"
    );
    assert!(printed.contains("20-b.toml:2:1\n"), "{printed}");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let found = mistakes(
        "[http]\nlisten = [\"0.0.0.0:80\", \"localhost:1\"]\nlisen = []\ndrain = 30\n[claude]\napi_base_url = \"http://example.com\"\n[nonsense]\nx = 1\n",
    );
    let expected = [
        "config.toml:3:1: there is no key http.lisen; did you mean http.listen?",
        "config.toml:4:1: http.drain must be a text in quotes, not an integer",
        "config.toml:7:2: there is no key nonsense; `proxyd print-config` lists them all",
        "config.toml:2:1: http.listen: \"localhost:1\" is not an address: write ip:port, as in \"127.0.0.1:8080\" or \"[::1]:8080\", or \"unix:/path\"",
        "config.toml:6:1: claude.api_base_url: \"http://example.com\" must be https: plain http is accepted for loopback addresses only",
    ];
    assert_eq!(found, expected);
}

#[test]
fn broken_toml_names_line_and_column() {
    let found = mistakes("[http]\nlisten = [\n");
    assert!(found[0].starts_with("config.toml:"), "{found:?}");
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_file_that_was_named_must_be_there_and_the_default_one_need_not() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Flags { config: Some(dir.path().join("none.toml")), ..Flags::default() };
    assert!(load(&missing, &environment(&[])).unwrap_err().0[0].contains("cannot read the file"));
    let variables = [
        ("CONFIGURATION_DIRECTORY", dir.path().to_str().unwrap()),
        ("STATE_DIRECTORY", "/s"),
        ("RUNTIME_DIRECTORY", "/r"),
    ];
    assert!(load(&Flags::default(), &environment(&variables)).is_ok());
}

#[test]
fn an_unknown_variable_of_ours_is_a_mistake() {
    let (_dir, flags) = with_file("");
    let found = load(&flags, &environment(&[("PROXYD_HTTP__LISTN", "x")])).unwrap_err();
    assert_eq!(
        found.0,
        ["environment PROXYD_HTTP__LISTN: there is no key http.listn; did you mean http.listen?"]
    );
}

#[test]
fn a_proxys_password_is_not_printed() {
    let (_dir, flags) =
        with_file("[upstream]\nproxy_url = \"socks5h://me:FAKE-password@proxy.example:1080\"\n");
    let printed = load(&flags, &environment(&[])).unwrap().print();
    assert!(
        printed.contains("socks5h://me:****@proxy.example:1080") && !printed.contains("FAKE-password"),
        "{printed}"
    );
}

#[test]
fn the_annotated_file_is_a_valid_configuration_whether_or_not_its_lines_are_switched_on() {
    let text = annotated();
    let (_dir, flags) = with_file(&text);
    assert!(load(&flags, &environment(&[])).is_ok());
    let on: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting)
                if !setting.starts_with(' ') && setting.contains(" = ") && !setting.contains("...") =>
            {
                setting
            }
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let (_dir, flags) = with_file(&on);
    let loaded = load(&flags, &environment(&[])).unwrap();
    let from_file =
        loaded.settings.iter().filter(|(_, setting)| matches!(setting.origin, Origin::File { .. })).count();
    assert_eq!(from_file, KEYS.iter().filter(|key| key.default.is_some()).count());
}

#[test]
fn landlock_is_required_unless_it_is_switched_off() {
    let (_dir, flags) = with_file("");
    let variables = [("SSL_CERT_FILE", "/a/b.pem"), ("SSL_CERT_DIR", "/c:/d"), ("NOTIFY_SOCKET", "/n")];
    let config = load(&flags, &environment(&variables)).unwrap().config.sandbox;
    assert_eq!(config.landlock, sandbox::Landlock::Required);
    assert_eq!(config.certificates, ["/a/b.pem", "/c", "/d"].map(PathBuf::from));
    assert_eq!(config.notify_socket, Some("/n".into()));
    let state = [("STATE_DIRECTORY", "/var/lib/proxyd"), ("RUNTIME_DIRECTORY", "/run/proxyd")];
    let config = load(&flags, &environment(&state)).unwrap().config.sandbox;
    assert_eq!(config.state_dir, Some("/var/lib/proxyd".into()));
    let elsewhere = Flags { auth_dir: Some("/elsewhere/auth".into()), ..flags };
    assert_eq!(load(&elsewhere, &environment(&state)).unwrap().config.sandbox.state_dir, None);
    let (_dir, flags) = with_file("[sandbox]\nlandlock = \"off\"\n");
    assert_eq!(load(&flags, &environment(&[])).unwrap().config.sandbox.landlock, sandbox::Landlock::Off);
    assert_eq!(
        mistakes("[sandbox]\nlandlock = \"maybe\"\n"),
        ["config.toml:2:1: sandbox.landlock: \"maybe\" must be required or off"]
    );
}

/// The proxy and the exceptions, where the environment's is asked for.
fn environments_proxy(
    file: &str,
    variables: &[(&str, &str)],
) -> Result<(String, Option<String>), Vec<String>> {
    let (_dir, flags) = with_file(file);
    let transport =
        load(&flags, &environment(variables)).map_err(|mistakes| mistakes.0)?.config.claude.transport;
    let proxy = transport.proxy_url.map(|proxy| proxy.expose().to_string());
    Ok((proxy.unwrap_or_default(), transport.exceptions.map(|exceptions| exceptions.0)))
}

const ASKED: &str = "[upstream]\nproxy_from_environment = true\n";

#[test]
fn the_environments_proxy_counts_only_where_it_is_asked_for() {
    let all = [
        ("HTTPS_PROXY", "http://p.example:1"),
        ("ALL_PROXY", "socks5://q.example:2"),
        ("no_proxy", "x.example"),
    ];
    assert_eq!(environments_proxy("", &all), Ok((String::new(), None)));
    assert_eq!(
        environments_proxy(ASKED, &all),
        Ok(("http://p.example:1/".to_owned(), Some("x.example".to_owned())))
    );
    let own = format!("{ASKED}proxy_url = \"http://own.example:3\"\n");
    assert_eq!(environments_proxy(&own, &all), Ok(("http://own.example:3/".to_owned(), None)));
    for (variables, proxy) in [
        (&[("https_proxy", "p.example:1")][..], "http://p.example:1/"),
        (&[("all_proxy", "socks5h://q.example:2")], "socks5h://q.example:2"),
        (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "http://q.example:2")], "http://q.example:2/"),
        (
            &[("HTTPS_PROXY", "http://p.example:1"), ("https_proxy", "http://p.example:1")],
            "http://p.example:1/",
        ),
    ] {
        assert_eq!(environments_proxy(ASKED, variables), Ok((proxy.to_owned(), Some(String::new()))));
    }
    for variables in [&[][..], &[("http_proxy", "http://p.example:1"), ("NO_PROXY", "*")]] {
        assert_eq!(environments_proxy(ASKED, variables), Ok((String::new(), None)));
    }
}

#[test]
fn a_proxy_of_the_environment_that_cannot_be_used_is_a_mistake_that_names_its_variable_alone() {
    let secret = "http://me:FAKE-password@p.example:1";
    for (variables, mistake) in [
        (
            &[("HTTPS_PROXY", secret), ("https_proxy", "http://q.example")][..],
            "environment HTTPS_PROXY: upstream.proxy_from_environment: says something else than https_proxy: unset one of them",
        ),
        (
            &[("HTTPS_PROXY", secret), ("NO_PROXY", "a"), ("no_proxy", "b")],
            "environment NO_PROXY: upstream.proxy_from_environment: says something else than no_proxy: unset one of them",
        ),
        (
            &[("ALL_PROXY", "ftp://me:FAKE-password@p.example")],
            "environment ALL_PROXY: upstream.proxy_url: must start with http, https, socks5 or socks5h, not ftp",
        ),
        (
            &[("https_proxy", "http://me:FAKE-password\u{fffd}@p.example")],
            "environment https_proxy: upstream.proxy_from_environment: is not UTF-8",
        ),
    ] {
        assert_eq!(environments_proxy(ASKED, variables), Err(vec![mistake.to_owned()]));
    }
    let (_dir, flags) = with_file(ASKED);
    let printed = load(&flags, &environment(&[("HTTPS_PROXY", secret)])).unwrap().print();
    assert!(
        printed.contains("upstream.proxy_url = \"http://me:****@p.example:1/\"  # environment HTTPS_PROXY\n"),
        "{printed}"
    );
    assert!(!printed.contains("FAKE-password"));
}
