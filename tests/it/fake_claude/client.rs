//! A plain HTTP client for the tests of the fake: it keeps connections and follows no redirect.

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use proxy_tests::fake_claude::{FakeClaude, Issued, OAUTH_BETA};
use serde_json::{Value, json};

pub(crate) struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    base: String,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Name and data of each event of a stream.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let text = std::str::from_utf8(&self.body).unwrap();
        let frames = text.split_terminator("\n\n");
        let event = |frame: &str| {
            let (name, data) = frame.split_once('\n').unwrap();
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (name.strip_prefix("event: ").unwrap().to_owned(), data)
        };
        frames.map(event).collect()
    }
}

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    pub(crate) fn of(fake: &FakeClaude) -> Self {
        let pool = Pool::builder(TokioExecutor::new()).build_http();
        Self { pool, base: fake.url() }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Result<Reply, Failed> {
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let response = self.pool.request(request.body(Full::new(body))?).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Reply { status, headers, body: response.into_body().collect().await?.to_bytes() })
    }

    pub(crate) async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, target, headers, &Value::Null).await.unwrap()
    }

    pub(crate) async fn post(&self, target: &str, headers: &[(&str, &str)], body: &Value) -> Reply {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send(Method::POST, target, &headers, body).await.unwrap()
    }

    /// `POST /v1/messages` with an API key.
    pub(crate) async fn message(&self, key: &str, body: &Value) -> Reply {
        self.post("/v1/messages", &[("x-api-key", key), VERSION], body).await
    }

    /// `POST /v1/messages` with an access token.
    pub(crate) async fn message_as(&self, access_token: &str) -> Reply {
        let bearer = format!("Bearer {access_token}");
        let headers = [("authorization", bearer.as_str()), ("anthropic-beta", OAUTH_BETA), VERSION];
        self.post("/v1/messages", &headers, &hello()).await
    }

    pub(crate) async fn refresh(&self, refresh_token: &str) -> Reply {
        self.post("/v1/oauth/token", &[], &refresh_request(refresh_token)).await
    }

    pub(crate) async fn refresh_login(&self, login: &Issued) -> Reply {
        self.refresh(&login.refresh_token).await
    }
}

pub(crate) const VERSION: (&str, &str) = ("anthropic-version", "2023-06-01");

pub(crate) fn refresh_request(refresh_token: &str) -> Value {
    json!({
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
        "client_id": proxy_tests::fake_claude::CLIENT_ID,
    })
}

pub(crate) fn hello() -> Value {
    json!({
        "model": "claude-haiku-4-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello, café!"}],
    })
}
