//! What the screen is about, from messages and keys alone. Pure.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::rates::Rates;
use crate::json::{Account, AccountList, Activity, EndedRequest, Event, Status};

/// Requests that ended, as many as are kept.
const MOST_ENDED: usize = 200;
/// And as many events.
const MOST_EVENTS: usize = 200;
/// Rows of a page up or down.
const PAGE: usize = 10;

/// All that is shown.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) now: Timestamp,
    pub(super) status: Status,
    pub(super) link: Link,
    pub(super) accounts: Vec<Account>,
    /// Files that are not used.
    pub(super) invalid_files: usize,
    pub(super) activity: Option<Activity>,
    /// Newest first.
    pub(super) ended: VecDeque<EndedRequest>,
    /// Newest first.
    pub(super) events: VecDeque<Event>,
    pub(super) rates: Rates,
    /// The id of the account that keys are about.
    selected: Option<String>,
    /// Where it stood, should it go.
    place: usize,
    pub(super) pane: Pane,
    /// Rows that are passed over in the pane, but for the accounts.
    scrolled: usize,
    pub(super) asking: Option<Deed>,
    /// What the daemon was asked for, and has not answered.
    pub(super) doing: Option<Deed>,
    pub(super) said: Option<Said>,
    pub(super) shows_help: bool,
}

/// Whether the daemon is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    Lost { since: Timestamp, why: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pane {
    Accounts,
    Requests,
    Events,
}

/// What came of a key, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) words: String,
    pub(super) went_wrong: bool,
}

/// What is done with one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub(super) verb: Verb,
    pub(super) id: String,
    /// The account as a person calls it.
    pub(super) name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Disable,
    Enable,
    Refresh,
}

/// What a person pressed, as far as it means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Tab,
    BackTab,
    Escape,
    Enter,
    Letter(char),
    /// With the control key.
    Control(char),
}

/// What is to be done after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Show,
    Quit,
    /// Give the terminal back until the person comes back.
    Suspend,
    /// Draw all of it anew: something else has written there.
    Redraw,
    Do(Deed),
}

/// What the daemon told, or what became of it.
#[derive(Debug)]
pub(super) enum Told {
    Accounts(AccountList),
    Activity(Activity),
    Event(Event),
    Done(Box<Result<Account, String>>),
    Lost(String),
    Back(Status),
}

impl Model {
    pub(super) fn new(status: Status, now: Timestamp) -> Self {
        Self {
            now,
            status,
            link: Link::Up,
            accounts: Vec::new(),
            invalid_files: 0,
            activity: None,
            ended: VecDeque::new(),
            events: VecDeque::new(),
            rates: Rates::default(),
            selected: None,
            place: 0,
            pane: Pane::Accounts,
            scrolled: 0,
            asking: None,
            doing: None,
            said: None,
            shows_help: false,
        }
    }

    /// Takes what the daemon told.
    pub(super) fn tell(&mut self, told: Told) {
        match told {
            Told::Accounts(list) => {
                self.accounts = list.accounts;
                self.invalid_files = list.invalid_files.len();
                self.keep_selection();
            }
            Told::Activity(activity) => self.look(activity),
            Told::Event(event) => {
                self.events.push_front(event);
                self.events.truncate(MOST_EVENTS);
            }
            Told::Done(done) => self.done(*done),
            Told::Lost(why) => {
                self.asking = None;
                self.rates.clear();
                match &mut self.link {
                    Link::Lost { why: last, .. } => *last = why,
                    link @ Link::Up => *link = Link::Lost { since: self.now, why },
                }
            }
            Told::Back(status) => {
                self.link = Link::Up;
                self.status = status;
                self.say("connected again", false);
            }
        }
    }

    /// Takes a key.
    pub(super) fn press(&mut self, key: Key) -> Step {
        match key {
            Key::Control('c') => return Step::Quit,
            Key::Control('z') => return Step::Suspend,
            Key::Control('l') => return Step::Redraw,
            _ => {}
        }
        if let Some(deed) = self.asking.take() {
            return self.answered(deed, key);
        }
        if self.shows_help {
            self.shows_help = false;
            // The key that closes the help means nothing else.
            return if key == Key::Letter('q') { Step::Quit } else { Step::Show };
        }
        self.said = None;
        match key {
            Key::Letter('q') | Key::Escape => return Step::Quit,
            Key::Letter('?' | 'h') => self.shows_help = true,
            Key::Letter('1') => self.turn_to(Pane::Accounts),
            Key::Letter('2') => self.turn_to(Pane::Requests),
            Key::Letter('3') => self.turn_to(Pane::Events),
            Key::Tab => self.turn_to(self.pane.next()),
            Key::BackTab => self.turn_to(self.pane.next().next()),
            Key::Up | Key::Letter('k') => self.go(|at| at.saturating_sub(1)),
            Key::Down | Key::Letter('j') => self.go(|at| at + 1),
            Key::PageUp => self.go(|at| at.saturating_sub(PAGE)),
            Key::PageDown => self.go(|at| at + PAGE),
            Key::Home | Key::Letter('g') => self.go(|_| 0),
            Key::End | Key::Letter('G') => self.go(|_| usize::MAX),
            Key::Letter('d') => return self.wish(Verb::Disable),
            Key::Letter('e') => return self.wish(Verb::Enable),
            Key::Letter('r') => return self.wish(Verb::Refresh),
            Key::Letter(_) | Key::Control(_) | Key::Enter => {}
        }
        Step::Show
    }

