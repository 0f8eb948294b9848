//! The `Logins` service.

use proxy_proto::v1::{
    self, BeginLoginRequest, BeginLoginResponse, CancelLoginRequest, CancelLoginResponse,
    CompleteLoginRequest, CompleteLoginResponse, LoginRedirect,
};
use tonic::{Request, Response, Status};

use super::{State, convert, login_failure};
use crate::account::settings;
use crate::id::LoginId;
use crate::login::{Redirect, Wishes};
use crate::secret::{AuthorizationCode, LoginState};

/// Said to the person before every login.
const TERMS: &str = "proxyd is not made or endorsed by Anthropic. Its terms keep Free, Pro and Max logins for its own apps, may limit \
                     accounts without notice and do not allow sharing one; for other programs an API key is the supported way \
                     (proxyctl accounts add claude).";

#[tonic::async_trait]
impl v1::logins_server::Logins for State {
    async fn begin_login(
        &self,
        request: Request<BeginLoginRequest>,
    ) -> Result<Response<BeginLoginResponse>, Status> {
        let request = request.into_inner();
        let redirect = redirect(&request)?;
        let BeginLoginRequest { provider, label, priority, .. } = request;
        if provider != "claude" {
            return Err(Status::invalid_argument(format!(
                "there is no provider {provider:?}; the one there is is claude"
            )));
        }
        let wishes = wishes(&label, priority).map_err(Status::invalid_argument)?;
        let begun = self.logins.begin(redirect, wishes).map_err(|error| login_failure::status(&error))?;
        Ok(Response::new(BeginLoginResponse {
            login_id: begun.id.to_string(),
            authorize_url: begun.authorize_url.to_string(),
            state: begun.state.expose().to_owned(),
            redirect_uri: begun.redirect_uri,
            deadline: Some(convert::timestamp(begun.deadline)),
            terms_notice: TERMS.to_owned(),
        }))
    }

    async fn complete_login(
        &self,
        request: Request<CompleteLoginRequest>,
    ) -> Result<Response<CompleteLoginResponse>, Status> {
        let CompleteLoginRequest { login_id, code, state } = request.into_inner();
        let (id, code, state) =
            (LoginId::from_client(&login_id), AuthorizationCode::new(code), LoginState::new(state));
        let done =
            self.logins.complete(id, code, state).await.map_err(|error| login_failure::status(&error))?;
        let account = self.pool.get(&done.account.id).map(|member| self.describe(&member));
        let path = self.store.place_of(&done.account.file);
        Ok(Response::new(CompleteLoginResponse { account, path, replaced: done.replaced }))
    }

    async fn cancel_login(
        &self,
        request: Request<CancelLoginRequest>,
    ) -> Result<Response<CancelLoginResponse>, Status> {
        self.logins.cancel(&LoginId::from_client(&request.get_ref().login_id));
        Ok(Response::new(CancelLoginResponse {}))
    }
}

fn redirect(request: &BeginLoginRequest) -> Result<Redirect, Status> {
    // A word this daemon does not know is not guessed at: the browser would be sent somewhere unforeseen.
    match LoginRedirect::try_from(request.redirect) {
        Ok(LoginRedirect::Paste) => Ok(Redirect::Paste),
        Ok(LoginRedirect::Unspecified | LoginRedirect::Loopback) => {
            let port = u16::try_from(request.callback_port).ok().filter(|port| *port > 0);
            let port =
                port.ok_or_else(|| Status::invalid_argument("the callback port must be from 1 to 65535"))?;
            Ok(Redirect::Loopback(port))
        }
        Err(_) => Err(Status::invalid_argument("this daemon does not know the kind of redirect")),
    }
}

fn wishes(label: &str, priority: Option<i32>) -> Result<Wishes, String> {
    let bounds = settings::PRIORITIES;
    if priority.is_some_and(|priority| !bounds.contains(&priority.into())) {
        return Err(format!("the priority must be from {} to {}", bounds.start(), bounds.end()));
    }
    let label = settings::label(label).map_err(|problem| format!("the label {problem}"))?;
    Ok(Wishes { label, priority })
}
