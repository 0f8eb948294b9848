//! `proxyctl setup`: shows what would change in a program's own files, asks, keeps the files as they were and writes.

use std::path::Path;

use super::reach::{self, Making};
use super::{Agreed, Context, agreed, ask};
use crate::cli;
use crate::clients::home::Home;
use crate::clients::target::Target;
use crate::clients::{self, Client, Edit, Setup};
use crate::clock;
use crate::edit::file::Found;
use crate::edit::{Change, Unfit, diff};
use crate::error::Error;
use crate::exit::Exit;
use crate::json::{Document, EditedFile, SetUp};

/// One file, read, and what it would say.
struct Planned {
    found: Found,
    /// `None` where it says all of it already.
    text: Option<String>,
}

pub(super) async fn run(args: &cli::Setup, context: &mut Context<'_>) -> Result<Exit, Error> {
    let Some(client) = clients::named(&args.client) else {
        return Err(Error::Usage {
            what: format!("there is no program {}", args.client),
            hint: "`proxyctl env`".to_owned(),
        });
    };
    let making = if args.dry_run { Making::Nothing } else { Making::Keys };
    let target = reach::target(&args.reach, &args.models, making, context).await?;
    let mut done = SetUp {
        client: client.name,
        url: target.base.root(),
        dry_run: args.dry_run,
        files: vec![],
        snippet: None,
        notes: (client.then)(&target),
    };
    match client.setup {
        Setup::Snippet(snippet) => {
            done.snippet = Some(snippet(&target));
            told(client, &done, context)?;
        }
        Setup::Files(edits) => {
            // All of them are looked at before the first one is written.
            let home = Home::look()?;
            let planned: Vec<_> =
                edits(&home, &target).iter().map(|edit| plan(edit, &target)).collect::<Result<_, _>>()?;
            write(args, &target, &planned, &mut done, context)?;
        }
    }
    if context.output.is_json() {
        context.output.document(&Document::new(done))?;
        return Ok(Exit::Ok);
    }
    for note in &done.notes {
        context.output.talk(note);
    }
    Ok(Exit::Ok)
}

/// For a program without a file of its own.
fn told(client: &Client, done: &SetUp, context: &mut Context<'_>) -> Result<(), Error> {
    if context.output.is_json() {
        return Ok(());
    }
    let by = if client.commands.is_empty() { "in your code" } else { "where it is started" };
    context.output.talk(&format!("{} has no file of its own to edit. Write {by}:", client.title));
    context.output.data(done.snippet.as_deref().unwrap_or_default())
}

fn plan(edit: &Edit, target: &Target) -> Result<Planned, Error> {
    let found = Found::read(&edit.path).map_err(Error::File)?;
    let edited = edit.format.edit(found.text(), &edit.changes);
    let text = edited.map_err(|source| unedited(edit, source, target))?;
    if edit.secret && text.is_some() && found.is_open_to_others() {
        return Err(Error::Usage {
            what: format!(
                "a client key would stand in {}, which others than you may read",
                found.path().display()
            ),
            hint: format!(
                "`chmod 600 {}`, then repeat",
                clients::shell::quoted(&found.path().to_string_lossy())
            ),
        });
    }
    Ok(Planned { found, text })
}

/// A file that is left alone, with what a person can do instead.
fn unedited(edit: &Edit, source: Unfit, target: &Target) -> Error {
    let by_hand = match source {
        Unfit::Broken { .. } => "correct it and repeat".to_owned(),
        Unfit::Form { .. } | Unfit::Risky => {
            let wanted: Vec<_> = edit.changes.iter().filter_map(Change::wanted).collect();
            let words = format!("write into it by hand: {}", wanted.join("; "));
            // The person has the key, and no error shows it.
            if target.key.is_secret() { words.replace(target.key.expose(), "KEY") } else { words }
        }
    };
    Error::Unedited { path: edit.path.clone(), hint: by_hand, source }
}

fn write(
    args: &cli::Setup,
    target: &Target,
    planned: &[Planned],
    done: &mut SetUp,
    context: &mut Context<'_>,
) -> Result<(), Error> {
    let secret = target.key.is_secret().then(|| target.key.expose());
    for Planned { found, text } in planned {
        let path = found.path().to_string_lossy().into_owned();
        let diff = text.as_deref().map(|text| diff::unified(&path, found.text(), text, secret));
        if !context.output.is_json() {
            let same = || format!("{path} says all of it already: nothing to change.\n");
            context.output.data(&diff.clone().unwrap_or_else(same))?;
        }
        done.files.push(EditedFile {
            change: match text {
                None => "unchanged",
                Some(_) if found.is_new() => "created",
                Some(_) => "changed",
            },
            path,
            backup: None,
            diff: diff.map(|diff| anstream::adapter::strip_str(&diff).to_string()),
        });
    }
    let changed: Vec<String> =
        done.files.iter().filter(|file| file.diff.is_some()).map(|file| file.path.clone()).collect();
    if changed.is_empty() {
        // What was to be known then is known.
        done.notes.clear();
        return Ok(());
    }
    if args.dry_run {
        context.output.talk("Nothing was written: --dry-run.");
        return Ok(());
    }
    let names = changed.join(" and ");
    if agreed(args.yes, &format!("change {names}"), format!("proxyctl setup {} --yes", args.client))?
        == Agreed::ToBeAsked
    {
        ask(&format!("Write {names}?"), context.output)?;
    }
    for (Planned { found, text }, file) in planned.iter().zip(&mut done.files) {
        let Some(text) = text else { continue };
        let kept = found.replace(text, clock::now()).map_err(Error::File)?;
        file.backup = kept.as_deref().map(|kept| kept.to_string_lossy().into_owned());
        if !context.output.is_json() {
            context.output.data(&sentence(found.path(), kept.as_deref()))?;
        }
    }
    Ok(())
}

fn sentence(path: &Path, kept: Option<&Path>) -> String {
    match kept {
        Some(kept) => format!("Changed {}. As it was: {}\n", path.display(), kept.display()),
        None => format!("Made {}.\n", path.display()),
    }
}
