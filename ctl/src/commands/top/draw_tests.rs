//! Whole screens as they look, and that none of them can be broken. Golden files of `tests/fixtures/top`: after a change,
//! `UPDATE_GENERATED=1 cargo test -p proxyctl --lib -- top::draw` writes them anew.

use std::path::Path;

use proxy_proto::v1::{self, EventKind, RequestPhase};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::super::model::{Key, Told};
use super::testing::{activity, activity_at, at, ended, event, model, request, window};
use super::*;
use crate::json::{AccountList, Activity};

const PLAIN: Look = Look { colour: false, unicode: false };
const FULL: Look = Look { colour: true, unicode: true };

fn drawn(model: &Model, look: Look, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, look)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen's rows, as a person reads them.
fn rows(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let row = |cells: &[ratatui::buffer::Cell]| {
        let mut row = String::new();
        let mut columns = 0;
        for (at, cell) in cells.iter().enumerate() {
            // The second half of a wide letter says nothing.
            if at >= columns {
                row.push_str(cell.symbol());
                columns = at + unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1);
            }
        }
        row.trim_end().to_owned()
    };
    buffer.content.chunks(width).map(row).collect()
}

fn text(model: &Model, look: Look, size: (u16, u16)) -> String {
    rows(&drawn(model, look, size)).join("\n") + "\n"
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test that reads one variable and writes files of the source tree"
)]
fn is_golden(name: &str, screen: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/top").join(name);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, screen).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(screen, golden, "{name} is not what it was; this is how it looks now:\n{screen}");
}

fn sample_accounts() -> AccountList {
    let ready = |id: &str, email: &str| v1::Account {
        id: id.to_owned(),
        email: email.to_owned(),
        kind: v1::CredentialKind::Oauth.into(),
        state: v1::AccountState::Ready.into(),
        expires_at: Some(at(7 * 3600)),
        last_refresh_at: Some(at(-3600)),
        refresh_due_at: Some(at(6 * 3600)),
        renewable: true,
        ..v1::Account::default()
    };
    let attempts = |served, limited, failed| {
        Some(v1::AttemptCounts { served, limited, failed, ..v1::AttemptCounts::default() })
    };
    let opus = v1::QuotaWindow { model: "claude-opus-4-5".to_owned(), ..window("7d_opus", 61.0, 180_000) };
    let accounts = vec![
        v1::Account {
            in_flight: 2,
            quota: vec![window("5h", 35.0, 11_550), window("7d", 72.0, 180_000), opus],
            attempts: attempts(1290, 3, 1),
            ..ready("3f2a9c0d71be", "ada@example.com")
        },
        v1::Account {
            label: "work".to_owned(),
            state: v1::AccountState::Cooling.into(),
            state_reason: "upstream limits it until 12:42".to_owned(),
            available_at: Some(at(2520)),
            quota: vec![window("5h", 100.0, 2520), window("7d", 93.0, 400_000)],
            attempts: attempts(812, 14, 0),
            cooldowns: vec![v1::Cooldown {
                until: Some(at(2520)),
                reason: "its 5h window is used up".to_owned(),
                binding: true,
                ..v1::Cooldown::default()
            }],
            ..ready("890a0cb7a1bf", "work@example.com")
        },
        v1::Account {
            state: v1::AccountState::NeedsLogin.into(),
            state_reason: "the refresh token was refused".to_owned(),
            ..ready("23e219a93adc", "grace@example.org")
        },
        v1::Account {
            label: "build".to_owned(),
            kind: v1::CredentialKind::ApiKey.into(),
            expires_at: None,
            last_refresh_at: None,
            refresh_due_at: None,
            quota: vec![window("tokens", 12.0, 40), window("requests", 4.0, -5)],
            warnings: vec!["its setting `colour` is not understood".to_owned()],
            attempts: attempts(77, 0, 2),
            ..ready("9c1d00aa22bb", "")
        },
    ];
    v1::ListAccountsResponse { accounts, invalid_files: vec![] }.into()
}

