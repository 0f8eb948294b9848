//! How a test's daemon is set up.
#![expect(clippy::expect_used, reason = "a harness: what fails here must fail the test at once")]

use std::path::Path;
use std::time::Duration;

use proxyd::clock::Clock;
use proxyd::config::{self, Environment, Flags, Loaded};

use super::configuration;
use crate::fake_claude::FakeClaude;

/// What a test may set; everything else is as on a fresh machine.
#[derive(Debug)]
pub struct Setup {
    pub clock: Clock,
    /// Extra keys, as in the environment: `("PROXYD_HTTP__DRAIN", "1s")`.
    pub settings: Vec<(&'static str, String)>,
    /// Where it listens beside a free port of loopback.
    pub listen: Vec<String>,
    /// When a streaming request's head goes down though upstream has not answered; no key sets it.
    pub late_head: Option<Duration>,
    /// The configuration's file; see [`TestDaemon::configure`](super::TestDaemon::configure). Other keys than a test's own
    /// come from the environment, which beats it.
    pub file: Option<String>,
    /// Whether it says where to listen, instead of a flag, which would beat it.
    pub listens_by_file: bool,
}

impl Setup {
    /// With these keys.
    #[must_use]
    pub fn of<const N: usize>(settings: [(&'static str, &str); N]) -> Self {
        let settings = settings.map(|(name, value)| (name, value.to_owned())).into();
        Self { settings, ..Self::default() }
    }

    /// With this configuration file.
    #[must_use]
    pub fn file(text: &str) -> Self {
        Self { file: Some(text.to_owned()), ..Self::default() }
    }

    /// Requests go to the accounts in turns, by weight, so that a test can tell who comes next.
    #[must_use]
    pub fn in_turns() -> Self {
        let settings = vec![
            ("PROXYD_POOL__STRATEGY", "weighted".to_owned()),
            ("PROXYD_POOL__AFFINITY", "false".to_owned()),
        ];
        Self { settings, ..Self::default() }
    }

    /// The configuration of a fresh machine, but for the addresses.
    pub(super) fn load(&self, fake: &FakeClaude, home: &Path) -> Loaded {
        if let Some(file) = &self.file {
            configuration::write(home, file);
        }
        let by_flag = std::iter::once("127.0.0.1:0".to_owned()).chain(self.listen.iter().cloned());
        let flags = Flags {
            auth_dir: Some(home.join("auth")),
            listen: if self.listens_by_file { Vec::new() } else { by_flag.collect() },
            control_socket: Some(home.join("run/control.sock")),
            ..Flags::default()
        };
        let upstream = fake.proxyd_environment().into_iter();
        let settings =
            upstream.chain(self.settings.iter().cloned()).map(|(name, value)| (name.to_owned(), value));
        // No configuration of the machine that runs the tests.
        let isolated = [("CONFIGURATION_DIRECTORY".to_owned(), home.join("config").display().to_string())];
        let environment: Environment = settings.chain(isolated).collect();
        let mut loaded = config::load(&flags, &environment).expect("a valid configuration");
        loaded.config.proxy.late_head = self.late_head.unwrap_or(loaded.config.proxy.late_head);
        loaded
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            settings: Vec::new(),
            listen: Vec::new(),
            late_head: None,
            file: None,
            listens_by_file: false,
        }
    }
}
