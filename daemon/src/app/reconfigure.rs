//! Another configuration while the daemon runs: read, compared with the one in use, and handed part by part to the components
//! that take it. One with mistakes changes nothing, and a part that cannot have it stays as it was.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::announce::Announcer;
use crate::chain::ErrorChain;
use crate::claude::{Api, OAuthClient, TransportError};
use crate::config::diff::{self, Difference};
use crate::config::{AtReload, Config, Loaded, Mistakes, Part, Sources, Valued};
use crate::control::Addresses;
use crate::http::{ListenError, Reconfigured, Serving, StartError, TlsError};
use crate::pool::Pool;
use crate::proxy::Proxy;
use crate::refresh::Refresher;
use crate::reload::{
    Ask, Asked, Change, Configuration, ConfigurationWatch, Effect, InUse, Mistaken, Outcome,
};
use crate::stored::StoredResponses;
use crate::systemd;
use crate::tasks::Tasks;
use crate::telemetry;

/// Of a place that the daemon closed itself to.
const CLOSED: &str = "the daemon closed itself at its start to what it did not use then (sandbox.landlock)";

/// What a reload works on.
#[derive(Debug)]
pub(super) struct Reconfigure {
    pub(super) sources: Sources,
    /// As it is in use.
    pub(super) running: Vec<Valued>,
    pub(super) pool: Arc<Pool>,
    pub(super) proxy: Proxy,
    pub(super) stored: StoredResponses,
    pub(super) refresher: Refresher,
    pub(super) api: Api,
    pub(super) oauth: OAuthClient,
    pub(super) http_listen: Addresses,
    /// The daemon can open nothing but what it used at its start.
    pub(super) is_sandboxed: bool,
    /// Whether it watches its files from the start on.
    pub(super) watches: bool,
    /// Has the service manager's line once it is told that all is up again.
    pub(super) announcer: Announcer,
    pub(super) tasks: Tasks,
}

/// The servers that take another configuration.
pub(super) struct Servers {
    pub(super) http: Serving,
    /// Where metrics are served alone.
    pub(super) metrics: Option<Serving>,
}

/// Who wants a reload, and whether that is told where nothing changed.
enum Cause {
    Asked(Ask),
    Watched,
}

/// For whoever asks what is in use.
pub(super) fn in_use(running: &[Valued]) -> Vec<InUse> {
    let in_use = |valued: &Valued| InUse {
        key: valued.key.path,
        value: valued.shown.clone(),
        origin: valued.origin.to_string(),
        restart: match valued.key.at_reload() {
            AtReload::Applied(_) => None,
            AtReload::Restart(why) => Some(why),
        },
    };
    running.iter().map(in_use).collect()
}

impl Reconfigure {
    /// One reload after the other, until the daemon stops.
    pub(super) async fn run(mut self, configuration: Configuration, mut asked: Asked, servers: Servers) {
        let mut watch = self.watch(self.watches);
        loop {
            let cause = tokio::select! {
                ask = asked.next() => match ask {
                    Some(ask) => Cause::Asked(ask),
                    None => return,
                },
                () = changed(watch.as_mut()) => Cause::Watched,
                () = self.tasks.stopping() => return,
            };
            systemd::reloading();
            let (outcome, config) = self.reload(&servers).await;
            configuration.set_in_use(in_use(&self.running));
            report(&outcome, &cause);
            if let Some(config) = config {
                // After what is told of it: a level may hide that.
                set_level(&outcome, &config);
                if config.watch != watch.is_some() {
                    watch = self.watch(config.watch);
                }
            }
            // Who stops has said so, and is not ready any more.
            if !self.tasks.is_stopping() {
                systemd::ready(&self.announcer.line());
            }
            if let Cause::Asked(ask) = cause {
                ask.answer(outcome);
            }
        }
    }

    fn watch(&self, wanted: bool) -> Option<ConfigurationWatch> {
        let directories = self.sources.directories();
        wanted.then(|| ConfigurationWatch::new(directories.iter().map(AsRef::as_ref)))
    }

