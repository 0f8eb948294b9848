//! Asks for a secret at a terminal that does not show it. However it ends, the terminal shows what is typed again.

use std::io::{self, IsTerminal as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use secrecy::{ExposeSecret as _, SecretString};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::secret_file;
use crate::stdin::{Line, Lines};

/// The line that a person types, unseen.
pub(crate) async fn ask(question: &str, output: &Output) -> Result<SecretString, Error> {
    let unusable = |what: &str| Error::Usage {
        what: what.to_owned(),
        hint: "name a file with --key-file or --setup-token-file; `-` reads standard input".to_owned(),
    };
    if !io::stdin().is_terminal() {
        return Err(unusable("there is no terminal to ask for the key at"));
    }
    let mut interrupt = Interrupt::listen()?;
    let hidden = Hidden::start().map_err(|_| unusable("the terminal cannot hide what is typed"))?;
    output.prompt(question);
    let typed = tokio::select! {
        line = async { Lines::new().next().await } => Some(line),
        () = interrupt.caught() => None,
    };
    drop(hidden);
    // The newline that ended the line was not shown either.
    output.prompt("\n");
    match typed {
        None => Err(Error::Stopped),
        Some(Line::End) => Err(unusable("nothing was typed")),
        Some(Line::Unreadable) => Err(unusable("what was typed is no key")),
        Some(Line::Text(line)) => secret_file::parse(line.expose_secret().as_bytes().to_vec())
            .map_err(|_| unusable("what was typed is no key")),
    }
}

/// A terminal that shows nothing of what is typed, for as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn start() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone shows nothing anyway.
        let _gone = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0);
    }
}
