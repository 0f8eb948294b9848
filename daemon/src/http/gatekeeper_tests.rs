//! What becomes of a request before and after its route, where no client can bring it about.

use axum::routing::get;
use http_body_util::BodyExt as _;

use super::*;
use crate::http::auth::Auth;
use crate::http::throttle::Source;
use crate::keys::Keys;
use crate::store::Store;

struct Fixture {
    _dir: tempfile::TempDir,
    gatekeeper: Gatekeeper,
    standing: Arc<Standing>,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("auth")).unwrap();
    let keys = Keys::load(store, Clock::system()).unwrap();
    let panics: fn() -> std::future::Ready<&'static str> = || panic!("as the test wants it");
    let gatekeeper = Gatekeeper {
        router: Router::new().route("/panics", get(panics)).route("/works", get(async || "works")),
        guard: Guard::default(),
        authenticator: Authenticator { auth: Auth::PeerOrKey, keys, throttle: Throttle::default() },
        admission: Arc::new(Admission::new(1, 1, 1024)),
        passthrough: false,
        clock: Clock::system(),
        metrics: Arc::new(Metrics::default()),
        tasks: Tasks::new(),
        told: Throttle::default(),
        refusals: Refusals::default(),
        cut: CancellationToken::new(),
        patience: Duration::from_secs(1),
        activity: Arc::new(crate::proxy::activity::Activity::new(Clock::system(), Arc::default())),
    };
    Fixture { _dir: dir, gatekeeper, standing: Arc::new(Standing::new()) }
}

impl Fixture {
    async fn ask(&self, path: &str) -> (u16, HeaderMap, String) {
        let request =
            Request::get(path).header("host", "localhost").header("anthropic-version", "2023-06-01");
        let origin = Origin { trusted: true, source: Source::Other };
        let visitor = Visitor { entrance: Entrance::Unix, origin };
        let mut places = Places::new(self.standing.busy());
        let request = request.body(Body::empty()).unwrap();
        let answer = self.gatekeeper.answer_or_panic(visitor, request, &mut places).await;
        let (head, body) = answer.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        (head.status.as_u16(), head.headers, text)
    }
}

#[tokio::test]
async fn a_panic_is_its_own_requests_error_and_gives_its_place_back() {
    let fixture = fixture();
    let (status, headers, text) = fixture.ask("/panics").await;
    assert_eq!(status, 500);
    assert!(headers.contains_key("x-proxyd-request-id"));
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["error"]["type"], "api_error");
    assert!(!text.contains("as the test wants it"), "{text}");
    // There is one place, and it is free.
    assert_eq!(fixture.ask("/works").await.0, 200);
}

#[tokio::test]
async fn who_waits_in_line_when_the_daemon_stops_is_told_so() {
    let fixture = fixture();
    let _taken = fixture.gatekeeper.admission.admit().await.unwrap();
    fixture.gatekeeper.tasks.stop();
    let (status, headers, text) = fixture.ask("/works").await;
    assert_eq!(status, 529, "{text}");
    assert!(text.contains("stopping") && headers.contains_key(RETRY_AFTER), "{text}");
}