fn sample_activity(seconds: i64) -> Activity {
    let waiting = v1::ActiveRequest {
        since: Some(at(-3)),
        dialect: "chat".to_owned(),
        client_key: "ci".to_owned(),
        model: "claude-opus-4-5".to_owned(),
        account: String::new(),
        account_name: String::new(),
        attempt: 0,
        tokens: None,
        bytes: 0,
        ..request("px_0198c3f2a1b47d6e8f900a1b2c3d4e02", RequestPhase::Waiting)
    };
    let asking = v1::ActiveRequest {
        since: Some(at(-1)),
        attempt: 2,
        bytes: 0,
        tokens: None,
        ..request("px_0198c3f2a1b47d6e8f900a1b2c3d4e03", RequestPhase::Asking)
    };
    let refused = v1::EndedRequest {
        outcome: "answered with status 529".to_owned(),
        ..ended("px_0198c3f2a1b47d6e8f900a1b2c3d4d01", Some(529))
    };
    let left = v1::EndedRequest {
        outcome: "given up: nobody waited for it any longer".to_owned(),
        ..ended("px_0198c3f2a1b47d6e8f900a1b2c3d4d02", None)
    };
    let done = ended("px_0198c3f2a1b47d6e8f900a1b2c3d4d03", Some(200));
    let answering = request("px_0198c3f2a1b47d6e8f900a1b2c3d4e01", RequestPhase::Answering);
    activity_at(seconds, vec![answering, waiting, asking], vec![refused, left, done])
}

fn sample() -> Model {
    let mut model = model();
    model.tell(Told::Accounts(sample_accounts()));
    model.tell(Told::Activity(activity_at(-10, vec![], vec![])));
    model.tell(Told::Activity(sample_activity(0)));
    for event in [
        event(EventKind::Refreshed, "ada@example.com", ""),
        event(EventKind::QuotaLow, "work", "93 % of its 7d window is used"),
        event(EventKind::Cooling, "work", "until 2026-11-23T12:42:00Z"),
        event(EventKind::NeedsLogin, "grace@example.org", "the refresh token was refused"),
    ] {
        model.tell(Told::Event(event));
    }
    model
}

#[test]
fn a_whole_screen_is_as_it_was() {
    for (name, size, look) in [
        ("80x24.txt", (80, 24), PLAIN),
        ("80x24-unicode.txt", (80, 24), FULL),
        ("200x60.txt", (200, 60), PLAIN),
        ("200x60-unicode.txt", (200, 60), FULL),
    ] {
        is_golden(name, &text(&sample(), look, size));
    }
}

#[test]
fn a_narrow_screen_shows_one_pane_and_a_tiny_one_what_fits() {
    let mut model = sample();
    is_golden("80x12.txt", &text(&model, PLAIN, (80, 12)));
    model.press(Key::Tab);
    is_golden("60x12-requests.txt", &text(&model, PLAIN, (60, 12)));
    model.press(Key::Tab);
    is_golden("20x5-events.txt", &text(&model, PLAIN, (20, 5)));
    for width in [1, 2, 3, 5, 20, 79, 81, 300] {
        for height in [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 38, 100] {
            for pane in ['1', '2', '3'] {
                model.press(Key::Letter(pane));
                for look in [PLAIN, FULL] {
                    assert_eq!(rows(&drawn(&model, look, (width, height))).len(), usize::from(height));
                }
            }
        }
    }
}

