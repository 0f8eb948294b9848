//! The record with its file.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;

use super::*;
use crate::account::{Document, FileName};
use crate::clock::ManualClock;
use crate::wire::messages::peek;

const FILE: &str = "file_011CNha8iCJcU1wXNR6q4V8w";
const BATCH: &str = "msgbatch_013Zva2CMHLNnXjNJJKqJ2EF";
const MESSAGE: &str = "msg_013Zva2CMHLNnXjNJJKqJ2EF";
const SIGNATURE: &str = "EqQBCkgIARABGAIiQL8/UoqGC+Ee/lUu==";

struct Home {
    dir: tempfile::TempDir,
    clock: ManualClock,
    pool: Arc<Pool>,
}

/// A daemon's life with the record: what it leaves behind is the next one's.
struct Life {
    owners: Owners,
    tasks: Tasks,
}

impl Home {
    fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap());
        let pool = Arc::new(Pool::new(crate::pool::Config::default(), clock.clock()));
        Self { dir: tempfile::tempdir().unwrap(), clock, pool }
    }

    fn auth_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("auth")
    }

    fn journal(&self) -> std::path::PathBuf {
        self.auth_dir().join(".owners.jsonl")
    }

    fn lines(&self) -> usize {
        fs::read_to_string(self.journal()).unwrap_or_default().lines().count()
    }

    async fn live(&self) -> Life {
        let store = Store::open(&self.auth_dir()).unwrap();
        let tasks = Tasks::new();
        Life {
            owners: Owners::load(store, Arc::clone(&self.pool), self.clock.clock(), tasks.clone()).await,
            tasks,
        }
    }

    /// An account that is in the pool.
    fn account(&self, key: &str) -> AccountId {
        let json = format!(r#"{{"type":"claude","api_key":"sk-ant-api03-FAKE{key}"}}"#);
        let document = Document::parse(json.as_bytes()).unwrap();
        let account = document.to_account(FileName::parse(&format!("claude-{key}.json")).unwrap()).unwrap();
        let id = account.id.clone();
        self.pool.publish(account);
        id
    }
}

impl Life {
    fn owner(&self, body: &str) -> Option<Owner> {
        self.owners.referred("/v1/messages", std::iter::once(body.as_bytes()), false).owner
    }

    fn knows(&self, id: &str) -> Option<AccountId> {
        self.owner(&format!("{{\"file_id\":\"{id}\",\"previous_message_id\":\"{id}\"}}"))
            .map(|owner| owner.account)
    }

    fn learn(&self, account: &AccountId, id: &str) {
        let every = Teaches::mentioning(Kind::ALL);
        Witness::new(&self.owners, account, every).observe(format!("{{\"id\":\"{id}\"}}").as_bytes());
    }

    async fn stop(self) {
        self.tasks.finish().await;
    }
}

