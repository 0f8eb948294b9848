//! Logins, token rotation, revocation and what a bearer token opens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use proxy_tests::fake_claude::{
    CLIENT_ID, DEFAULT_SCOPE, Decision, FakeClaude, OAUTH_BETA, Options, PASTE_REDIRECT_URI, Surprise,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::client::Client;

const VERIFIER: &str = "FAKE-verifier-FAKE-verifier-FAKE-verifier-FAKE";
const LOOPBACK: &str = "http://localhost:54545/callback";

fn authorize_url(base: &str, redirect_uri: &str) -> Url {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let fields = [
        ("code", "true"),
        ("client_id", CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", redirect_uri),
        ("scope", DEFAULT_SCOPE),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
        ("state", "the-state"),
    ];
    Url::parse_with_params(&format!("{base}/oauth/authorize"), fields).unwrap()
}

fn path_and_query(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap())
}

fn field(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned())
}

fn exchange(code: &str) -> Value {
    json!({
        "grant_type": "authorization_code", "code": code, "state": "the-state", "client_id": CLIENT_ID,
        "redirect_uri": LOOPBACK, "code_verifier": VERIFIER,
    })
}

async fn allowed_code(fake: &FakeClaude, client: &Client) -> String {
    let reply = client.get(&path_and_query(&authorize_url(&fake.url(), LOOPBACK)), &[]).await;
    assert_eq!(reply.status, StatusCode::FOUND);
    let back = Url::parse(reply.headers["location"].to_str().unwrap()).unwrap();
    assert!(back.as_str().starts_with("http://localhost:54545/callback?"), "{back}");
    assert_eq!(field(&back, "state").as_deref(), Some("the-state"));
    field(&back, "code").unwrap()
}

#[tokio::test]
async fn a_login_gives_tokens_that_open_the_profile() {
    let fake = FakeClaude::start().await;
    fake.sign_in_as("a@example.com", "One");
    let client = Client::of(&fake);
    let code = allowed_code(&fake, &client).await;
    let reply = client.post("/v1/oauth/token", &[], &exchange(&code)).await;
    assert_eq!(reply.status, StatusCode::OK);
    let tokens = reply.json();
    let account = fake.account("a@example.com").unwrap();
    let who = fake.identity(account);
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], json!(8 * 3600));
    assert_eq!(tokens["scope"], DEFAULT_SCOPE);
    assert_eq!(tokens["account"], json!({"uuid": who.account_uuid, "email_address": "a@example.com"}));
    assert_eq!(tokens["organization"], json!({"uuid": who.organization_uuid, "name": "One"}));
    assert!(tokens["access_token"].as_str().unwrap().starts_with("sk-ant-oat01-FAKE"));
    assert!(tokens["refresh_token"].as_str().unwrap().starts_with("sk-ant-ort01-FAKE"));
    assert_eq!(fake.current_refresh_token(account).as_deref(), tokens["refresh_token"].as_str());

    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let profile = client.get("/api/oauth/profile", &[("authorization", &bearer)]).await.json();
    assert_eq!(profile["account"]["email"], "a@example.com");
    assert_eq!(profile["organization"]["uuid"].as_str(), Some(who.organization_uuid.as_str()));
    let without_beta = client.get("/api/oauth/usage", &[("authorization", &bearer)]).await;
    assert_eq!(without_beta.status, StatusCode::UNAUTHORIZED);
    let usage =
        client.get("/api/oauth/usage", &[("authorization", &bearer), ("anthropic-beta", OAUTH_BETA)]).await;
    for window in ["five_hour", "seven_day", "seven_day_opus", "seven_day_sonnet"] {
        assert!(usage.json()[window]["resets_at"].is_string(), "{window}");
    }
}

