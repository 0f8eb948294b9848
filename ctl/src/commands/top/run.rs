//! The screen at work: messages, keys and the clock, one after another, each followed by a drawing.

use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use super::draw::{Look, draw};
use super::link::{Link, Session, carry_out};
use super::model::{Model, Step, Told};
use super::screen::{Input, Screen, keyboard};
use crate::clock;
use crate::commands::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::interrupt::Interrupt;
use crate::output;

/// Ages and countdowns are told in seconds.
const TICK: Duration = Duration::from_secs(1);

/// Something that is done with an account.
type Doing = Pin<Box<dyn Future<Output = Told>>>;

pub(super) async fn run(interval: Duration, context: &Context<'_>) -> Result<Exit, Error> {
    // What goes wrong here is told as by every other command: the terminal is not taken yet.
    let (session, status) = Session::open(interval, context).await?;
    let mut interrupt = Interrupt::listen()?;
    let model = Model::new(status, clock::now());
    let look = Look { colour: output::shows_colour(), unicode: output::shows_unicode() };
    let mut screen = Screen::take()?;
    let keys = keyboard()?;
    let link = Link::Up(Box::new(session));
    // Whichever ends it, the screen is dropped here, and what is said after that is said on the terminal as it was.
    tokio::select! {
        ended = watch(&mut screen, keys, model, link, look, interval, context) => ended,
        () = interrupt.caught() => Err(Error::Stopped),
    }
}

async fn watch<'a>(
    screen: &mut Screen,
    mut keys: Receiver<Input>,
    mut model: Model,
    mut link: Link<'a>,
    look: Look,
    interval: Duration,
    context: &'a Context<'_>,
) -> Result<Exit, Error> {
    let mut doing: Option<Doing> = None;
    loop {
        model.now = clock::now();
        screen.draw(|frame| draw(frame, &model, look))?;
        let step = tokio::select! {
            input = keys.recv() => match input {
                Some(Input::Key(key)) => model.press(key),
                Some(Input::Other) => Step::Show,
                // The terminal has gone.
                None => return Err(Error::Stopped),
            },
            told = link.next(interval, context) => {
                model.tell(told?);
                Step::Show
            }
            told = done(&mut doing) => {
                doing = None;
                model.tell(told);
                Step::Show
            }
            () = tokio::time::sleep(TICK) => Step::Show,
        };
        match step {
            Step::Show => {}
            Step::Quit => return Ok(Exit::Ok),
            Step::Suspend => screen.suspend()?,
            Step::Redraw => screen.forget()?,
            Step::Do(deed) => match link.client() {
                Some(client) => doing = Some(Box::pin(carry_out(client, deed))),
                None => model.tell(Told::Done(Box::new(Err("the daemon is not connected".to_owned())))),
            },
        }
    }
}

/// What became of what is done; for ever where there is nothing.
async fn done(doing: &mut Option<Doing>) -> Told {
    match doing {
        Some(doing) => doing.await,
        None => std::future::pending().await,
    }
}
