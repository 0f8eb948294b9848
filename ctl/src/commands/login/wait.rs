//! The middle of a login: everything that may happen between showing the URL and its end, one at a time.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{Interrupt, Session};
use crate::browser;
use crate::callback::{Arrival, Callback, Page};
use crate::client::Client;
use crate::clock;
use crate::error::{Error, Refusal};
use crate::exit::Exit;
use crate::json::{Account, Document, LoginEvent};
use crate::output::Output;
use crate::paste::{self, Answer, NotThisLogin};
use crate::place::Place;
use crate::stdin::{Line, Lines};

/// A login that succeeded.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) account: Account,
    pub(super) path: String,
    pub(super) replaced: bool,
}

/// A login whose URL is out.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    pub(super) client: &'a Client,
    pub(super) session: &'a Session,
    /// `None` where the provider's own page shows the code.
    pub(super) callback: Option<&'a mut Callback>,
    pub(super) interrupt: &'a mut Interrupt,
    pub(super) output: &'a mut Output,
    /// How long the answer is waited for.
    pub(super) limit: Duration,
    pub(super) place: &'a Place,
    /// Draw the URL, too.
    pub(super) qr: bool,
}

/// What happens while waiting.
enum Event {
    Interrupted,
    TimedOut,
    Arrived(Arrival),
    Pasted(Line),
    /// Whether a browser took the URL.
    Opened(bool),
}

/// Whether standard input that is no terminal may carry the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pipe {
    Accepted,
    Ignored,
}

/// What an attempt to complete means for the wait.
enum Attempt {
    Ended(Box<Ended>),
    /// The answer was not this login's after all; another may come.
    NotThisLogin,
    /// The daemon keeps the login: the same code may succeed once what was in the way is gone.
    Stalled {
        code: SecretString,
        err: Error,
    },
}

/// A person to ask, and the code that is worth another try.
#[derive(Debug, Default)]
struct Prompt {
    lines: Option<Lines>,
    /// Somebody sits there, and is not a program.
    interactive: bool,
    held: Option<(SecretString, Error)>,
    /// Why the last pasted line was not this login's answer.
    refused: Option<NotThisLogin>,
}

