//! Logins between begin and end: in memory only, few, one-shot, and gone at their deadline.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{LoginError, Wishes};
use crate::claude::oauth::Grant;
use crate::clock::Timestamp;
use crate::id::LoginId;
use crate::secret::{CodeVerifier, LoginState};

/// A person logs in one account at a time; more than this is a program gone wrong.
const MOST: usize = 32;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) state: LoginState,
    pub(super) verifier: CodeVerifier,
    pub(super) redirect_uri: String,
    /// Set on the account once it is saved.
    pub(super) wishes: Wishes,
    pub(super) deadline: Timestamp,
    /// Tokens that were issued but could not be saved: the next completion saves these.
    pub(super) issued: Option<Grant>,
}

#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<LoginId, Session>>);

impl Sessions {
    pub(super) fn insert(&self, id: LoginId, session: Session, now: Timestamp) -> Result<(), LoginError> {
        let mut sessions = self.lock();
        // Issued tokens outlive the deadline: they are an account that only waits for disk space.
        sessions.retain(|_, session| session.deadline > now || session.issued.is_some());
        if sessions.len() >= MOST {
            return Err(LoginError::TooMany);
        }
        sessions.insert(id, session);
        Ok(())
    }

    /// Whether this answer may complete the login. A wrong state leaves it as it is: a stranger cannot end
    /// it.
    pub(super) fn check(&self, id: &LoginId, state: &LoginState, now: Timestamp) -> Result<(), LoginError> {
        let mut sessions = self.lock();
        let session = sessions.get(id).ok_or(LoginError::NotFound)?;
        if session.state != *state {
            return Err(LoginError::WrongState);
        }
        if session.deadline <= now && session.issued.is_none() {
            sessions.remove(id);
            return Err(LoginError::Expired);
        }
        Ok(())
    }

    /// Takes the login out: of two completions at once only one gets it.
    pub(super) fn take(&self, id: &LoginId) -> Option<Session> {
        self.lock().remove(id)
    }

    pub(super) fn put_back(&self, id: LoginId, session: Session) {
        self.lock().insert(id, session);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<LoginId, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn begun(sessions: &Sessions) -> LoginId {
        let id = LoginId::new();
        let session = Session {
            state: LoginState::new("right"),
            verifier: CodeVerifier::new("v"),
            redirect_uri: String::new(),
            wishes: Wishes::default(),
            deadline: at(300),
            issued: None,
        };
        sessions.insert(id.clone(), session, at(0)).unwrap();
        id
    }

    #[test]
    fn a_wrong_state_leaves_the_login_as_it_is() {
        let sessions = Sessions::default();
        let id = begun(&sessions);
        assert!(matches!(sessions.check(&id, &LoginState::new("wrong"), at(1)), Err(LoginError::WrongState)));
        assert!(sessions.check(&id, &LoginState::new("right"), at(1)).is_ok());
    }

    #[test]
    fn a_login_is_completed_once_and_not_after_its_deadline() {
        let sessions = Sessions::default();
        let id = begun(&sessions);
        assert!(matches!(sessions.check(&id, &LoginState::new("right"), at(300)), Err(LoginError::Expired)));
        assert!(sessions.take(&id).is_none());
        let id = begun(&sessions);
        assert!(sessions.take(&id).is_some() && sessions.take(&id).is_none());
    }

    #[test]
    fn waiting_logins_are_bounded_and_old_ones_make_room() {
        let sessions = Sessions::default();
        let ids: Vec<_> = (0..MOST).map(|_| begun(&sessions)).collect();
        let one_more = |now| {
            let session = sessions.take(&ids[0]).map(|session| Session { deadline: at(900), ..session });
            sessions.put_back(ids[0].clone(), session.unwrap());
            let extra = Session {
                state: LoginState::new("s"),
                verifier: CodeVerifier::new("v"),
                redirect_uri: String::new(),
                wishes: Wishes::default(),
                deadline: at(900),
                issued: None,
            };
            sessions.insert(LoginId::new(), extra, now)
        };
        assert!(matches!(one_more(at(1)), Err(LoginError::TooMany)));
        assert!(one_more(at(301)).is_ok());
    }
}
