//! The program `proxyctl`: hands its arguments to the library and its answer to the system.

use std::process::ExitCode;

fn main() -> ExitCode {
    proxyctl::run(std::env::args_os()).into()
}
