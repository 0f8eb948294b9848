//! The state machine of a refresh, explored at every crash point: the real steps and the real store in a directory
//! of their own, a small issuer that rotates tokens and revokes whoever comes twice, and a process that dies at each
//! point of two of its lives, in every order, on every way a call can end, with a clock that goes on or back.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use http::StatusCode;
use tempfile::TempDir;

use super::*;
use crate::account::{Document, FileName, Identity, OAuth};
use crate::claude::oauth::Unreached;
use crate::clock::{SignedDuration, after};
use crate::seal;
use crate::secret::AccessToken;
use crate::store::Vault;
use crate::store::crash::{self, Crash};

const FILE: &str = "claude-a.json";

/// What becomes of a call on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Road {
    Answered,
    /// Nothing was sent.
    Blocked,
    /// The issuer says that it has trouble.
    Trouble,
    /// Cut off before the issuer did anything, which nobody here can know.
    CutOff,
    /// The issuer did it, and its answer is lost.
    AnswerLost,
}

const ROADS: [Road; 5] = [Road::Answered, Road::Blocked, Road::Trouble, Road::CutOff, Road::AnswerLost];

#[derive(Clone, PartialEq, Eq, Hash)]
struct Issuer {
    serial: usize,
    is_revoked: bool,
    /// By token: the calls that may have used it.
    uses: BTreeMap<String, usize>,
    /// The answer to a rotation did not come to be saved.
    is_answer_lost: bool,
}

impl Issuer {
    fn current(&self) -> String {
        format!("r{}", self.serial)
    }

    fn ask(&mut self, token: &RefreshToken, road: Road, now: Timestamp) -> Result<Grant, TokenError> {
        match road {
            Road::Blocked => return Err(TokenError::Transport(Unreached::ProxyRefuses)),
            Road::Trouble => return Err(TokenError::Server { status: StatusCode::BAD_GATEWAY }),
            Road::Answered | Road::CutOff | Road::AnswerLost => {}
        }
        *self.uses.entry(token.expose().to_owned()).or_default() += 1;
        let lost = || Err(TokenError::Malformed { problem: "cut off" });
        if road == Road::CutOff {
            return lost();
        }
        if self.is_revoked || token.expose() != self.current() {
            self.is_revoked = true;
            return match road {
                Road::AnswerLost => lost(),
                _ => Err(TokenError::InvalidGrant { description: None }),
            };
        }
        self.serial += 1;
        if road == Road::AnswerLost {
            self.is_answer_lost = true;
            return lost();
        }
        let tokens = OAuth {
            access: AccessToken::new(format!("a{}", self.serial)),
            refresh: Some(RefreshToken::new(self.current())),
            expires_at: Some(after(now, SignedDuration::from_hours(8))),
        };
        Ok(Grant { tokens, scope: None, identity: Identity::default(), issued_at: now })
    }
}

/// Everything that outlives a process.
#[derive(Clone)]
struct World {
    files: Vec<(String, Vec<u8>)>,
    issuer: Issuer,
    now: Timestamp,
    /// Calls that were written down by a process that died before they were made, or before they were known to have come
    /// to nothing: they count, since nobody can know better.
    unasked: usize,
    /// How it came to be so, for whoever reads of a failure.
    story: Vec<String>,
}

struct Life {
    has_asked: bool,
    has_died: bool,
    has_unsynced: bool,
}

struct Model {
    home: TempDir,
    /// Seals what is written, or nothing.
    vault: Vault,
    /// What the wall clock does between two lives.
    clock_step: SignedDuration,
    lives: usize,
    /// Where it has been: what led there makes no difference to what comes after.
    seen: HashSet<(usize, Place)>,
}

/// What tells one world from another: times by their order alone, and temporary files without what makes their names
/// unique.
type Place = (Vec<(String, String)>, Issuer, usize);

impl World {
    fn place(&self, vault: &Vault) -> Place {
        let texts: Vec<_> = self.files.iter().map(|(name, text)| (name, opened(text, vault))).collect();
        let time = |word: &str| word.starts_with("20").then(|| word.parse::<Timestamp>().ok())?;
        let times: BTreeSet<_> =
            texts.iter().flat_map(|(_, text)| text.split('"').filter_map(time)).collect();
        let rank = |word: &str| match time(word) {
            Some(time) => times.range(..time).count().to_string(),
            None => word.to_owned(),
        };
        let ranked = |text: &str| text.split('"').map(rank).collect::<Vec<_>>().join("\"");
        let plain = |name: &str| name.strip_prefix(".update-").map_or(name, |_| ".update-").to_owned();
        let files = texts.iter().map(|(name, text)| (plain(name), ranked(text))).collect();
        (files, self.issuer.clone(), self.unasked)
    }
}