    /// The account that keys are about, and its place.
    pub(super) fn selected(&self) -> Option<(usize, &Account)> {
        let wanted = self.selected.as_deref()?;
        self.accounts.iter().enumerate().find(|(_, account)| account.id == wanted)
    }

    /// Rows that a pane passes over, of so many, where so many are shown. A selected account is always shown.
    pub(super) fn offset(&self, pane: Pane, rows: usize, shown: usize) -> usize {
        let last = rows.saturating_sub(shown);
        match pane {
            Pane::Accounts => {
                let at = self.selected().map_or(0, |(at, _)| at);
                at.saturating_sub(shown.saturating_sub(1)).min(last)
            }
            Pane::Requests | Pane::Events if pane == self.pane => self.scrolled.min(last),
            Pane::Requests | Pane::Events => 0,
        }
    }

    /// Rows that the requests take.
    pub(super) fn requests(&self) -> usize {
        self.activity.as_ref().map_or(0, |activity| activity.running.len()) + self.ended.len()
    }

    fn look(&mut self, mut activity: Activity) {
        for ended in std::mem::take(&mut activity.ended) {
            // Who connects again is told of some that are known.
            if !self.ended.iter().any(|known| known.request.request_id == ended.request.request_id) {
                self.ended.push_front(ended);
            }
        }
        self.ended.truncate(MOST_ENDED);
        self.rates.note(activity.at.unwrap_or(self.now), activity.totals);
        self.activity = Some(activity);
    }

    fn done(&mut self, done: Result<Account, String>) {
        let Some(Deed { verb, name, .. }) = self.doing.take() else { return };
        match done {
            Ok(account) => {
                self.say(&format!("{} {name}", verb.done()), false);
                let known = self.accounts.iter_mut().find(|known| known.id == account.id);
                // The watch tells it, too, a moment later.
                if let Some(known) = known {
                    *known = account;
                }
            }
            Err(why) => self.say(&why, true),
        }
    }

    fn answered(&mut self, deed: Deed, key: Key) -> Step {
        if matches!(key, Key::Letter('y' | 'Y')) {
            return self.begin(deed);
        }
        self.say("nothing was done", false);
        Step::Show
    }

    /// What is wished for the selected account. What takes it out of use is asked first.
    fn wish(&mut self, verb: Verb) -> Step {
        let Some((_, account)) = self.selected() else {
            self.say("there is no account to do that with", true);
            return Step::Show;
        };
        let deed = Deed { verb, id: account.id.clone(), name: account.to_string() };
        if let Link::Lost { .. } = self.link {
            self.say("the daemon is not connected", true);
            return Step::Show;
        }
        if self.doing.is_some() {
            self.say("one thing after the other: the daemon has not answered yet", true);
            return Step::Show;
        }
        if verb == Verb::Disable {
            self.asking = Some(deed);
            return Step::Show;
        }
        self.begin(deed)
    }

    fn begin(&mut self, deed: Deed) -> Step {
        self.said = None;
        self.doing = Some(deed.clone());
        Step::Do(deed)
    }

    fn say(&mut self, words: &str, went_wrong: bool) {
        self.said = Some(Said { words: words.to_owned(), went_wrong });
    }

    fn turn_to(&mut self, pane: Pane) {
        self.pane = pane;
        self.scrolled = 0;
    }

    /// Moves within the pane.
    fn go(&mut self, to: impl Fn(usize) -> usize) {
        let last = |rows: usize| rows.saturating_sub(1);
        match self.pane {
            Pane::Accounts => {
                let at = to(self.selected().map_or(0, |(at, _)| at)).min(last(self.accounts.len()));
                self.select(at);
            }
            Pane::Requests => self.scrolled = to(self.scrolled).min(last(self.requests())),
            Pane::Events => self.scrolled = to(self.scrolled).min(last(self.events.len())),
        }
    }

    fn select(&mut self, at: usize) {
        self.place = at;
        self.selected = self.accounts.get(at).map(|account| account.id.clone());
    }

    /// An account that has gone leaves the selection to the one in its place.
    fn keep_selection(&mut self) {
        match self.selected() {
            Some((at, _)) => self.place = at,
            None => self.select(self.place.min(self.accounts.len().saturating_sub(1))),
        }
        let gone = |deed: &Deed| !self.accounts.iter().any(|account| account.id == deed.id);
        if self.asking.as_ref().is_some_and(gone) {
            self.asking = None;
        }
    }
}

impl Pane {
    fn next(self) -> Self {
        match self {
            Self::Accounts => Self::Requests,
            Self::Requests => Self::Events,
            Self::Events => Self::Accounts,
        }
    }
}

impl Verb {
    /// As it is going on.
    pub(super) fn doing(self) -> &'static str {
        match self {
            Self::Disable => "disabling",
            Self::Enable => "enabling",
            Self::Refresh => "refreshing",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Disable => "disabled",
            Self::Enable => "enabled",
            Self::Refresh => "refreshed",
        }
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
