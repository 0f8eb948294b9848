//! Who may do what on the control socket, by what the kernel says of the peer, whatever the socket's mode:
//! root and the daemon's own user everything, members of the configured group what it is given, nobody else
//! anything.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use nix::unistd::{Uid, geteuid};
use tonic::Status;
use tower::{Layer, Service};

use super::connection::Caller;
use super::group::{Group, GroupRights};
use crate::tasks::Tasks;

/// What a call needs, and what a caller has. Each includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Right {
    /// To look.
    Read,
    /// To change accounts, and to hand out access to them: a new key is good for whoever gets it, so that one who may only
    /// look may make none.
    Change,
    /// To name files that the daemon reads and writes with its own identity.
    Files,
}

/// What each call needs. One that is not here changes something.
const CALLS: &[(&str, Right)] = &[
    ("/proxy.control.v1.Accounts/ListAccounts", Right::Read),
    ("/proxy.control.v1.Accounts/GetAccount", Right::Read),
    ("/proxy.control.v1.Accounts/WatchAccounts", Right::Read),
    ("/proxy.control.v1.Keys/ListKeys", Right::Read),
    ("/proxy.control.v1.Keys/GetKey", Right::Read),
    ("/proxy.control.v1.Configuration/GetConfiguration", Right::Read),
    ("/proxy.control.v1.Daemon/GetStatus", Right::Read),
    ("/proxy.control.v1.Daemon/WatchEvents", Right::Read),
    ("/proxy.control.v1.Daemon/ExplainRequest", Right::Read),
    ("/proxy.control.v1.Diagnosis/Diagnose", Right::Read),
    ("/proxy.control.v1.Logs/GetLogLevel", Right::Read),
    // Both tell who asked for what and when, of everybody, which no other call tells without the request's id.
    ("/proxy.control.v1.Activity/WatchActivity", Right::Change),
    ("/proxy.control.v1.Logs/WatchLogs", Right::Change),
    ("/grpc.health.v1.Health/Check", Right::Read),
    ("/grpc.health.v1.Health/Watch", Right::Read),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Right::Read),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Right::Read),
    ("/proxy.control.v1.Accounts/ImportAccounts", Right::Files),
    ("/proxy.control.v1.Accounts/ExportAccount", Right::Files),
];

fn needed(path: &str) -> Right {
    CALLS.iter().find(|(call, _)| *call == path).map_or(Right::Change, |(_, right)| *right)
}

/// The layer that asks before each call, also before one that streams.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    own: Uid,
    group: Option<Arc<Group>>,
    tasks: Tasks,
}

impl Rights {
    pub(super) fn of_this_process(group: Option<Group>, tasks: Tasks) -> Self {
        Self { own: geteuid(), group: group.map(Arc::new), tasks }
    }

    /// Whether this caller may make this call; else why not.
    async fn check(&self, caller: Option<Caller>, path: &str) -> Result<(), Status> {
        let needed = needed(path);
        let identity = caller.as_ref().and_then(|caller| caller.identity);
        let granted = match caller {
            Some(caller) => self.granted(&caller).await,
            None => None,
        };
        if granted.is_some_and(|granted| granted >= needed) {
            return Ok(());
        }
        tracing::warn!(peer.uid = identity.map(|(uid, _)| uid.as_raw()), call = path, "control call refused");
        Err(Status::permission_denied(self.refusal(needed)))
    }

    async fn granted(&self, caller: &Caller) -> Option<Right> {
        let (uid, gid) = caller.identity?;
        if uid == self.own || uid.is_root() {
            return Some(Right::Files);
        }
        let group = self.group.as_ref()?;
        let member = caller.member.get_or_init(|| async {
            let group = Arc::clone(group);
            // A lookup that panicked has proved nothing.
            self.tasks.spawn_blocking(move || group.group.has(uid, Some(gid))).await.unwrap_or(false)
        });
        member.await.then_some(match group.rights {
            GroupRights::Read => Right::Read,
            GroupRights::All => Right::Change,
        })
    }

    /// Who may, said to one who may not.
    fn refusal(&self, needed: Right) -> String {
        let group = self.group.as_ref().filter(|group| match group.rights {
            GroupRights::Read => needed == Right::Read,
            GroupRights::All => needed < Right::Files,
        });
        let what = match needed {
            Right::Read => "look at it",
            Right::Change => "change it",
            Right::Files => "have it read or write files",
        };
        match group {
            Some(group) => format!(
                "only root, the user that proxyd runs as and members of the group {} may {what}",
                group.group.name
            ),
            None => format!("only root and the user that proxyd runs as may {what}"),
        }
    }
}

impl<S> Layer<S> for Rights {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { rights: self.clone(), inner }
    }
}

