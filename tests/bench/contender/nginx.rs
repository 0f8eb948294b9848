//! nginx as a proxy: one worker, kept connections upstream, nothing held back. Left out where it is not installed.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::Started;
use crate::files;
use crate::lab::{Lab, Upstream};
use crate::process::{Part, free_address};

fn command() -> Command {
    let mut command = Command::new("nginx");
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

pub(crate) fn is_there() -> bool {
    let asked = command().arg("-v").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

pub(super) fn start(lab: &Lab, upstream: &Upstream) -> Result<Started> {
    let home = tempfile::tempdir_in(lab.dir())?;
    let place = home.path().to_str().context("a name in UTF-8")?;
    let address = free_address()?;
    let scheme = if upstream.certificate.is_some() { "https" } else { "http" };
    let configuration = format!(
        "daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {place}/pid;
error_log {place}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {place}/body;
    proxy_temp_path {place}/proxy;
    fastcgi_temp_path {place}/fastcgi;
    uwsgi_temp_path {place}/uwsgi;
    scgi_temp_path {place}/scgi;
    client_max_body_size 64m;
    client_body_buffer_size 16m;
    keepalive_requests 1000000000;
    upstream answers {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; }}
    server {{
        listen {address} backlog=4096;
        location / {{
            proxy_pass {scheme}://answers;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
            proxy_read_timeout 600s;
        }}
    }}
}}
",
        upstream = upstream.address,
    );
    let file = home.path().join("nginx.conf");
    files::put(&file, configuration.as_bytes())?;
    let log = File::create(home.path().join("stderr"))?;
    let mut nginx = command();
    nginx.arg("-p").arg(home.path()).arg("-c").arg(&file);
    nginx.arg("-e").arg(home.path().join("error.log")).stdout(Stdio::null()).stderr(log);
    let since = Instant::now();
    let mut part = lab.cores.on(lab.cores.proxy, || Part::silent(nginx))??;
    let took = part.ready(address, since)?;
    Ok(Started { part, address, took, home: Some(home) })
}
