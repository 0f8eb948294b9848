//! The terminal: taken, drawn on, and given back as it was on every way out, also by a panic. What is pressed comes from a thread,
//! since the keyboard is read without an end.

use std::io::{self, Stdout, stdout};
use std::sync::Once;

use nix::sys::signal::{Signal, raise};
use ratatui::backend::{Backend as _, ClearType, CrosstermBackend};
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use tokio::sync::mpsc::{Receiver, channel};

use super::model::Key;
use crate::error::Error;

/// Keys that are pressed faster than they are taken wait here.
const TYPED_AHEAD: usize = 64;

/// A terminal that is drawn on. Dropped, it is as it was before.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    // Gives the terminal back, after the one above is done with it.
    _taken: Taken,
}

struct Taken;

/// What came from the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Key(Key),
    /// Nothing that means anything here, or another size: all there is to do is to draw.
    Other,
}

impl Screen {
    pub(super) fn take() -> Result<Self, Error> {
        give_back_before_a_panic_is_told();
        let taken = Taken::take().map_err(|source| Error::Stdout { source })?;
        let terminal =
            Terminal::new(CrosstermBackend::new(stdout())).map_err(|source| Error::Stdout { source })?;
        Ok(Self { terminal, _taken: taken })
    }

    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Error> {
        self.terminal.draw(draw).map(|_| ()).map_err(|source| Error::Stdout { source })
    }

    /// Draws everything anew the next time. Not by the terminal's own `clear`: that asks where the cursor is, and the
    /// keyboard's thread would read the answer.
    pub(super) fn forget(&mut self) -> Result<(), Error> {
        let cleared = self.terminal.backend_mut().clear_region(ClearType::All);
        // Both buffers are empty after it.
        self.terminal.swap_buffers();
        cleared.map_err(|source| Error::Stdout { source })
    }

    /// Stops the program as the terminal's own suspend key does, until the person lets it go on.
    pub(super) fn suspend(&mut self) -> Result<(), Error> {
        give_back();
        // Where nobody could let it go on (there is no shell above it) the system does not stop it.
        let raised = raise(Signal::SIGTSTP);
        Taken::set().map_err(|source| Error::Stdout { source })?;
        raised.map_err(|errno| Error::Signals { source: errno.into() })?;
        self.forget()
    }
}

impl Taken {
    fn take() -> io::Result<Self> {
        // From before the first change, so that a failure in between gives back what was taken.
        let taken = Self;
        Self::set()?;
        Ok(taken)
    }

    fn set() -> io::Result<()> {
        enable_raw_mode()?;
        execute!(stdout(), EnterAlternateScreen, Hide)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    // A terminal that has gone needs nothing back.
    let _gone = execute!(stdout(), Show, LeaveAlternateScreen);
    let _gone = disable_raw_mode();
}

/// What a panic says would be lost with the screen that it is said on.
fn give_back_before_a_panic_is_told() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let tell = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            tell(panic);
        }));
    });
}

/// What is pressed from now on, until the terminal has gone.
pub(super) fn keyboard() -> Result<Receiver<Input>, Error> {
    let (sender, inputs) = channel(TYPED_AHEAD);
    let read = move || {
        while let Ok(event) = event::read() {
            if sender.blocking_send(input(&event)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("keyboard".to_owned())
        .spawn(read)
        .map_err(|source| Error::Runtime { source })?;
    Ok(inputs)
}

fn input(event: &Event) -> Input {
    match event {
        Event::Key(KeyEvent {
            code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, ..
        }) => key(*code, *modifiers).map_or(Input::Other, Input::Key),
        _ => Input::Other,
    }
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Key> {
    if modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match code {
        KeyCode::Char(letter) if modifiers.contains(KeyModifiers::CONTROL) => Key::Control(letter),
        KeyCode::Char(letter) => Key::Letter(letter),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Esc => Key::Escape,
        KeyCode::Enter => Key::Enter,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_what_is_held_down() {
        let none = KeyModifiers::NONE;
        for (code, modifiers, expected) in [
            (KeyCode::Char('d'), none, Some(Key::Letter('d'))),
            (KeyCode::Char('G'), KeyModifiers::SHIFT, Some(Key::Letter('G'))),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Key::Control('c'))),
            (KeyCode::Char('d'), KeyModifiers::ALT, None),
            (KeyCode::BackTab, KeyModifiers::SHIFT, Some(Key::BackTab)),
            (KeyCode::F(5), none, None),
        ] {
            assert_eq!(key(code, modifiers), expected, "{code:?}");
        }
        let released = KeyEvent::new_with_kind(KeyCode::Char('q'), none, KeyEventKind::Release);
        assert_eq!(input(&Event::Key(released)), Input::Other);
        assert_eq!(input(&Event::Resize(1, 1)), Input::Other);
    }
}