impl Wait<'_> {
    /// Waits for an answer and has the daemon complete the login with it.
    pub(super) async fn run(mut self, with_browser: bool) -> Result<Box<Ended>, Error> {
        let deadline = Instant::now() + self.limit;
        let searches = TaskTracker::new();
        let url = self.session.url.clone();
        let mut opening = std::pin::pin!(browser::open(&url, self.place, &searches));
        let mut opened = !with_browser;
        let mut prompt = Prompt::default();
        // Where a browser is wanted, standard input may be meant for another program; but where a paste is the
        // only way, it is meant for it.
        let pipe = if with_browser && self.callback.is_some() { Pipe::Ignored } else { Pipe::Accepted };
        self.tell_waiting(pipe)?;
        if !with_browser {
            self.show_url()?;
            prompt = self.offer_paste(pipe);
        }
        loop {
            let event = tokio::select! {
                biased;
                () = self.interrupt.caught() => Event::Interrupted,
                arrival = arrival(self.callback.as_deref_mut()) => Event::Arrived(arrival),
                line = prompt.line() => Event::Pasted(line),
                success = &mut opening, if !opened => Event::Opened(success),
                () = tokio::time::sleep_until(deadline) => Event::TimedOut,
            };
            match event {
                Event::Interrupted => return Err(Error::Interrupted),
                Event::TimedOut => {
                    return Err(prompt.or_unsaved(Error::LoginTimedOut { limit: self.limit }));
                }
                Event::Opened(success) => {
                    opened = true;
                    if success {
                        self.output.talk(
                            "Your browser has been opened. If it shows nothing, visit this URL in one:",
                        );
                        self.output.talk(&url);
                        self.draw_url();
                    } else {
                        self.show_url()?;
                    }
                    // Not before: a browser for terminals would need the terminal for itself.
                    prompt = self.offer_paste(pipe);
                }
                Event::Pasted(Line::End) if self.callback.is_none() => {
                    let last = prompt.refused;
                    return Err(prompt.or_unsaved(Error::NoPaste { last }));
                }
                Event::Pasted(Line::End) => prompt.lines = None,
                Event::Arrived(arrival) => {
                    let result = self.judge(arrival.answer).await;
                    // A browser that went away does not matter to the login.
                    let _shown = arrival.page.send(page(&result));
                    if let Some(ended) = self.settle(result?, &mut prompt)? {
                        return Ok(ended);
                    }
                }
                Event::Pasted(Line::Unreadable) => {
                    self.refuse_paste(NotThisLogin::Malformed, &mut prompt)?;
                }
                Event::Pasted(Line::Text(line)) => {
                    if let Some(ended) = self.pasted(&line, &mut prompt).await? {
                        return Ok(ended);
                    }
                }
            }
        }
    }

    /// Tells a program that everything listens; a person sees it by what is printed.
    fn tell_waiting(&mut self, pipe: Pipe) -> Result<(), Error> {
        if !self.output.is_json() {
            return Ok(());
        }
        let paste = pipe == Pipe::Accepted || io::stdin().is_terminal();
        let limit = SignedDuration::try_from(self.limit).unwrap_or(SignedDuration::MAX);
        let until = clock::now().checked_add(limit).unwrap_or(Timestamp::MAX);
        self.output.document(&Document::new(LoginEvent::Waiting {
            callback: self.session.port,
            paste,
            until,
        }))
    }

    /// On a terminal a person may paste; where no browser is wanted, a pipe may carry the answer.
    fn offer_paste(&self, pipe: Pipe) -> Prompt {
        let terminal = io::stdin().is_terminal();
        if terminal {
            self.output.talk(match self.callback {
                Some(_) => {
                    "If the browser cannot come back here by itself, paste the code or the address of its last \
                     page and press Enter."
                }
                None => "The last page shows a code. Paste it here and press Enter.",
            });
        }
        Prompt {
            lines: (terminal || pipe == Pipe::Accepted).then(Lines::new),
            interactive: terminal && !self.output.is_json(),
            held: None,
            refused: None,
        }
    }

    /// An empty line tries the code again that is held, if one is.
    async fn pasted(
        &mut self,
        line: &SecretString,
        prompt: &mut Prompt,
    ) -> Result<Option<Box<Ended>>, Error> {
        let answer = if line.expose_secret().trim().is_empty() {
            let Some((code, _)) = prompt.held.take() else {
                return Ok(None);
            };
            Answer::Code(code)
        } else {
            match paste::line(line.expose_secret(), &self.session.state) {
                Ok(answer) => answer,
                Err(why) => {
                    self.refuse_paste(why, prompt)?;
                    return Ok(None);
                }
            }
        };
        let attempt = self.judge(answer).await?;
        if matches!(attempt, Attempt::NotThisLogin) {
            self.refuse_paste(NotThisLogin::WrongState, prompt)?;
        }
        self.settle(attempt, prompt)
    }

    /// What an attempt leaves to wait for: nothing, another answer, or a person who says when to try again.
    fn settle(&mut self, attempt: Attempt, prompt: &mut Prompt) -> Result<Option<Box<Ended>>, Error> {
        match attempt {
            Attempt::Ended(ended) => Ok(Some(ended)),
            Attempt::NotThisLogin => Ok(None),
            Attempt::Stalled { code, err } if prompt.interactive => {
                self.output.error(&err);
                self.output.talk("The login is still open. Press Enter to try again, or Ctrl-C to give up.");
                prompt.held = Some((code, err));
                Ok(None)
            }
            Attempt::Stalled { err, .. } => Err(err),
        }
    }

    fn refuse_paste(&mut self, why: NotThisLogin, prompt: &mut Prompt) -> Result<(), Error> {
        prompt.refused = Some(why);
        let message = format!("That paste cannot be used: {why}.");
        if self.output.is_json() {
            return self.output.document(&Document::new(LoginEvent::PasteRefused { message }));
        }
        self.output.talk(&format!("{message} Try again."));
        Ok(())
    }

    async fn judge(&mut self, answer: Answer) -> Result<Attempt, Error> {
        let code = match answer {
            Answer::Denied(denial) => return Err(Error::LoginDenied(denial)),
            Answer::Code(code) => code,
        };
        let complete = self.client.complete_login(&self.session.id, &code, &self.session.state);
        let completed = tokio::select! {
            biased;
            () = self.interrupt.caught() => return Err(Error::Interrupted),
            completed = complete => completed,
        };
        match completed {
            Ok((account, reply)) => Ok(Attempt::Ended(Box::new(Ended {
                account: account.into(),
                path: reply.path,
                replaced: reply.replaced,
            }))),
            Err(Error::Refused { refusal: Refusal::WrongState, .. }) => Ok(Attempt::NotThisLogin),
            Err(Error::LoginFailed(failure)) if failure.is_open() => {
                Ok(Attempt::Stalled { code, err: Error::LoginFailed(failure) })
            }
            Err(err @ Error::Refused { refusal: Refusal::NotSaved | Refusal::ProviderUnavailable, .. }) => {
                Ok(Attempt::Stalled { code, err })
            }
            Err(err) => Err(err),
        }
    }
}

fn page(result: &Result<Attempt, Error>) -> Page {
    match result {
        Ok(Attempt::Ended(_)) => Page::Done,
        Ok(Attempt::NotThisLogin) => Page::NotThisLogin,
        Err(Error::LoginDenied(_)) => Page::Refused,
        Ok(Attempt::Stalled { .. }) | Err(_) => Page::Failed,
    }
}

/// The browser's answer, where one can come.
async fn arrival(callback: Option<&mut Callback>) -> Arrival {
    match callback {
        Some(callback) => callback.arrival().await,
        None => std::future::pending().await,
    }
}

impl Prompt {
    /// What ends the login where nothing more can come. Tokens that only wait for space are not given up because
    /// a person was not quick enough.
    fn or_unsaved(self, otherwise: Error) -> Error {
        match self.held {
            Some((_, err)) if err.exit() == Exit::NotSaved => err,
            _ => otherwise,
        }
    }

    async fn line(&mut self) -> Line {
        match &mut self.lines {
            Some(lines) => lines.next().await,
            None => std::future::pending().await,
        }
    }
}