impl Model {
    /// Whether some file holds the issuer's current token and is whole.
    fn is_on_disk(&self, world: &World) -> bool {
        let current = RefreshToken::new(world.issuer.current());
        let token = |content: &[u8]| {
            let length = content.iter().rposition(|byte| *byte != 0)? + 1;
            let document = Document::parse(&content[..length]).ok()?;
            self.vault.open(document).ok()?.refresh_token()
        };
        world.files.iter().any(|(_, content)| token(content).as_ref() == Some(&current))
    }

    fn is_new(&mut self, world: &World, deaths: usize) -> bool {
        self.seen.insert((deaths, world.place(&self.vault)))
    }

    /// The process starts, does one refresh and ends, or dies on the way.
    fn live(&mut self, world: &mut World, road: Road, death: Option<(usize, Crash)>) -> Life {
        let dir = self.home.path();
        put_back(dir, &world.files);
        world.now = after(world.now, self.clock_step);
        world.story.push(format!("{road:?} {death:?}"));
        let store = Store::open_with(dir, self.vault.clone(), None).unwrap();
        crash::arrange(death);
        let (intents_before, uses_before) = (intents(&world.files), world.issuer.uses.clone());
        let rotations = world.issuer.serial;
        let has_asked = refresh(&store, world, road);
        let (has_died, has_unsynced) = (crash::happened(), crash::has_unsynced());
        crash::arrange(None);
        drop(store);
        world.files = look(self.home.path());
        // An answer that died with its process before it was whole on the disk is lost.
        let is_rotated = world.issuer.serial > rotations;
        world.issuer.is_answer_lost |= is_rotated && has_died && !self.is_on_disk(world);
        if has_died && world.issuer.uses == uses_before && !intents(&world.files).is_subset(&intents_before) {
            world.unasked += 1;
        }
        self.lives += 1;
        Life { has_asked, has_died, has_unsynced }
    }

    /// Every way a life can end in from here, with so many deaths to come.
    fn explore(&mut self, world: &World, deaths: usize) {
        if !self.is_new(world, deaths) {
            return;
        }
        // Before the call the road makes no difference: only the first one starts at the start.
        let mut first_point = 0;
        for road in ROADS {
            for point in (first_point..).take_while(|_| deaths > 0) {
                let mut next = world.clone();
                let life = self.live(&mut next, road, Some((point, Crash::Killed)));
                if !life.has_died {
                    break;
                }
                self.explore(&next, deaths - 1);
                if life.has_unsynced {
                    let mut cut = world.clone();
                    self.live(&mut cut, road, Some((point, Crash::PowerCut)));
                    self.explore(&cut, deaths - 1);
                }
                if !life.has_asked {
                    first_point = point + 1;
                }
            }
            let mut world = world.clone();
            self.live(&mut world, road, None);
            if self.is_new(&world, usize::MAX) {
                self.settle(world);
            }
        }
    }

    /// All is well from here on: the account comes to rest, and is not lost but for a reason.
    fn settle(&mut self, mut world: World) {
        // A refresh always changes the file, so where nothing changes the account is at rest.
        for _ in 0..3 {
            let before = world.files.clone();
            self.live(&mut world, Road::Answered, None);
            if world.files == before {
                break;
            }
        }
        put_back(self.home.path(), &world.files);
        let story = &world.story;
        if self.vault.seals_with().is_some() {
            let in_clear = |content: &[u8]| ["\"a", "\"r"].iter().any(|start| has_token(content, start));
            assert!(!world.files.iter().any(|(_, content)| in_clear(content)), "{story:?}");
        }
        assert!(world.files.iter().all(|(name, _)| !name.starts_with(".update-")), "{story:?}");
        let store = Store::open_with(self.home.path(), self.vault.clone(), None).unwrap();
        let account = store.read(&FileName::parse(FILE).unwrap()).unwrap().account;
        let token = account.oauth().unwrap().refresh.as_ref().unwrap();
        let Issuer { is_revoked, uses, is_answer_lost, .. } = &world.issuer;
        for (token, uses) in uses {
            assert!(*uses <= MOST_TRIES, "{token} was used {uses} times: {story:?}");
        }
        let holds_newest = !is_revoked && token.expose() == world.issuer.current();
        match &account.needs_login {
            None => assert!(holds_newest, "the account is lost and does not say so: {story:?}"),
            Some(why) => {
                let uses = uses.get(token.expose()).copied().unwrap_or(0);
                let is_used_up = uses + world.unasked >= MOST_TRIES;
                // Refused: what was issued instead is lost. Given up: nobody knows, twice.
                let has_cause = if why.serving { is_used_up } else { *is_answer_lost };
                assert!(has_cause, "the account is lost for nothing: {story:?}");
                assert!(!why.reason.is_empty(), "{story:?}");
            }
        }
    }
}

