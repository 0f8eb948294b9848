//! Compiles the control API with protox, so that no machine needs protoc.

use std::path::Path;

const FILES: [&str; 3] =
    ["proxy/control/v1/accounts.proto", "proxy/control/v1/logins.proto", "proxy/control/v1/daemon.proto"];

/// Messages that carry a secret: their `Debug` is written by hand in `src/lib.rs`.
const SECRET: [&str; 2] = ["proxy.control.v1.AddApiKeyRequest", "proxy.control.v1.CompleteLoginRequest"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in FILES {
        println!("cargo:rerun-if-changed={}", root.join(file).display());
    }
    let descriptors = protox::compile(FILES, [root])?;
    tonic_prost_build::configure().skip_debug(SECRET).compile_fds(descriptors)?;
    Ok(())
}
