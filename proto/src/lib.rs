//! The control API between `proxyd` and `proxyctl`, and where its socket is.
//!
//! Everything here is generated from `proto/proxy/control/v1` but [`socket`] and two `Debug` implementations
//! that keep secrets out of logs. No message carries a token in a reply.

use std::fmt;

pub mod socket;

/// Version 1 of the control API.
#[expect(clippy::pedantic, clippy::allow_attributes_without_reason, reason = "generated code")]
pub mod v1 {
    tonic::include_proto!("proxy.control.v1");
}

impl fmt::Debug for v1::AddApiKeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddApiKeyRequest").field("api_key", &"****").field("label", &self.label).finish()
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
