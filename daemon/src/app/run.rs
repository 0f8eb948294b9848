//! The daemon from its first request to its end.

use std::future::Future;

use nix::sys::resource::{Resource, getrlimit};
use tokio_util::sync::CancellationToken;

use super::App;
use super::reconfigure::Servers;
use crate::chain::ErrorChain;
use crate::control;
use crate::http::{METRICS_CONNECTIONS, Stop};
use crate::systemd::{self, Watchdog};
use crate::tasks::Tasks;

/// A part without which the daemon would be half dead has ended before its time; the log says which. What was in flight is
/// saved.
#[derive(Debug, thiserror::Error)]
#[error("a part of the daemon has ended, so it stopped")]
pub struct Broken;

impl App {
    /// Serves until `stop` resolves or a part of it breaks, drains, saves what is being refreshed, and leaves nothing
    /// running.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), Broken> {
        let Self {
            server,
            metrics_server,
            #[cfg(feature = "otlp")]
            exporter,
            socket,
            control,
            http,
            reloader,
            notices,
            keeper,
            stored,
            refresher,
            pool,
            clock,
            tasks,
            cut,
            configuration,
            asked,
            reconfigure,
        } = self;
        let addresses: Vec<_> = server.urls().collect();
        let usable = pool.snapshot().members.iter().filter(|member| member.is_usable(clock.now())).count();
        refresher.start();
        reloader.start();
        notices.start();
        keeper.start();
        stored.start();
        let serving_control = tasks.spawn_vital("control", async move {
            if let Err(error) = control::serve(socket, control).await {
                tracing::error!(error = %ErrorChain(&error), "the control plane ended");
            }
        });
        #[cfg(feature = "otlp")]
        let exporter = exporter.map(|exporter| exporter.start(&tasks));
        let stopping = CancellationToken::new();
        let apart = metrics_server.as_ref().map_or(0, |_| METRICS_CONNECTIONS);
        let metrics = metrics_server.map(|server| {
            let stop = Stop { stopping: stopping.clone(), cut: CancellationToken::new() };
            server.open(http.clone(), stop, descriptors())
        });
        let serving_metrics =
            metrics.clone().map(|metrics| tasks.spawn_vital("metrics server", metrics.serve()));
        let stop_http = Stop { stopping: stopping.clone(), cut };
        let serving = server.open(http, stop_http, descriptors().saturating_sub(apart));
        let serving_http = tasks.spawn_vital("http server", serving.clone().serve());
        tracing::info!(listen = addresses.join(" "), accounts.usable = usable, "proxyd is ready");
        if usable == 0 {
            tracing::warn!("no account is usable yet: log one in with `proxyctl login claude`");
        }
        reconfigure.announcer.start();
        // After it: a reload that was asked for meanwhile tells the service manager by itself that it is ready again.
        let servers = Servers { http: serving, metrics };
        tasks.spawn_vital("configuration", reconfigure.run(configuration, asked, servers));
        // Fed to the very end: what is saved at last may take its time.
        let watchdog = feed(Watchdog::of_process());

        let ended = tokio::select! {
            () = stop => Ok(()),
            () = tasks.broken() => Err(Broken),
        };
        tracing::info!("proxyd is stopping");
        // Before it is told, so that no part tells otherwise after it.
        tasks.stop();
        systemd::stopping();
        stopping.cancel();
        for serving in [serving_http, serving_control].into_iter().chain(serving_metrics) {
            // One that panicked has ended too, and was reported by the panic itself.
            let _ended = serving.await;
        }
        keeper.finish().await;
        #[cfg(feature = "otlp")]
        if let Some(exporter) = exporter {
            exporter.finish().await;
        }
        tasks.finish().await;
        watchdog.finish().await;
        ended
    }
}

/// How many files may be open at once.
fn descriptors() -> usize {
    // Every Linux has this limit; without it the smallest that is usual is assumed.
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(1024, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Tells the service manager that the runtime goes on, as long as it does: on one of the runtime's own threads, so that
/// nothing is told when all of them are stuck.
fn feed(watchdog: Option<Watchdog>) -> Tasks {
    let tasks = Tasks::new();
    let Some(watchdog) = watchdog else { return tasks };
    let own = tasks.clone();
    tasks.spawn(async move {
        while !own.is_stopping() {
            watchdog.feed();
            tokio::select! {
                () = tokio::time::sleep(watchdog.pause()) => {}
                () = own.stopping() => {}
            }
        }
    });
    tasks
}
