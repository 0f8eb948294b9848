//! The secrets of a document, and the form in which they stand in its file. Pure: what seals and opens them is handed in.

use serde_json::Value;
use zeroize::Zeroize as _;

use super::{Document, Identity};
use crate::seal;

/// The `type` of an account's file.
pub(super) const PLAIN: &str = "claude";
/// Of one whose secrets are sealed.
pub(super) const SEALED: &str = "claude-sealed";

/// The fields that hold secrets.
const SECRETS: [&str; 3] = ["access_token", "api_key", "refresh_token"];

/// How a document's secrets stand in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Plain,
    Sealed,
}

impl Document {
    /// Every secret of it with its field's name; one that is empty is none.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let text = |field| Some((field, self.0.get(field)?.as_str().filter(|text| !text.is_empty())?));
        SECRETS.into_iter().filter_map(text)
    }

    /// The document with what `change` makes of each of its secrets. The order of the fields stays.
    pub fn with_secrets<E>(
        &self,
        form: Form,
        mut change: impl FnMut(&'static str, &str) -> Result<String, E>,
    ) -> Result<Self, E> {
        let mut changed = self.clone();
        for (field, secret) in self.secrets() {
            if let Some(Value::String(mut old)) =
                changed.0.insert(field.to_owned(), change(field, secret)?.into())
            {
                old.zeroize();
            }
        }
        match (form, self.0.get("type").and_then(Value::as_str)) {
            (Form::Sealed, _) => changed.set("type", Some(SEALED.into())),
            (Form::Plain, Some(SEALED)) => changed.set("type", Some(PLAIN.into())),
            (Form::Plain, _) => {}
        }
        Ok(changed)
    }

    /// Whose its secrets are: what they are sealed for. The same that makes the account's id where the secret itself does not.
    pub fn owner(&self) -> Vec<String> {
        let Identity { email, account_uuid, organization_uuid, .. } = self.identity().unwrap_or_default();
        match (account_uuid, email) {
            (Some(account), _) => vec!["oauth".to_owned(), account, organization_uuid.unwrap_or_default()],
            (None, Some(email)) => vec!["email".to_owned(), email.to_ascii_lowercase()],
            (None, None) => Vec::new(),
        }
    }

    /// Whether it is one of ours with a secret that is sealed, by its type or by its text.
    pub fn is_sealed(&self) -> bool {
        self.0.get("type").and_then(Value::as_str) == Some(SEALED)
            || self.secrets().any(|(_, text)| seal::is_sealed(text))
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        for field in SECRETS {
            if let Some(Value::String(secret)) = self.0.get_mut(field) {
                secret.zeroize();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Account, DocumentError, FileName};

    fn account(json: &str) -> Result<Account, DocumentError> {
        Document::parse(json.as_bytes())?.to_account(FileName::parse("claude-x.json").unwrap())
    }

    fn sealed(json: &str) -> Document {
        let document = Document::parse(json.as_bytes()).unwrap();
        document.with_secrets(Form::Sealed, |field, _| Ok::<_, ()>(format!("proxyd-sealed:{field}"))).unwrap()
    }

    #[test]
    fn only_secrets_are_sealed_and_no_order_changes() {
        let plain = r#"{"note":"mine","refresh_token":"r","x":1.0,"type":"claude","access_token":"a","api_key":"","z":{"api_key":"?"}}"#;
        let sealed = sealed(plain);
        let text = String::from_utf8(sealed.to_bytes()).unwrap();
        let expected = "{\n  \"note\": \"mine\",\n  \"refresh_token\": \"proxyd-sealed:refresh_token\",\n  \"x\": 1.0,\n  \
                        \"type\": \"claude-sealed\",\n  \"access_token\": \"proxyd-sealed:access_token\",\n  \"api_key\": \"\",\n  \
                        \"z\": {\n    \"api_key\": \"?\"\n  }\n}\n";
        assert_eq!(text, expected);
        let back = sealed.with_secrets(Form::Plain, |field, _| Ok::<_, ()>(field[..1].to_owned())).unwrap();
        assert_eq!(back, Document::parse(plain.as_bytes()).unwrap());
    }

    #[test]
    fn a_sealed_text_is_never_taken_for_a_token_or_key() {
        let file = || FileName::parse("claude-x.json").unwrap();
        for json in
            [r#"{"access_token":"a"}"#, r#"{"api_key":"k"}"#, r#"{"type":"claude","access_token":"a"}"#]
        {
            assert_eq!(sealed(json).to_account(file()).unwrap_err(), DocumentError::Sealed, "{json}");
        }
        // Whatever somebody made of the type.
        let json = r#"{"type":"claude","access_token":"a","refresh_token":"proxyd-sealed:v1:00000000:AAAA"}"#;
        assert_eq!(account(json).unwrap_err(), DocumentError::Sealed);
    }

    #[test]
    fn secrets_are_sealed_for_the_identity_that_makes_the_id() {
        let owner = |json: &str| Document::parse(json.as_bytes()).unwrap().owner();
        let whole = r#"{"account_uuid":"u","organization_uuid":"o","email":"Me@x.y","label":"a"}"#;
        assert_eq!(owner(whole), ["oauth", "u", "o"]);
        assert_eq!(
            owner(whole),
            owner(r#"{"account":{"uuid":"u"},"organization":{"uuid":"o"},"label":"b"}"#)
        );
        assert_eq!(owner(r#"{"email":"Me@x.y"}"#), ["email", "me@x.y"]);
        assert_eq!(owner(r#"{"api_key":"k","label":"a"}"#), Vec::<String>::new());
    }
}
