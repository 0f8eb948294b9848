//! The daemon as a person would run it: a file of configuration, accounts in files, everybody of its user trusted. Its log, a line a
//! request, goes to a file, since no systemd is here to take it, and to one without a name: beside its configuration each line would
//! wake who watches that.

use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Result;
use proxy_tests::daemon::{key_file, private_dir, put};

use super::Started;
use crate::files;
use crate::lab::{Lab, Upstream};
use crate::process::{Part, free_address};

pub(super) fn start(lab: &Lab, upstream: &Upstream, accounts: usize) -> Result<Started> {
    let home = tempfile::tempdir_in(lab.dir())?;
    let (auth, address) = (private_dir(home.path().join("auth")), free_address()?);
    for account in 0..accounts {
        let key = format!("sk-ant-api03-FAKE-bench-{account:05}");
        put(&auth, &format!("claude-{account:05}.json"), &key_file(&key));
    }
    let place = home.path().display();
    let (scheme, trusted) = match &upstream.certificate {
        Some(file) => ("https", format!("[upstream]\nca_file = \"{}\"\n", file.display())),
        None => ("http", String::new()),
    };
    let configuration = format!(
        "[http]\nlisten = [\"{address}\"]\n[control]\nsocket = \"{place}/control.sock\"\n[auth]\ndir = \"{place}/auth\"\n[claude]\napi_base_url = \"{scheme}://{}\"\n{trusted}",
        upstream.address
    );
    let file = home.path().join("config.toml");
    files::put(&file, configuration.as_bytes())?;
    let log = tempfile::tempfile_in(lab.dir())?;
    let mut proxyd = Command::new(&lab.proxyd);
    proxyd.env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
    proxyd.arg("--config").arg(&file).current_dir(home.path()).stdout(Stdio::null()).stderr(log);
    let since = Instant::now();
    let mut part = lab.cores.on(lab.cores.proxy, || Part::silent(proxyd))??;
    let took = part.ready(address, since)?;
    Ok(Started { part, address, took, home: Some(home) })
}
