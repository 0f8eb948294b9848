//! The `Configuration` service.

use proxy_proto::v1::{
    self, ConfigurationChange, ConfigurationEffect, ConfigurationKey, GetConfigurationRequest,
    GetConfigurationResponse, ReloadRequest, ReloadResponse,
};
use tonic::{Request, Response, Status};

use super::State;
use crate::reload::{Change, Effect, InUse, Mistaken, Stopping};

#[tonic::async_trait]
impl v1::configuration_server::Configuration for State {
    async fn get_configuration(
        &self,
        _: Request<GetConfigurationRequest>,
    ) -> Result<Response<GetConfigurationResponse>, Status> {
        let keys = self.configuration.in_use().iter().map(key).collect();
        Ok(Response::new(GetConfigurationResponse { keys }))
    }

    async fn reload(&self, _: Request<ReloadRequest>) -> Result<Response<ReloadResponse>, Status> {
        let stopping = |stopping: Stopping| Status::unavailable(stopping.to_string());
        let outcome = self.configuration.reload().await.map_err(stopping)?;
        Ok(Response::new(match outcome {
            Ok(changes) => {
                let changes = changes.into_iter().map(change).collect();
                ReloadResponse { changes, mistakes: Vec::new() }
            }
            Err(Mistaken(mistakes)) => ReloadResponse { changes: Vec::new(), mistakes },
        }))
    }
}

fn key(key: &InUse) -> ConfigurationKey {
    ConfigurationKey {
        key: key.key.to_owned(),
        value: key.value.clone(),
        origin: key.origin.clone(),
        reloads: key.restart.is_none(),
        restart_reason: key.restart.unwrap_or_default().to_owned(),
    }
}

fn change(change: Change) -> ConfigurationChange {
    let Change { key, before, after, origin, effect } = change;
    let (effect, reason) = match effect {
        Effect::Applied => (ConfigurationEffect::Applied, String::new()),
        Effect::NeedsRestart(reason) => (ConfigurationEffect::NeedsRestart, reason),
        Effect::Failed(reason) => (ConfigurationEffect::Failed, reason),
    };
    ConfigurationChange { key: key.to_owned(), before, after, origin, effect: effect.into(), reason }
}
