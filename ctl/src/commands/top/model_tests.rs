//! What keys and messages make of the screen.

use proxy_proto::v1;

use super::*;
use crate::commands::top::draw::testing::{account, activity, ended, event, model, status};

fn list(ids: &[&str]) -> AccountList {
    let accounts = ids.iter().map(|id| account(id)).collect();
    AccountList { accounts, invalid_files: vec![] }
}

fn with(ids: &[&str]) -> Model {
    let mut model = model();
    model.tell(Told::Accounts(list(ids)));
    model
}

fn selected(model: &Model) -> &str {
    model.selected().map_or("", |(_, account)| account.id.as_str())
}

fn said(model: &Model) -> &str {
    model.said.as_ref().map_or("", |said| said.words.as_str())
}

#[test]
fn arrows_choose_an_account_and_stop_at_both_ends() {
    let mut model = with(&["a", "b", "c"]);
    assert_eq!(selected(&model), "a");
    for (key, now) in [
        (Key::Up, "a"),
        (Key::Down, "b"),
        (Key::Letter('j'), "c"),
        (Key::Down, "c"),
        (Key::Letter('k'), "b"),
        (Key::End, "c"),
        (Key::Home, "a"),
        (Key::PageDown, "c"),
        (Key::PageUp, "a"),
        (Key::Letter('G'), "c"),
        (Key::Letter('g'), "a"),
    ] {
        assert_eq!(model.press(key), Step::Show);
        assert_eq!(selected(&model), now, "{key:?}");
    }
}

#[test]
fn a_selection_follows_its_account_and_leaves_its_place_to_the_next() {
    let mut model = with(&["a", "b", "c"]);
    model.press(Key::Down);
    model.tell(Told::Accounts(list(&["x", "a", "b", "c"])));
    assert_eq!(selected(&model), "b");
    model.tell(Told::Accounts(list(&["x", "a", "c"])));
    assert_eq!(selected(&model), "c");
    model.tell(Told::Accounts(list(&[])));
    assert_eq!(selected(&model), "");
    model.tell(Told::Accounts(list(&["d"])));
    assert_eq!(selected(&model), "d");
}

#[test]
fn disabling_asks_first_and_only_a_yes_does_it() {
    let mut model = with(&["a"]);
    for key in [Key::Letter('n'), Key::Enter, Key::Escape, Key::Letter('q'), Key::Down] {
        assert_eq!(model.press(Key::Letter('d')), Step::Show);
        assert_eq!(model.asking.as_ref().unwrap().verb, Verb::Disable);
        assert_eq!(model.press(key), Step::Show, "{key:?}");
        assert_eq!((model.asking.is_some(), said(&model)), (false, "nothing was done"));
    }
    model.press(Key::Letter('d'));
    let step = model.press(Key::Letter('y'));
    let deed = Deed { verb: Verb::Disable, id: "a".to_owned(), name: "a".to_owned() };
    assert_eq!(step, Step::Do(deed));
    model.tell(Told::Done(Box::new(Ok(account("a")))));
    assert_eq!((said(&model), model.doing.is_none()), ("disabled a", true));
}

#[test]
fn what_the_question_was_about_may_go_meanwhile() {
    let mut model = with(&["a", "b"]);
    model.press(Key::Letter('d'));
    model.tell(Told::Accounts(list(&["b"])));
    assert!(model.asking.is_none());
    assert_eq!(model.press(Key::Letter('y')), Step::Show);
}

#[test]
fn enabling_and_refreshing_begin_at_once_and_one_thing_is_done_after_the_other() {
    let mut model = with(&["a"]);
    for (key, verb) in [('e', Verb::Enable), ('r', Verb::Refresh)] {
        let Step::Do(deed) = model.press(Key::Letter(key)) else { panic!("{key}") };
        assert_eq!(deed.verb, verb);
        assert_eq!(model.press(Key::Letter('r')), Step::Show);
        assert!(said(&model).contains("one thing after the other"));
        model.tell(Told::Done(Box::new(Err("cannot do it: no".to_owned()))));
        let said = model.said.clone().unwrap();
        assert_eq!((said.words.as_str(), said.went_wrong), ("cannot do it: no", true));
    }
}

