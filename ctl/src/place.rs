//! Where the person sits, as far as this machine says: at a desktop, in an SSH session, in a container, in
//! Windows beside WSL. Nobody outside is asked for an address.

use std::net::IpAddr;
use std::path::Path;

/// Any of these set means that a browser has somewhere to appear: chosen by the person, X11, Wayland, Windows
/// beside WSL. Without one (an SSH session, a container) a browser may well be installed and start, and show
/// nothing.
const SCREENS: [&str; 4] = ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY", WSL];
const WSL: &str = "WSL_DISTRO_NAME";
/// Put there by Podman and by Docker.
const CONTAINER_MARKS: [&str; 2] = ["/run/.containerenv", "/.dockerenv"];
const SSH_PORT: u16 = 22;

/// What is known of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// A browser has somewhere to appear.
    pub(crate) screen: bool,
    pub(crate) wsl: bool,
    pub(crate) container: bool,
    pub(crate) ssh: Option<Ssh>,
}

/// The SSH session this runs in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ssh {
    /// The address at which the person's machine reached this one.
    server: Option<IpAddr>,
    port: u16,
}

impl Place {
    pub(crate) fn look() -> Self {
        let marked = CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists());
        Self::told(variable, marked)
    }

    fn told(variable: impl Fn(&str) -> Option<String>, marked: bool) -> Self {
        Self {
            screen: SCREENS.iter().any(|name| variable(name).is_some()),
            wsl: variable(WSL).is_some(),
            container: marked || variable("container").is_some(),
            ssh: ssh(variable),
        }
    }
}

impl Ssh {
    /// The command that makes this machine's loopback `port` the same port of the machine it is run on.
    pub(crate) fn forward(&self, port: u16, user: &str) -> String {
        let at = if self.port == SSH_PORT { String::new() } else { format!(" -p {}", self.port) };
        let server = self.server.map_or_else(|| "SERVER".to_owned(), |server| server.to_string());
        format!("ssh{at} -L {port}:localhost:{port} {user}@{server}")
    }

    /// Whether the person must put the server's name into the command.
    pub(crate) fn is_nameless(&self) -> bool {
        self.server.is_none()
    }
}

/// `SSH_CONNECTION` holds the client's address and port and then the server's; `SSH_CLIENT` the client's, and
/// the server's port; `SSH_TTY` says no more than that there is a session.
fn ssh(variable: impl Fn(&str) -> Option<String>) -> Option<Ssh> {
    let fields = |name: &str, at: usize| Some(variable(name)?.split_whitespace().nth(at)?.to_owned());
    let port = |text: Option<String>| text.and_then(|text| text.parse().ok()).unwrap_or(SSH_PORT);
    if variable("SSH_CONNECTION").is_some() {
        let server = fields("SSH_CONNECTION", 2).and_then(|text| address(&text));
        return Some(Ssh { server, port: port(fields("SSH_CONNECTION", 3)) });
    }
    if variable("SSH_CLIENT").is_some() {
        return Some(Ssh { server: None, port: port(fields("SSH_CLIENT", 2)) });
    }
    variable("SSH_TTY").map(|_| Ssh { server: None, port: SSH_PORT })
}

/// An address that means the same elsewhere: one with a zone (`fe80::1%eth0`) names an interface of this
/// machine and does not parse.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The name of the user this runs as.
pub(crate) fn user() -> String {
    let uid = nix::unistd::getuid();
    let known = nix::unistd::User::from_uid(uid).ok().flatten();
    known.map_or_else(|| "USER".to_owned(), |user| user.name)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the person sits is said by the environment and nowhere else"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
    Some(value.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)]) -> Place {
        let of = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        Place::told(of, false)
    }

    fn forward(variables: &[(&str, &str)]) -> Option<String> {
        told(variables).ssh.map(|ssh| ssh.forward(54545, "ada"))
    }

    #[test]
    fn the_command_names_the_server_as_the_session_reached_it() {
        for (connection, command) in [
            ("192.0.2.1 50022 192.0.2.7 22", "ssh -L 54545:localhost:54545 ada@192.0.2.7"),
            ("192.0.2.1 50022 192.0.2.7 2222", "ssh -p 2222 -L 54545:localhost:54545 ada@192.0.2.7"),
            ("2001:db8::1 50022 2001:db8::7 22", "ssh -L 54545:localhost:54545 ada@2001:db8::7"),
            ("::ffff:192.0.2.1 1 ::ffff:192.0.2.7 22", "ssh -L 54545:localhost:54545 ada@192.0.2.7"),
            ("fe80::1%eth0 1 fe80::2%eth0 22", "ssh -L 54545:localhost:54545 ada@SERVER"),
            ("192.0.2.1 50022 $(reboot) 22", "ssh -L 54545:localhost:54545 ada@SERVER"),
            ("x", "ssh -L 54545:localhost:54545 ada@SERVER"),
        ] {
            assert_eq!(forward(&[("SSH_CONNECTION", connection)]).as_deref(), Some(command), "{connection}");
        }
    }

    #[test]
    fn a_session_that_says_less_is_a_session_all_the_same() {
        let client = forward(&[("SSH_CLIENT", "192.0.2.1 50022 2222")]);
        assert_eq!(client.as_deref(), Some("ssh -p 2222 -L 54545:localhost:54545 ada@SERVER"));
        assert!(told(&[("SSH_TTY", "/dev/pts/1")]).ssh.is_some_and(|ssh| ssh.is_nameless()));
        assert_eq!(forward(&[("DISPLAY", ":0")]), None);
    }

    #[test]
    fn screens_containers_and_windows_are_told_by_their_variables() {
        assert_eq!(told(&[]), Place::default());
        assert!(told(&[("container", "podman")]).container && Place::told(|_| None, true).container);
        let wsl = told(&[("WSL_DISTRO_NAME", "Debian")]);
        assert!(wsl.wsl && wsl.screen && !wsl.container);
        assert!(told(&[("WAYLAND_DISPLAY", "wayland-0")]).screen);
    }
}