/// The services behind the layer.
#[derive(Clone, Debug)]
pub(super) struct Guarded<S> {
    rights: Rights,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone has not been polled ready, so it stays here and the ready one goes.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let rights = self.rights.clone();
        Box::pin(async move {
            let caller = request.extensions().get::<Caller>().cloned();
            match rights.check(caller, request.uri().path()).await {
                Ok(()) => inner.call(request).await,
                Err(status) => Ok(status.into_http()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use nix::unistd::Gid;
    use prost::Message as _;

    use super::*;

    /// The calls that change something. A new one is to be put here or into the table above.
    const CHANGES: &[&str] = &[
        "/proxy.control.v1.Accounts/AddAccount",
        "/proxy.control.v1.Accounts/UpdateAccount",
        "/proxy.control.v1.Accounts/DisableAccount",
        "/proxy.control.v1.Accounts/EnableAccount",
        "/proxy.control.v1.Accounts/RefreshAccount",
        "/proxy.control.v1.Accounts/RevokeAccount",
        "/proxy.control.v1.Accounts/RemoveAccount",
        "/proxy.control.v1.Configuration/Reload",
        "/proxy.control.v1.Keys/CreateKey",
        "/proxy.control.v1.Keys/RevokeKey",
        "/proxy.control.v1.Logins/BeginLogin",
        "/proxy.control.v1.Logins/CompleteLogin",
        "/proxy.control.v1.Logins/CancelLogin",
        "/proxy.control.v1.Daemon/SetStrategy",
        "/proxy.control.v1.Logs/SetLogLevel",
    ];

    #[test]
    fn every_call_of_the_contract_was_given_a_right() {
        let descriptors = prost_types::FileDescriptorSet::decode(proxy_proto::DESCRIPTORS).unwrap();
        let mut offered = BTreeSet::new();
        for file in &descriptors.file {
            for service in &file.service {
                for method in &service.method {
                    offered.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        let ours = CALLS.iter().map(|(call, _)| *call).filter(|call| call.starts_with("/proxy."));
        let decided: BTreeSet<String> = ours.chain(CHANGES.iter().copied()).map(str::to_owned).collect();
        assert_eq!(offered, decided);
        assert!(CHANGES.iter().all(|call| needed(call) == Right::Change));
    }

    fn rights(group: Option<GroupRights>) -> Rights {
        let operators = || crate::users::Group { name: "operators".to_owned(), gid: Gid::from_raw(50) };
        let group = group.map(|rights| Arc::new(Group { group: operators(), rights }));
        Rights { own: Uid::from_raw(1000), group, tasks: Tasks::new() }
    }

    fn caller(uid: u32, gid: u32) -> Caller {
        let identity = Some((Uid::from_raw(uid), Gid::from_raw(gid)));
        Caller { identity, member: Arc::default() }
    }

    const LOOK: &str = "/proxy.control.v1.Accounts/ListAccounts";
    const CHANGE: &str = "/proxy.control.v1.Accounts/RevokeAccount";
    const FILES: &str = "/proxy.control.v1.Accounts/ExportAccount";
    /// No user has this number.
    const OTHER: u32 = 4_000_000_000;

    #[tokio::test]
    async fn each_caller_may_do_what_it_is_given_and_nothing_more() {
        use GroupRights::{All, Read};
        for (group, uid, gid, may) in [
            (None, 0, 0, [true, true, true]),
            (None, 1000, 1000, [true, true, true]),
            (None, OTHER, 50, [false, false, false]),
            (Some(Read), 1000, 1000, [true, true, true]),
            (Some(Read), OTHER, 50, [true, false, false]),
            (Some(Read), OTHER, 51, [false, false, false]),
            (Some(All), OTHER, 50, [true, true, false]),
            (Some(All), OTHER, 51, [false, false, false]),
        ] {
            for (call, may) in [LOOK, CHANGE, FILES].into_iter().zip(may) {
                let answer = rights(group).check(Some(caller(uid, gid)), call).await;
                assert_eq!(answer.is_ok(), may, "{group:?} {uid} {gid} {call}");
            }
        }
    }

    #[tokio::test]
    async fn a_refusal_names_those_who_may() {
        for (group, call, named) in [
            (None, LOOK, false),
            (Some(GroupRights::Read), LOOK, true),
            (Some(GroupRights::Read), CHANGE, false),
            (Some(GroupRights::All), CHANGE, true),
            (Some(GroupRights::All), FILES, false),
        ] {
            let refused = rights(group).check(Some(caller(OTHER, 51)), call).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::PermissionDenied);
            assert!(refused.message().starts_with("only root"), "{}", refused.message());
            assert_eq!(refused.message().contains("operators"), named, "{}", refused.message());
        }
    }

    #[tokio::test]
    async fn a_caller_the_kernel_does_not_tell_of_is_refused() {
        let unknown = Caller { identity: None, member: Arc::default() };
        for caller in [None, Some(unknown)] {
            assert!(rights(Some(GroupRights::All)).check(caller, LOOK).await.is_err());
        }
    }
}
