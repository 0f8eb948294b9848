//! From flags to changes of an account. What may be set to what is the daemon's to say.

use std::path::Path;

use clap::ValueEnum as _;
use proxy_proto::v1::{AccountChanges, ModelAlias, ModelAliases, ModelPatterns};
use secrecy::ExposeSecret as _;
use url::Url;

use crate::cli::{Field, Settings};
use crate::error::Error;
use crate::secret_file;

/// What the flags ask for: what is not named stays, what is unset is taken back.
pub(super) fn changes(settings: Settings, unset: &[Field]) -> Result<AccountChanges, Error> {
    let Settings {
        label,
        priority,
        weight,
        reserve,
        prefix,
        proxy_url,
        proxy_url_file,
        base_url,
        alias,
        exclude,
        note,
    } = settings;
    let proxy_url = match (proxy_url, proxy_url_file) {
        (Some(url), _) => Some(without_password(url)?),
        (None, Some(file)) => Some(read_proxy(&file)?),
        (None, None) => None,
    };
    let named = |(alias, model)| ModelAlias { alias, model };
    let aliases: Vec<ModelAlias> = alias.into_iter().map(named).collect();
    let mut changes = AccountChanges {
        label,
        priority,
        weight,
        prefix,
        proxy_url,
        model_aliases: (!aliases.is_empty()).then_some(ModelAliases { aliases }),
        excluded_models: (!exclude.is_empty()).then_some(ModelPatterns { patterns: exclude }),
        note,
        base_url,
        reserve_percent: reserve,
    };
    for field in unset {
        take_back(*field, &mut changes)?;
    }
    Ok(changes)
}

fn take_back(field: Field, changes: &mut AccountChanges) -> Result<(), Error> {
    let taken = match field {
        Field::Label => changes.label.replace(String::new()).is_some(),
        Field::Priority => changes.priority.replace(0).is_some(),
        Field::Weight => changes.weight.replace(1).is_some(),
        Field::Reserve => changes.reserve_percent.replace(0).is_some(),
        Field::Prefix => changes.prefix.replace(String::new()).is_some(),
        Field::ProxyUrl => changes.proxy_url.replace(String::new()).is_some(),
        Field::BaseUrl => changes.base_url.replace(String::new()).is_some(),
        Field::Alias => changes.model_aliases.replace(ModelAliases::default()).is_some(),
        Field::Exclude => changes.excluded_models.replace(ModelPatterns::default()).is_some(),
        Field::Note => changes.note.replace(String::new()).is_some(),
    };
    if taken {
        let name = field.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        return Err(Error::Usage {
            what: format!("{name} is set, or unset twice, in one command"),
            hint: "name each setting once".to_owned(),
        });
    }
    Ok(())
}

/// Every user of the machine can read the command lines of the others.
fn without_password(url: String) -> Result<String, Error> {
    if Url::parse(&url).is_ok_and(|url| url.password().is_some()) {
        return Err(Error::Usage {
            what:
                "the proxy's URL holds a password, which every user of this machine can see in a command line"
                    .to_owned(),
            hint: "put the URL into a private file and give --proxy-url-file FILE".to_owned(),
        });
    }
    Ok(url)
}

fn read_proxy(file: &Path) -> Result<String, Error> {
    let line = secret_file::read_line(file, "the proxy's URL", "--proxy-url-file")?;
    Ok(line.expose_secret().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unset_is_sent_empty_and_what_is_not_named_stays_away() {
        let all = [
            Field::Label,
            Field::Priority,
            Field::Weight,
            Field::Reserve,
            Field::Prefix,
            Field::ProxyUrl,
            Field::BaseUrl,
            Field::Alias,
            Field::Exclude,
            Field::Note,
        ];
        let changes = changes(Settings::default(), &all).unwrap();
        assert_eq!(
            (changes.label.as_deref(), changes.priority, changes.weight),
            (Some(""), Some(0), Some(1))
        );
        assert_eq!(changes.model_aliases, Some(ModelAliases::default()));
        assert_eq!(super::changes(Settings::default(), &[]).unwrap(), AccountChanges::default());
    }

    #[test]
    fn a_setting_is_named_once() {
        let settings = Settings { note: Some("x".to_owned()), ..Settings::default() };
        assert!(changes(settings, &[Field::Note]).is_err());
        assert!(changes(Settings::default(), &[Field::Note, Field::Note]).is_err());
    }

    #[test]
    fn a_password_does_not_stand_in_a_command_line() {
        let with = |url: &str| Settings { proxy_url: Some(url.to_owned()), ..Settings::default() };
        let refused = changes(with("http://me:FAKE-pw@p.example:1"), &[]).unwrap_err();
        assert!(!format!("{refused} {}", refused.hint()).contains("FAKE-pw"));
        assert!(changes(with("http://p.example:1"), &[]).is_ok());
    }
}
