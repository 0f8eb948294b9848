//! Compiles the control API with protox, so that no machine needs protoc.

use std::path::{Path, PathBuf};

const FILES: &[&str] = &[
    "proxy/control/v1/accounts.proto",
    "proxy/control/v1/configuration.proto",
    "proxy/control/v1/diagnosis.proto",
    "proxy/control/v1/activity.proto",
    "proxy/control/v1/keys.proto",
    "proxy/control/v1/logins.proto",
    "proxy/control/v1/daemon.proto",
    "proxy/control/v1/logs.proto",
];

/// Messages that carry a secret: their `Debug` is written by hand in `src/lib.rs`.
const SECRET: [&str; 4] = [
    "proxy.control.v1.AddAccountRequest",
    "proxy.control.v1.AddAccountRequest.credential",
    "proxy.control.v1.CompleteLoginRequest",
    "proxy.control.v1.CreateKeyResponse",
];

#[expect(clippy::disallowed_methods, reason = "a build script is told where to write by the environment")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in FILES {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    let descriptors = protox::compile(FILES, [root])?;
    // For the reflection service.
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(out, prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure().skip_debug(SECRET).compile_fds(descriptors)?;
    Ok(())
}