/// One start and one refresh. Whether the issuer was asked.
fn refresh(store: &Store, world: &mut World, road: Road) -> bool {
    if store.recover().is_err() || store.put_in_form().is_err() {
        return false;
    }
    let known = store.read(&FileName::parse(FILE).unwrap()).unwrap().account;
    let Ok(asking) = begin(store, &known, world.now, |_| false, |_| false) else { return false };
    let answer = world.issuer.ask(&asking.token, road, world.now);
    // The process may die while it waits for the answer.
    if crash::point().is_ok() {
        drop(end(store, *asking, answer, world.now));
    }
    true
}

fn put_back(dir: &Path, files: &[(String, Vec<u8>)]) {
    for entry in fs::read_dir(dir).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (name, content) in files {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(dir.join(name));
        file.unwrap().write_all(content).unwrap();
    }
}

/// Whether a text is a token of the issuer's: "a7" or "r7", in quotes.
fn has_token(content: &[u8], start: &str) -> bool {
    let text = String::from_utf8_lossy(content);
    let is_token = |rest: &str| rest.split('"').next().is_some_and(|rest| rest.parse::<usize>().is_ok());
    text.match_indices(start).any(|(at, _)| is_token(&text[at + start.len()..]))
}

fn intents(files: &[(String, Vec<u8>)]) -> BTreeSet<String> {
    files.iter().map(|(name, _)| name.clone()).filter(|name| name.starts_with(".intent-")).collect()
}

fn look(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let files = named.filter(|(name, _)| name != ".lock");
    let mut files: Vec<_> = files.map(|(name, path)| (name, fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// In memory where the machine has such a place: that nothing is lost in a power cut is not what is shown here.
fn home() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Sealed texts differ each time they are made: those of a whole file are told by what is in them, and of half a file nobody
/// can tell.
fn opened(content: &[u8], vault: &Vault) -> String {
    let end = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let document = Document::parse(&content[..end]).ok().filter(Document::is_sealed);
    if let Some(document) = document.and_then(|document| vault.open(document).ok()) {
        let text = String::from_utf8(document.to_bytes()).unwrap();
        return format!("sealed {text}{}", content.len() - end);
    }
    let text = String::from_utf8_lossy(content);
    let word = |word: &str| if seal::is_sealed(word) { "?".to_owned() } else { word.to_owned() };
    text.split('"').map(word).collect::<Vec<_>>().join("\"")
}

fn explore(clock_step: SignedDuration, vault: Vault) -> (usize, usize) {
    let start: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
    let document = r#"{"type":"claude","access_token":"a0","refresh_token":"r0","account_uuid":"u",
        "last_refresh":"2026-06-01T11:00:00Z","expired":"2026-06-01T19:00:00Z"}"#;
    let world = World {
        files: vec![(FILE.to_owned(), document.as_bytes().to_vec())],
        issuer: Issuer { serial: 0, is_revoked: false, uses: BTreeMap::new(), is_answer_lost: false },
        now: start,
        unasked: 0,
        story: Vec::new(),
    };
    let mut model = Model { home: home(), vault, clock_step, lives: 0, seen: HashSet::new() };
    model.explore(&world, 2);
    (model.lives, model.seen.len())
}

#[test]
fn no_two_crashes_lose_an_account_unsaid_or_use_a_token_a_third_time() {
    let (lives, worlds) = explore(SignedDuration::from_hours(1), Vault::default());
    assert!(lives > 500 && worlds > 100, "{lives} lives were lived in {worlds} worlds");
}

#[test]
fn nor_do_they_with_a_clock_that_goes_back() {
    explore(SignedDuration::from_hours(-1), Vault::default());
}

/// The account's file is in clear at first, so that the first life seals it.
#[test]
fn nor_do_they_with_secrets_that_are_sealed() {
    let key: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    let (lives, worlds) = explore(SignedDuration::from_hours(1), Vault::of(Some(&key), None, true));
    assert!(lives > 500 && worlds > 100, "{lives} lives were lived in {worlds} worlds");
}
