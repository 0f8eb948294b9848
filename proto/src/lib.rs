//! The control API between `proxyd` and `proxyctl`, and where its socket is.
//!
//! Everything here is generated from `proto/proxy/control/v1` but [`socket`], [`REVISION`] and the `Debug`
//! implementations that keep secrets out of logs. No reply carries a token, and only that of `CreateKey` a key: the one it made.

use std::fmt;

pub mod socket;

/// Version 1 of the control API.
#[expect(clippy::pedantic, clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("proxy.control.v1");
}

/// Counts the additions to version 1: a peer with a smaller number does not know the newest of them. Raised with
/// every release that adds a call, a field or a word.
pub const REVISION: u32 = 4;

/// The compiled descriptions of every service, for gRPC server reflection.
pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("descriptors");

impl fmt::Debug for v1::AddAccountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddAccountRequest").field("credential", &"****").finish_non_exhaustive()
    }
}

impl fmt::Debug for v1::add_account_request::Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(****)",
            Self::SetupToken(_) => "SetupToken(****)",
        })
    }
}

impl fmt::Debug for v1::CompleteLoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompleteLoginRequest")
            .field("login_id", &self.login_id)
            .field("code", &"****")
            .field("state", &"****")
            .finish()
    }
}

impl fmt::Debug for v1::CreateKeyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateKeyResponse")
            .field("key", &self.key)
            .field("secret", &"****")
            .field("http_listen", &self.http_listen)
            .finish()
    }
}
