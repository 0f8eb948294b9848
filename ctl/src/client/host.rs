//! Another machine, as `--host` names it, and the command line of `ssh` that reaches the daemon there. Nothing
//! of what a person typed can become an option of `ssh` or a command of the shell on the other side.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::str::FromStr;

use url::Url;

/// `ssh://[user@]name[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    user: Option<String>,
    name: String,
    port: Option<u16>,
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // What stands in the text is not repeated before it is known to hold no password.
        let url = Url::parse(text).map_err(|_| "it is not a URL".to_owned())?;
        if url.password().is_some() {
            return Err("it holds a password, which ssh takes from nobody but you; leave it out".to_owned());
        }
        if url.scheme() != "ssh" {
            return Err(format!("{}:// is not understood; only ssh:// is", url.scheme()));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("nothing may follow the server; --socket PATH names the socket there".to_owned());
        }
        let name = url.host_str().unwrap_or_default();
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let user = Some(url.username()).filter(|user| !user.is_empty());
        for (what, word) in [("server", Some(name)), ("user", user)] {
            if word.is_some_and(|word| !is_plain(word)) {
                return Err(format!(
                    "the {what} must start with a letter or a digit and hold no special characters"
                ));
            }
        }
        Ok(Self { user: user.map(str::to_owned), name: name.to_owned(), port: url.port() })
    }
}

/// Neither an option nor anything a shell, `ssh` or its configuration reads as more than a name.
fn is_plain(word: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    word.chars().all(fits) && word.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))
}

impl Host {
    /// As it is given to `--host`.
    pub(crate) fn url(&self) -> String {
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let name = if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() };
        format!("ssh://{user}{name}{port}")
    }

    /// What `ssh` is called with. `socket` is a path on the other machine.
    pub(super) fn arguments(&self, socket: Option<&Path>, json: bool) -> Vec<OsString> {
        // No terminal, and nothing of the person's configuration that is for their own sessions.
        let mut arguments: Vec<OsString> =
            ["-T", "-a", "-x", "-o", "ClearAllForwardings=yes", "-o", "RemoteCommand=none"]
                .map(OsString::from)
                .into();
        if let Some(port) = self.port {
            arguments.extend(["-p".into(), port.to_string().into()]);
        }
        if let Some(user) = &self.user {
            arguments.extend(["-l".into(), user.into()]);
        }
        arguments.extend(["--".into(), (&self.name).into(), "proxyctl".into()]);
        if json {
            arguments.push("--json".into());
        }
        if let Some(socket) = socket {
            arguments.extend(["--socket".into(), quoted(socket.as_os_str())]);
        }
        arguments.push("dial-stdio".into());
        arguments
    }
}

/// One word for the shell on the other side, whatever is in it.
fn quoted(word: &OsStr) -> OsString {
    let mut quoted = vec![b'\''];
    for byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend(br"'\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    OsString::from_vec(quoted)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, " port {port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: &str, socket: Option<&str>) -> String {
        let arguments = host.parse::<Host>().unwrap().arguments(socket.map(Path::new), false);
        arguments.join(OsStr::new(" ")).into_string().unwrap()
    }

    #[test]
    fn the_command_line_names_user_port_and_server() {
        const ALWAYS: &str = "-T -a -x -o ClearAllForwardings=yes -o RemoteCommand=none";
        for (host, rest) in [
            ("ssh://server", "-- server proxyctl dial-stdio"),
            ("ssh://ada@server.example/", "-l ada -- server.example proxyctl dial-stdio"),
            ("ssh://ada@server:2222", "-p 2222 -l ada -- server proxyctl dial-stdio"),
            ("ssh://[2001:db8::1]:22", "-p 22 -- 2001:db8::1 proxyctl dial-stdio"),
            ("ssh://[::1]", "-- ::1 proxyctl dial-stdio"),
        ] {
            assert_eq!(line(host, None), format!("{ALWAYS} {rest}"), "{host}");
        }
        assert!(line("ssh://x", Some("/run/a b")).ends_with("proxyctl --socket '/run/a b' dial-stdio"));
    }

    #[test]
    fn a_host_is_written_as_it_was_given() {
        for url in ["ssh://server", "ssh://ada@server:2222", "ssh://[2001:db8::1]:22"] {
            assert_eq!(url.parse::<Host>().unwrap().url(), url);
        }
    }

    #[test]
    fn what_is_no_plain_server_is_refused() {
        for bad in [
            "server",
            "ada@server",
            "",
            "http://server",
            "ssh://",
            "ssh:server",
            "ssh://-oProxyCommand=x",
            "ssh://-v@server",
            "ssh://a%20b@server",
            "ssh://ser$(id)ver",
            "ssh://server/path",
            "ssh://server?x",
            "ssh://server#x",
            "ssh://server:99999",
            "ssh://[::1",
        ] {
            assert!(bad.parse::<Host>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_is_refused_and_not_repeated() {
        for bad in ["ssh://ada:FAKE-canary@server", "http://ada:FAKE-canary@server"] {
            let refused = bad.parse::<Host>().unwrap_err();
            assert!(refused.contains("password") && !refused.contains("canary"), "{refused}");
        }
    }

    #[test]
    fn a_path_stays_one_word_for_the_other_shell() {
        for path in ["/a b", "/it's", "/$(touch x)", "/a;b", "/`id`", "/a\nb", "/\"", "-x"] {
            let shell = std::process::Command::new("sh")
                .arg("-c")
                .arg(
                    OsStr::new("printf %s ").to_owned().into_string().unwrap()
                        + quoted(path.as_ref()).to_str().unwrap(),
                )
                .output()
                .unwrap();
            let said = String::from_utf8(shell.stdout).unwrap();
            assert_eq!(said, if path == "-x" { "-x" } else { path }, "{path}");
        }
    }
}