#[test]
fn without_colour_nothing_is_coloured_and_nothing_is_lost() {
    let colours = |look| {
        let buffer = drawn(&sample(), look, (200, 60));
        buffer.content.iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert_eq!(colours(PLAIN), 0);
    assert!(colours(FULL) > 100);
    let (plain, coloured) = (Look { unicode: true, ..PLAIN }, FULL);
    assert_eq!(text(&sample(), plain, (80, 24)), text(&sample(), coloured, (80, 24)));
    assert!(text(&sample(), PLAIN, (200, 60)).is_ascii());
}

#[test]
fn who_has_no_account_is_told_what_to_run_and_who_has_many_sees_the_chosen_one() {
    let mut model = model();
    is_golden("80x24-empty.txt", &text(&model, PLAIN, (80, 24)));
    let many =
        |n: usize| v1::Account { label: format!("account {n}"), id: n.to_string(), ..v1::Account::default() };
    let accounts = (0..200).map(many).collect();
    model.tell(Told::Accounts(v1::ListAccountsResponse { accounts, invalid_files: vec![] }.into()));
    for _ in 0..120 {
        model.press(Key::Down);
    }
    let screen = text(&model, PLAIN, (80, 24));
    assert!(screen.contains("\n> account 120 "), "{screen}");
    assert!(!screen.contains("account 121") && screen.contains("2  TIME"), "{screen}");
    model.press(Key::Home);
    assert!(text(&model, PLAIN, (80, 24)).contains("\n> account 0 "));
}

#[test]
fn what_others_named_neither_breaks_a_column_nor_steers_the_terminal() {
    for label in [
        "日本語のとても長い名前のアカウントです",
        "\u{1b}[2J\u{9b}31mred\nline",
        &"x".repeat(300),
        "e\u{301}\u{200d}👩‍👩‍👧",
    ] {
        let mut model = sample();
        let account = v1::Account {
            label: label.to_owned(),
            id: "1".to_owned(),
            in_flight: 7,
            quota: vec![window(label, 50.0, 60)],
            ..v1::Account::default()
        };
        let list = v1::ListAccountsResponse { accounts: vec![account], invalid_files: vec![] };
        model.tell(Told::Accounts(list.into()));
        let request = v1::ActiveRequest {
            model: label.to_owned(),
            client_key: label.to_owned(),
            account_name: label.to_owned(),
            ..request("px_1", RequestPhase::Asking)
        };
        model.tell(Told::Activity(activity(vec![request], vec![])));
        model.tell(Told::Event(event(EventKind::Invalid, label, label)));
        model.press(Key::Letter('d'));
        for look in [PLAIN, FULL] {
            let buffer = drawn(&model, look, (80, 24));
            assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(char::is_control)), "{label:?}");
            // The figure at the end of the row stands below its title.
            let last = |row: u16| (0..80).rev().find(|column| buffer[(*column, row)].symbol() != " ");
            assert_eq!(last(3), last(2), "{label:?}: {:?}", rows(&buffer));
            assert!(rows(&buffer)[3].ends_with(" 7"), "{label:?}");
        }
    }
}

#[test]
fn a_question_what_came_of_it_and_a_lost_daemon_are_said_in_words() {
    let mut model = sample();
    let last = |model: &Model| rows(&drawn(model, PLAIN, (80, 24))).swap_remove(22);
    model.press(Key::Letter('d'));
    assert_eq!(last(&model), "Disable ada@example.com? It gets no new requests then. [y/n]");
    model.press(Key::Letter('y'));
    assert_eq!(last(&model), "disabling ada@example.com ...");
    model.tell(Told::Done(Box::new(Err("cannot disable the account: no".to_owned()))));
    assert_eq!(last(&model), "cannot disable the account: no");
    model.press(Key::Down);
    assert_eq!(last(&model), "work: upstream limits it until 12:42");
    model.tell(Told::Lost("the daemon stopped".to_owned()));
    model.now += jiff::SignedDuration::from_secs(5);
    let buffer = drawn(&model, PLAIN, (80, 24));
    assert!(
        rows(&buffer)[1].starts_with("CONNECTION LOST 5s ago: the daemon stopped."),
        "{:?}",
        rows(&buffer)[1]
    );
    assert!(buffer[(0, 1)].modifier.contains(Modifier::REVERSED));
    // What is known is marked as old.
    assert!(buffer[(2, 3)].modifier.contains(Modifier::DIM) && rows(&buffer)[3].contains("ada@example.com"));
}

#[test]
fn the_help_names_every_key() {
    let mut model = sample();
    model.press(Key::Letter('?'));
    is_golden("80x24-help.txt", &text(&model, PLAIN, (80, 24)));
}

#[test]
fn the_readme_shows_the_screen() {
    let readme = include_str!("../../../../README.md");
    assert!(
        readme.contains(&text(&sample(), PLAIN, (80, 24))),
        "put tests/fixtures/top/80x24.txt into the README"
    );
}
