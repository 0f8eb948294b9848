//! `proxyctl doctor`: looks at everything that could be wrong, here and in the daemon, and says with each finding which
//! command mends it.

mod configuration;
mod environment;
mod here;
mod http;

use anstyle::{AnsiColor, Style};
use proxy_proto::v1::GetStatusResponse;

use super::Context;
use crate::client::Client;
use crate::error::Error;
use crate::exit::Exit;
use crate::facts;
use crate::json::{Diagnosis, Document, Finding, Severity};
use crate::output;
use crate::spinner::while_it_lasts;
use crate::text;
use crate::version;

pub(super) async fn run(context: &mut Context<'_>) -> Result<Exit, Error> {
    let found = if context.remote.is_none() {
        while_it_lasts("looking at everything", context.output, findings(context)).await
    } else {
        // ssh may ask for a passphrase meanwhile.
        findings(context).await
    };
    let diagnosis = Diagnosis::new(found);
    let exit = verdict(diagnosis.worst);
    if context.output.is_json() {
        context.output.document(&Document::new(diagnosis))?;
    } else {
        context.output.data(&screen(&diagnosis, facts::columns(output::width())))?;
    }
    Ok(exit)
}

/// The worst finding decides.
fn verdict(worst: Severity) -> Exit {
    match worst {
        Severity::Unknown | Severity::Ok | Severity::Note => Exit::Ok,
        Severity::Warning => Exit::Warned,
        Severity::Problem => Exit::Unwell,
    }
}

async fn findings(context: &Context<'_>) -> Vec<Finding> {
    // What is on this machine says nothing about the daemon of another.
    let is_here = context.remote.is_none();
    let mut findings = if is_here { here::socket(&context.local_socket()) } else { Vec::new() };
    let status = match ask(context).await {
        Ok((status, told)) => {
            findings.extend(told);
            Some(status)
        }
        Err(error) => {
            findings.push(failed("daemon", &error));
            None
        }
    };
    if is_here && status.is_none() {
        findings.push(
            Finding::new(
                "configuration",
                Severity::Note,
                "a daemon does not start with mistakes in it; look whether there are any",
            )
            .mended_by("proxyd check-config"),
        );
    }
    if is_here {
        let listen = status.as_ref().map_or(&[][..], |status| &status.http_listen);
        findings.extend(match &status {
            Some(status) => http::ask(&status.http_listen).await,
            None => here::port_holder(),
        });
        findings.extend(here::machine(&context.local_socket()));
        findings.extend(environment::traps(&|name: &str| crate::place::variable(name), listen));
    }
    findings
}

/// What the daemon says of itself.
async fn ask(context: &Context<'_>) -> Result<(GetStatusResponse, Vec<Finding>), Error> {
    let client = context.connect().await?;
    let status = client.status().await?;
    let mut findings = vec![daemon(&status)];
    findings.extend(configured(&client, context.remote.is_none()).await);
    findings.extend(diagnosed(&client).await);
    Ok((status, findings))
}

fn daemon(status: &GetStatusResponse) -> Finding {
    match version::difference(&status.version, status.api_revision) {
        Some(difference) => Finding::new("versions", Severity::Warning, difference.what).mended_by(
            if status.api_revision < proxy_proto::REVISION {
                "systemctl restart proxyd # or --user; as it was started"
            } else {
                "proxyctl --version # and install the release of the daemon"
            },
        ),
        None => Finding::new(
            "versions",
            Severity::Ok,
            format!("proxyd {} and proxyctl are of one release", status.version),
        ),
    }
}

/// What is configured, and where this machine's files say something else by now.
async fn configured(client: &Client, is_here: bool) -> Vec<Finding> {
    let keys = match client.configuration().await {
        Ok(configuration) => configuration.keys,
        Err(error) => return vec![untold("configuration", &error)],
    };
    let mut findings = vec![configuration::set(&keys)];
    if is_here {
        findings.extend(configuration::files(&keys));
    }
    findings
}

async fn diagnosed(client: &Client) -> Vec<Finding> {
    match client.diagnose().await {
        Ok(found) => found.into_iter().map(Finding::from).collect(),
        Err(error) => vec![untold("daemon", &error)],
    }
}

/// What an older daemon cannot tell is no fault of its own: what to do stands with the versions.
fn untold(area: &str, error: &Error) -> Finding {
    match error {
        Error::Revision { .. } => {
            Finding::new(area, Severity::Note, "not looked at: this daemon does not tell it")
        }
        _ => failed(area, error),
    }
}

fn failed(area: &str, error: &Error) -> Finding {
    let found = match error.cause() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    Finding::new(area, Severity::Problem, found).mended_by(error.hint())
}

impl Finding {
    fn new(area: impl Into<String>, severity: Severity, found: impl Into<String>) -> Self {
        Self { area: area.into(), severity, found: found.into(), command: None }
    }

    fn mended_by(self, command: impl Into<String>) -> Self {
        Self { command: Some(command.into()), ..self }
    }
}

/// A finding a paragraph: how bad, about what, what, and the command below it.
fn screen(diagnosis: &Diagnosis, columns: usize) -> String {
    let mut lines = Vec::new();
    for finding in &diagnosis.findings {
        let (word, colour) = match finding.severity {
            Severity::Unknown => ("?", Style::new()),
            Severity::Ok => ("ok", AnsiColor::Green.on_default()),
            Severity::Note => ("note", AnsiColor::Cyan.on_default()),
            Severity::Warning => ("warning", AnsiColor::Yellow.on_default()),
            Severity::Problem => ("problem", AnsiColor::Red.on_default().bold()),
        };
        let words = format!("{}: {}", text::clean(&finding.area), text::clean(&finding.found));
        let words = facts::fold(&words, MARGIN, columns);
        lines.push(format!("{colour}{word:<MARGIN$}{colour:#}{words}\n"));
        if let Some(command) = &finding.command {
            let bold = Style::new().bold();
            lines.push(format!("{:MARGIN$}{bold}{}{bold:#}\n", "", text::clean(command)));
        }
    }
    lines.concat() + "\n" + &summary(diagnosis) + "\n"
}

/// Columns of the word and the space behind it.
const MARGIN: usize = 9;

fn summary(diagnosis: &Diagnosis) -> String {
    let number = |severity| {
        u32::try_from(diagnosis.findings.iter().filter(|finding| finding.severity == severity).count())
            .unwrap_or(u32::MAX)
    };
    match (number(Severity::Problem), number(Severity::Warning)) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!("It works; {} to look at.", text::count(warnings, "warning")),
        (problems, 0) => format!("{} to mend.", text::count(problems, "problem")),
        (problems, warnings) => {
            format!(
                "{} to mend and {} to look at.",
                text::count(problems, "problem"),
                text::count(warnings, "warning")
            )
        }
    }
}