#[tokio::test]
async fn what_was_learned_is_known_after_a_stop_and_the_file_is_private_and_tells_nothing() {
    let home = Home::new();
    let (a, b) = (home.account("a"), home.account("b"));
    let life = home.live().await;
    assert_eq!(life.knows(FILE), None);
    life.learn(&a, FILE);
    life.learn(&b, BATCH);
    assert_eq!(life.knows(FILE), Some(a.clone()));
    life.stop().await;
    assert_eq!(fs::metadata(home.journal()).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(home.journal()).unwrap();
    assert!(!text.contains("011CNha8") && !text.contains("013Zva2C"), "{text}");
    let life = home.live().await;
    assert_eq!((life.knows(FILE), life.knows(BATCH)), (Some(a), Some(b)));
}

#[tokio::test]
async fn a_torn_line_and_garbage_cost_nothing_but_themselves() {
    let home = Home::new();
    let (a, b) = (home.account("a"), home.account("b"));
    let life = home.live().await;
    life.learn(&a, FILE);
    life.stop().await;
    let mut file = fs::OpenOptions::new().append(true).open(home.journal()).unwrap();
    file.write_all(b"\0\0garbage\n{\"kind\":\"batch\",\"hash\":\"00").unwrap();
    let life = home.live().await;
    assert_eq!(home.lines(), 1, "it is written anew");
    life.learn(&b, BATCH);
    life.stop().await;
    let life = home.live().await;
    assert_eq!((life.knows(FILE), life.knows(BATCH)), (Some(a), Some(b)));
}

#[tokio::test]
async fn it_is_forgotten_after_its_time_and_a_use_begins_it_anew() {
    let home = Home::new();
    let a = home.account("a");
    let life = home.live().await;
    life.learn(&a, MESSAGE);
    for _ in 0..4 {
        home.clock.advance(SignedDuration::from_hours(5 * 24));
        assert_eq!(life.knows(MESSAGE), Some(a.clone()));
    }
    life.stop().await;
    let life = home.live().await;
    home.clock.advance(SignedDuration::from_hours(5 * 24));
    assert_eq!(life.knows(MESSAGE), Some(a));
    home.clock.advance(SignedDuration::from_hours(7 * 24));
    assert_eq!(life.knows(MESSAGE), None);
    life.stop().await;
    let _life = home.live().await;
    assert_eq!(home.lines(), 0);
}

#[tokio::test]
async fn it_is_written_anew_when_it_holds_too_much_that_is_old() {
    let home = Home::new();
    let a = home.account("a");
    let life = home.live().await;
    for n in 0..FEW + 10 {
        // Each use a day later is worth a line.
        home.clock.advance(SignedDuration::from_hours(24));
        life.learn(&a, MESSAGE);
        if n % 50 == 0 {
            while life.owners.lock().writing {
                tokio::task::yield_now().await;
            }
        }
    }
    life.stop().await;
    assert!(home.lines() <= 2 + FEW, "{}", home.lines());
    assert!(home.lines() > 0);
}

#[tokio::test]
async fn an_account_that_left_is_forgotten_unless_it_comes_back_soon() {
    let home = Home::new();
    let a = home.account("a");
    let life = home.live().await;
    life.learn(&a, FILE);
    life.stop().await;
    home.pool.remove(&a);
    home.clock.advance(SignedDuration::from_hours(24));
    let life = home.live().await;
    life.owners.save_all();
    assert_eq!(life.knows(FILE), Some(a.clone()), "it may be logged in again");
    home.clock.advance(SignedDuration::from_hours(8 * 24));
    life.owners.save_all();
    assert_eq!(life.knows(FILE), None);
    assert_eq!(home.lines(), 0);
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_costs_nothing_but_the_memory() {
    let home = Home::new();
    let (a, b) = (home.account("a"), home.account("b"));
    let life = home.live().await;
    // Nobody, root neither, writes a file where a directory stands.
    fs::create_dir(home.journal()).unwrap();
    fs::create_dir_all(home.auth_dir().join(".owners.next/x")).unwrap();
    life.learn(&a, FILE);
    life.learn(&b, BATCH);
    assert_eq!((life.knows(FILE), life.knows(BATCH)), (Some(a.clone()), Some(b.clone())));
    while life.owners.lock().writing {
        tokio::task::yield_now().await;
    }
    assert!(life.owners.lock().incomplete);
    // It can be written again: then all of it is, with the next thing that is learned.
    fs::remove_dir(home.journal()).unwrap();
    fs::remove_dir_all(home.auth_dir().join(".owners.next")).unwrap();
    life.learn(&a, MESSAGE);
    life.stop().await;
    let life = home.live().await;
    assert_eq!((life.knows(FILE), life.knows(BATCH)), (Some(a), Some(b)));
}

#[tokio::test]
async fn a_journal_that_others_may_read_is_not_believed_and_is_replaced() {
    let home = Home::new();
    let a = home.account("a");
    let life = home.live().await;
    life.learn(&a, FILE);
    life.stop().await;
    fs::set_permissions(home.journal(), fs::Permissions::from_mode(0o644)).unwrap();
    let life = home.live().await;
    assert_eq!(life.knows(FILE), None);
    life.learn(&a, BATCH);
    life.stop().await;
    assert_eq!(fs::metadata(home.journal()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.live().await.knows(BATCH), Some(a));
}

#[tokio::test]
async fn of_several_the_first_file_decides_then_the_thread_then_the_last_thought() {
    let home = Home::new();
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|key| home.account(key));
    let life = home.live().await;
    life.learn(&a, FILE);
    life.learn(&b, BATCH);
    life.learn(&c, MESSAGE);
    let sign = |account: &AccountId, n: usize| {
        let answer = format!("{{\"signature\":\"{SIGNATURE}{n}\"}}");
        Witness::new(&life.owners, account, Teaches::mentioning([Kind::Thought])).observe(answer.as_bytes());
    };
    sign(&a, 1);
    sign(&d, 2);
    let thoughts = format!(
        "[{{\"signature\":\"{SIGNATURE}1\"}},{{\"signature\":\"{SIGNATURE}2\"}},{{\"signature\":\"{SIGNATURE}3\"}}]"
    );
    let only = |account: &AccountId| Some(Owner { account: account.clone(), bond: Bond::Only });
    let preferred = |account: &AccountId| Some(Owner { account: account.clone(), bond: Bond::Preferred });
    assert_eq!(life.owner(&thoughts), preferred(&d));
    assert_eq!(life.owner(&format!("[{{\"previous_message_id\":\"{MESSAGE}\"}},{thoughts}]")), preferred(&c));
    assert_eq!(life.owner(&format!("[{thoughts},{{\"previous_message_id\":\"{MESSAGE}\"}}]")), preferred(&c));
    assert_eq!(
        life.owner(&format!("[{thoughts},{{\"file_id\":\"{FILE}\"}},{{\"id\":\"{BATCH}\"}}]")),
        only(&a)
    );
    let unknown = FILE.replace("011", "012");
    assert_eq!(
        life.owner(&format!("[{{\"file_id\":\"{unknown}\"}},\"{BATCH}\",{{\"file_id\":\"{FILE}\"}}]")),
        only(&b)
    );
    let in_path = life.owners.referred(
        &format!("/v1/files/{FILE}/content?after_id={BATCH}"),
        std::iter::empty(),
        false,
    );
    assert_eq!(in_path.owner, only(&a));
}

#[tokio::test]
async fn a_mention_takes_nothing_from_an_account_that_is_there() {
    let home = Home::new();
    let (a, b) = (home.account("a"), home.account("b"));
    let life = home.live().await;
    life.learn(&a, FILE);
    life.learn(&b, FILE);
    assert_eq!(life.knows(FILE), Some(a.clone()));
    Witness::new(&life.owners, &b, Teaches::listing(Kind::File))
        .observe(format!("{{\"id\":\"{FILE}\"}}").as_bytes());
    assert_eq!(life.knows(FILE), Some(b.clone()));
    home.pool.remove(&b);
    life.learn(&a, FILE);
    assert_eq!(life.knows(FILE), Some(a));
}

#[tokio::test]
async fn an_answer_teaches_only_what_it_may() {
    let home = Home::new();
    let a = home.account("a");
    let life = home.live().await;
    let answer = format!(
        "{{\"id\":\"{MESSAGE}\",\"text\":\"{FILE}\",\"x\":[\"{BATCH}\"],\"content\":\"{{\\\"id\\\":\\\"{FILE}\\\"}}\"}}"
    );
    Witness::new(&life.owners, &a, Teaches::mentioning([Kind::File, Kind::Batch])).observe(answer.as_bytes());
    assert_eq!(life.owners.lock().record.len(), 0);
}

#[tokio::test]
async fn what_makes_state_is_seen_while_nothing_is_known() {
    let home = Home::new();
    let life = home.live().await;
    let referred = |body: &str| {
        let names_state = peek(&Bytes::copy_from_slice(body.as_bytes()).into()).unwrap().names_state;
        life.owners.referred("/v1/messages", body.as_bytes().chunks(20), names_state)
    };
    let code = r#"{"model":"m","tools":[{"type":"code_execution_20250825","name":"code_execution"}]}"#;
    assert!(referred(code).runs_code && referred(r#"{"model":"m","container":null}"#).runs_code);
    assert!(
        referred(r#"{"model":"m","thread":{}}"#).threads
            && referred(r#"{"model":"m","diagnostics":{}}"#).threads
    );
    assert_eq!(referred(r#"{"model":"m","messages":[{"thread":1,"container":"x"}]}"#), Referred::default());
}