    /// What came of it, and the configuration that was read.
    async fn reload(&mut self, servers: &Servers) -> (Outcome, Option<Config>) {
        let sources = self.sources.clone();
        let read = self.tasks.spawn_blocking(move || sources.load()).await;
        let loaded = match read {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(Mistakes(mistakes))) => return (Err(Mistaken(mistakes)), None),
            Err(_) => {
                return (Err(Mistaken(vec!["the reading of it ended without a result".to_owned()])), None);
            }
        };
        let wanted = loaded.valued();
        let differences = diff::between(&self.running, &wanted);
        let effects = self.apply(&loaded, &differences, servers).await;
        let effect_of = |at_reload| match at_reload {
            AtReload::Applied(part) => effects.get(&part).cloned().unwrap_or(Effect::Applied),
            AtReload::Restart(why) => Effect::NeedsRestart(why.to_owned()),
        };
        self.running =
            diff::merged(&self.running, &wanted, |key| effect_of(key.at_reload()) == Effect::Applied);
        let change = |Difference { before, after, at_reload }: Difference| Change {
            key: after.key.path,
            before: before.shown,
            after: after.shown,
            origin: after.origin.to_string(),
            effect: effect_of(at_reload),
        };
        (Ok(differences.into_iter().map(change).collect()), Some(loaded.config))
    }

    /// Hands each part that has changes its configuration. What became of it, by part.
    async fn apply(
        &self,
        loaded: &Loaded,
        differences: &[Difference],
        servers: &Servers,
    ) -> BTreeMap<Part, Effect> {
        let config = &loaded.config;
        let mut effects = BTreeMap::new();
        for difference in differences {
            let AtReload::Applied(part) = difference.at_reload else { continue };
            if effects.contains_key(&part) {
                continue;
            }
            let effect = match part {
                Part::Http | Part::Listen => {
                    let Reconfigured { rules, listen } = servers.http.configure(config.http.clone()).await;
                    self.http_listen.set(servers.http.called());
                    let rules = match (rules, &servers.metrics) {
                        (Ok(()), Some(metrics)) => metrics.answer_to(&config.http.hosts).await,
                        (rules, _) => rules,
                    };
                    let listen = listen.map_or_else(
                        |error| self.refused(&error, Obstacle::of_listen(&error)),
                        |()| Effect::Applied,
                    );
                    let rules = rules.map_or_else(
                        |error| self.refused(&error, Obstacle::of_start(&error)),
                        |()| Effect::Applied,
                    );
                    effects.extend([(Part::Http, rules), (Part::Listen, listen)]);
                    continue;
                }
                Part::Pool => {
                    self.pool.configure(config.pool.clone());
                    Effect::Applied
                }
                Part::Requests => {
                    self.proxy.configure(config.proxy.clone());
                    Effect::Applied
                }
                Part::Responses => {
                    self.stored.configure(config.responses);
                    Effect::Applied
                }
                Part::Refresh => {
                    self.refresher.configure(config.refresh.clone());
                    Effect::Applied
                }
                Part::Upstream => self.limit_upstream(config).map_or_else(
                    |error| Effect::Failed(ErrorChain(&error).to_string()),
                    |()| Effect::Applied,
                ),
                // Both by whoever called, once it is told.
                Part::Log | Part::Watch => Effect::Applied,
            };
            effects.insert(part, effect);
        }
        effects
    }

    fn limit_upstream(&self, config: &Config) -> Result<(), TransportError> {
        let timeouts = config.claude.transport.timeouts;
        self.oauth.connect_within(timeouts.connect)?;
        self.api.configure(timeouts)
    }

    fn refused(&self, error: &(dyn std::error::Error + 'static), obstacle: Obstacle) -> Effect {
        let told = ErrorChain(error);
        match obstacle {
            Obstacle::Itself => Effect::NeedsRestart(told.to_string()),
            Obstacle::Rights if self.is_sandboxed => Effect::NeedsRestart(format!("{CLOSED}: {told}")),
            Obstacle::Rights | Obstacle::Other => Effect::Failed(told.to_string()),
        }
    }
}

/// What stands in the way of a change.
#[derive(Clone, Copy)]
enum Obstacle {
    /// What the daemon serves now, and does not with the next start.
    Itself,
    /// A place that it may not open, which may be the sandbox.
    Rights,
    Other,
}

impl Obstacle {
    fn of_listen(error: &ListenError) -> Self {
        if error.needs_start() {
            Self::Itself
        } else if error.is_forbidden() {
            Self::Rights
        } else {
            Self::Other
        }
    }

    fn of_start(error: &StartError) -> Self {
        match error {
            StartError::Tls(TlsError::Read { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::Rights
            }
            _ => Self::Other,
        }
    }
}

async fn changed(watch: Option<&mut ConfigurationWatch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// A level that a person set since stays, where the configured one is the same as before.
fn set_level(outcome: &Outcome, config: &Config) {
    let is_changed = |changes: &Vec<Change>| changes.iter().any(|change| change.key == "log.level");
    if outcome.as_ref().is_ok_and(is_changed) {
        telemetry::set_level(config.log_level.into());
    }
}

/// A line for each change and each mistake.
fn report(outcome: &Outcome, cause: &Cause) {
    match outcome {
        Ok(changes) if changes.is_empty() => match cause {
            Cause::Asked(_) => tracing::info!("the configuration was read anew: nothing changed"),
            Cause::Watched => tracing::debug!("the configuration was read anew: nothing changed"),
        },
        Ok(changes) => changes.iter().for_each(report_change),
        Err(Mistaken(mistakes)) => {
            for mistake in mistakes {
                tracing::error!(mistake, "the configuration has a mistake");
            }
            tracing::error!(
                mistakes = mistakes.len(),
                "the configuration is not valid: the one in use stays"
            );
        }
    }
}

fn report_change(change: &Change) {
    let Change { key, before, after, origin, effect } = change;
    match effect {
        Effect::Applied => tracing::info!(key, before, after, origin, "the configuration changed"),
        Effect::NeedsRestart(reason) => {
            tracing::warn!(
                key,
                before,
                after,
                origin,
                reason,
                "a change of the configuration needs a restart"
            );
        }
        Effect::Failed(reason) => {
            tracing::error!(
                key,
                before,
                after,
                origin,
                reason,
                "a change of the configuration cannot be had"
            );
        }
    }
}
