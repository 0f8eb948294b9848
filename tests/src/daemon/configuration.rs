//! The configuration of a test's daemon, while it runs.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness: what fails here must fail the test at once"
)]

use std::fs;
use std::path::{Path, PathBuf};

use proxy_proto::v1::configuration_client::ConfigurationClient;
use proxy_proto::v1::{
    ConfigurationEffect, ConfigurationKey, GetConfigurationRequest, ReloadRequest, ReloadResponse,
};
use tonic::transport::Channel;

use super::{TestDaemon, channel};
use crate::wait::within;

/// Puts a file in the place of the one that was there, as editors do.
pub(super) fn write(home: &Path, text: &str) {
    put(&home.join("config/config.toml"), text);
}

fn put(path: &Path, text: &str) {
    let dir = path.parent().expect("a directory");
    fs::create_dir_all(dir).expect("a directory");
    let new = dir.join(".new");
    #[expect(clippy::disallowed_methods, reason = "renamed into place")]
    fs::write(&new, text).expect("the file is written");
    fs::rename(new, path).expect("the file is put in place");
}

impl TestDaemon {
    pub fn configuration_file(&self) -> PathBuf {
        self.home.path().join("config/config.toml")
    }

    /// Writes the configuration's file; nothing is told to the daemon.
    pub fn configure(&self, text: &str) {
        write(self.home.path(), text);
    }

    /// Writes a drop-in.
    pub fn drop_in(&self, name: &str, text: &str) {
        put(&self.home.path().join("config/config.d").join(name), text);
    }

    pub async fn configuration_client(&self) -> ConfigurationClient<Channel> {
        ConfigurationClient::new(channel(&self.control_socket).await)
    }

    /// `proxyctl reload`.
    pub async fn reload(&self) -> ReloadResponse {
        let mut client = self.configuration_client().await;
        within("a reload", client.reload(ReloadRequest {})).await.expect("it is answered").into_inner()
    }

    /// Has it run with this file; each change is to be in use then.
    pub async fn reconfigure(&self, text: &str) {
        self.configure(text);
        let ReloadResponse { changes, mistakes } = self.reload().await;
        let is_whole = changes.iter().all(|change| change.effect() == ConfigurationEffect::Applied);
        assert!(mistakes.is_empty() && !changes.is_empty() && is_whole, "{mistakes:?} {changes:?}");
    }

    /// Every key as it is in use.
    pub async fn configuration(&self) -> Vec<ConfigurationKey> {
        let mut client = self.configuration_client().await;
        let told = within("an answer", client.get_configuration(GetConfigurationRequest {})).await;
        told.expect("it is told").into_inner().keys
    }

    /// The value of a key as it is in use, as TOML.
    pub async fn configured(&self, key: &str) -> String {
        let keys = self.configuration().await;
        keys.into_iter().find(|known| known.key == key).expect("a key").value
    }
}