#[tokio::test]
async fn a_code_is_good_for_one_exchange_with_the_right_verifier() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let code = allowed_code(&fake, &client).await;
    let mut wrong = exchange(&code);
    wrong["code_verifier"] = json!(VERIFIER.to_lowercase());
    let refused = client.post("/v1/oauth/token", &[], &wrong).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
    );

    assert_eq!(client.post("/v1/oauth/token", &[], &exchange(&code)).await.status, StatusCode::OK);
    let again = client.post("/v1/oauth/token", &[], &exchange(&code)).await;
    assert_eq!((again.status, &again.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    let account = fake.account("person@example.com").unwrap();
    assert_eq!(fake.current_refresh_token(account), None, "the login of a doubled code is revoked");
}

#[tokio::test]
async fn the_page_asks_and_its_buttons_decide() {
    let options = Options { decision: Decision::Ask, ..Options::default() };
    let fake = FakeClaude::serve(options).await.unwrap();
    let client = Client::of(&fake);
    let url = path_and_query(&authorize_url(&fake.url(), LOOPBACK));
    let page = client.get(&url, &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(
        html.contains(">Allow<") && html.contains(">Deny<") && html.contains("value=\"the-state\""),
        "{html}"
    );

    let denied = client.get(&format!("{url}&decision=deny"), &[]).await;
    let back = Url::parse(denied.headers["location"].to_str().unwrap()).unwrap();
    assert_eq!(field(&back, "error").as_deref(), Some("access_denied"));
    assert_eq!(field(&back, "state").as_deref(), Some("the-state"));
    let allowed = client.get(&format!("{url}&auto=allow"), &[]).await;
    assert!(allowed.headers["location"].to_str().unwrap().contains("?code=code-FAKE"));
}

#[tokio::test]
async fn the_paste_page_shows_code_and_state() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let url = authorize_url(&fake.url(), PASTE_REDIRECT_URI);
    let to = fake.browse(url.as_str(), Decision::Allow).unwrap();
    assert_eq!(to.origin(), Url::parse(&fake.url()).unwrap().origin(), "never the real page");
    let code = field(&to, "code").unwrap();
    let html = String::from_utf8(client.get(&path_and_query(&to), &[]).await.body.to_vec()).unwrap();
    assert!(html.contains(&format!("{code}#the-state")), "{html}");
}

#[tokio::test]
async fn a_wrong_authorize_request_is_refused_on_the_page_and_not_redirected() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let good = authorize_url(&fake.url(), LOOPBACK);
    for (name, bad) in [
        ("client_id", "another"),
        ("response_type", "token"),
        ("redirect_uri", "http://localhost:54545/elsewhere"),
        ("redirect_uri", "http://example.com:54545/callback"),
        ("redirect_uri", "https://localhost:54545/callback"),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
        ("state", ""),
    ] {
        let mut url = good.clone();
        let fields = good.query_pairs().map(|(k, v)| if k == name { (k, bad.into()) } else { (k, v) });
        url.query_pairs_mut().clear().extend_pairs(fields);
        let reply = client.get(&path_and_query(&url), &[]).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{name}={bad}");
        assert!(!reply.headers.contains_key("location"));
    }
}

#[tokio::test]
async fn a_spent_refresh_token_is_refused_and_takes_its_family_down() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let login = fake.issue_account("a@example.com");
    let rotated = client.refresh_login(&login).await.json();
    let (access, refresh) =
        (rotated["access_token"].as_str().unwrap(), rotated["refresh_token"].as_str().unwrap());
    assert_eq!(fake.current_refresh_token(login.account).as_deref(), Some(refresh));
    assert_eq!(fake.rotations(login.account), 1);
    assert_eq!(client.message_as(access).await.status, StatusCode::OK);

    let reuse = client.refresh_login(&login).await;
    assert_eq!((reuse.status, &reuse.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert_eq!(client.refresh(refresh).await.json()["error"], "invalid_grant");
    assert_eq!(client.message_as(access).await.status, StatusCode::UNAUTHORIZED);
    assert!(!fake.has_live_login(login.account));
    let account = Some(login.account.into());
    assert_eq!(fake.take_surprises(), [Surprise::RefreshTokenReused { account }]);
}

#[tokio::test]
async fn an_expired_access_token_is_refused_until_it_is_refreshed() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let login = fake.issue_account("a@example.com");
    assert_eq!(client.message_as(&login.access_token).await.status, StatusCode::OK);
    assert_eq!(fake.expire_access_tokens(), 1);
    let refused = client.message_as(&login.access_token).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.json()["error"]["type"], "authentication_error");
    let fresh = client.refresh_login(&login).await.json();
    assert_eq!(client.message_as(fresh["access_token"].as_str().unwrap()).await.status, StatusCode::OK);
    let callers: Vec<_> = fake.requests().into_iter().map(|r| r.caller).collect();
    assert_eq!(callers, vec![Some(login.account.into()); 4], "also the refused one and the refresh");
}

#[tokio::test]
async fn a_revoked_login_opens_nothing() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let login = fake.issue_account("a@example.com");
    let request =
        json!({"token": login.refresh_token, "token_type_hint": "refresh_token", "client_id": CLIENT_ID});
    assert_eq!(client.post("/v1/oauth/revoke", &[], &request).await.status, StatusCode::OK);
    assert_eq!(client.message_as(&login.access_token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(client.refresh_login(&login).await.json()["error"], "invalid_grant");
    assert_eq!(
        client.post("/v1/oauth/revoke", &[], &request).await.status,
        StatusCode::OK,
        "revoking twice is fine"
    );
}

#[tokio::test]
async fn a_form_encoded_token_call_is_refused_and_remembered() {
    let fake = FakeClaude::start().await;
    let client = Client::of(&fake);
    let login = fake.issue_account("a@example.com");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = super::client::refresh_request(&login.refresh_token);
    let reply = client.send(http::Method::POST, "/v1/oauth/token", &form, &body).await.unwrap();
    assert_eq!((reply.status, &reply.json()["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")));
    let surprises = fake.take_surprises();
    assert!(matches!(surprises.as_slice(), [Surprise::MalformedOauthCall { .. }]), "{surprises:?}");
    assert_eq!(fake.current_refresh_token(login.account), Some(login.refresh_token));
}

#[tokio::test]
async fn an_auth_file_holds_the_current_tokens() {
    let fake = FakeClaude::start().await;
    let login = fake.issue_account_in("a@example.com", "One");
    let file = login.auth_file();
    assert_eq!(file["type"], "claude");
    assert_eq!(file["refresh_token"].as_str(), fake.current_refresh_token(login.account).as_deref());
    assert_eq!(file["organization_name"], "One");
    let expired: jiff::Timestamp = file["expired"].as_str().unwrap().parse().unwrap();
    assert_eq!(expired, login.expires_at());
}