#[test]
fn nothing_is_done_without_an_account_or_without_a_daemon() {
    let mut model = with(&[]);
    assert_eq!(model.press(Key::Letter('r')), Step::Show);
    assert!(said(&model).contains("there is no account"));
    model.tell(Told::Accounts(list(&["a"])));
    model.press(Key::Letter('d'));
    model.tell(Told::Lost("the daemon stopped".to_owned()));
    assert!(model.asking.is_none(), "a question without a daemon is none");
    assert_eq!(model.press(Key::Letter('r')), Step::Show);
    assert!(said(&model).contains("not connected"));
}

#[test]
fn a_lost_connection_keeps_what_was_known_and_says_since_when() {
    let mut model = with(&["a"]);
    model.tell(Told::Activity(activity(vec![], vec![ended("1", Some(200))])));
    let since = model.now;
    model.tell(Told::Lost("the daemon stopped".to_owned()));
    model.now = since + jiff::SignedDuration::from_secs(5);
    model.tell(Told::Lost("no daemon listens".to_owned()));
    assert_eq!(model.link, Link::Lost { since, why: "no daemon listens".to_owned() });
    assert_eq!((model.accounts.len(), model.ended.len(), model.rates.per_second()), (1, 1, None));
    model.tell(Told::Back(status()));
    assert_eq!((&model.link, said(&model)), (&Link::Up, "connected again"));
    // The first message after that tells of the last requests again.
    model.tell(Told::Activity(activity(vec![], vec![ended("1", Some(200)), ended("2", None)])));
    let ids: Vec<_> = model.ended.iter().map(|ended| ended.request.request_id.as_str()).collect();
    assert_eq!(ids, ["2", "1"]);
}

#[test]
fn what_is_kept_is_bounded_and_the_newest_comes_first() {
    let mut model = with(&[]);
    for n in 0..MOST_ENDED + 50 {
        model.tell(Told::Activity(activity(vec![], vec![ended(&n.to_string(), Some(200))])));
        model.tell(Told::Event(event(v1::EventKind::Added, &n.to_string(), "")));
    }
    assert_eq!((model.ended.len(), model.events.len()), (MOST_ENDED, MOST_EVENTS));
    assert_eq!(model.ended[0].request.request_id, (MOST_ENDED + 49).to_string());
    assert_eq!(model.events[0].name.as_deref(), Some("249"));
}

#[test]
fn panes_are_turned_to_by_tab_and_number_and_scroll_within_their_rows() {
    let mut model = with(&["a", "b"]);
    for (key, pane) in [
        (Key::Tab, Pane::Requests),
        (Key::Tab, Pane::Events),
        (Key::Tab, Pane::Accounts),
        (Key::BackTab, Pane::Events),
        (Key::Letter('2'), Pane::Requests),
        (Key::Letter('1'), Pane::Accounts),
        (Key::Letter('3'), Pane::Events),
    ] {
        model.press(key);
        assert_eq!(model.pane, pane, "{key:?}");
    }
    for n in 0..20 {
        model.tell(Told::Event(event(v1::EventKind::Added, &n.to_string(), "")));
    }
    model.press(Key::Down);
    assert_eq!((model.offset(Pane::Events, 20, 5), model.offset(Pane::Requests, 20, 5)), (1, 0));
    model.press(Key::End);
    assert_eq!((model.offset(Pane::Events, 20, 5), selected(&model)), (15, "a"));
    model.press(Key::Tab);
    model.press(Key::End);
    assert_eq!(selected(&model), "b");
    assert_eq!((model.offset(Pane::Accounts, 2, 1), model.offset(Pane::Events, 20, 5)), (1, 0));
}

#[test]
fn a_person_gets_out_of_everything() {
    let mut model = with(&["a"]);
    for key in [Key::Letter('q'), Key::Escape, Key::Control('c')] {
        assert_eq!(model.press(key), Step::Quit);
    }
    model.press(Key::Letter('d'));
    assert_eq!(model.press(Key::Control('c')), Step::Quit);
    model.asking = None;
    model.press(Key::Letter('?'));
    assert!(model.shows_help);
    assert_eq!(model.press(Key::Letter('d')), Step::Show);
    assert!(!model.shows_help && model.asking.is_none());
    assert_eq!(
        (model.press(Key::Control('z')), model.press(Key::Control('l'))),
        (Step::Suspend, Step::Redraw)
    );
}
