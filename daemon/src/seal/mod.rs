//! Secrets at rest: a secret becomes a sealed text that only the holder of the key can open, and only in the place that it
//! was sealed for. Pure but for the randomness of a nonce; no file is read here, and no key and no secret printed.
//!
//! A sealed text is `proxyd-sealed:v1:<key>:<box>`. `<key>` names the key in eight hex digits, so that a wrong one is told as such;
//! `<box>` is base64url of a random nonce of 96 bits and what AES-256-GCM makes of the secret. The key of the cipher is derived from
//! the seal key by HKDF-SHA256 (RFC 5869), and what is authenticated beside the secret is everything before the box, the field's name
//! and whose it is: a text that is moved to another field or account does not open there.

mod key;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, NONCE_LEN, Nonce};
use zeroize::Zeroizing;

pub use key::{KeyFault, SealKey};

/// What every sealed text begins with, of whatever version. No token and no key does.
const PREFIX: &str = "proxyd-sealed:";
const VERSION: &str = "v1";

/// Where a secret belongs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The field that holds it.
    pub field: &'a str,
    /// Whose it is.
    pub owner: &'a [String],
}

/// The secret could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("no random numbers from the system")]
    Random(#[from] getrandom::Error),
    #[error("the secret is too long to be sealed")]
    TooLong,
}

/// Why a sealed text stays closed, in words for whoever owns it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "is sealed with the key {sealed_with}, and there is no seal key: give that one as the credential proxyd.seal-key or by \
         auth.seal_key_file, or log in again"
    )]
    NoKey { sealed_with: String },
    #[error(
        "is sealed with the key {sealed_with}, and the seal key given is {given}: give that one as the credential proxyd.seal-key.old \
         or by auth.old_seal_key_file, or log in again"
    )]
    OtherKey { sealed_with: String, given: String },
    #[error(
        "does not open: it was altered, or it belongs to another field or account (`email`, `account_uuid` and `organization_uuid` must \
         be as they were when it was sealed); put the file back as it was, or log in again"
    )]
    Altered,
    #[error("is sealed in a way that this proxyd does not know ({version}): a newer one wrote it")]
    Version { version: String },
}

/// Whether a text is a sealed one, of whatever version.
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The id of the key that a text says it is sealed with; `None` where it is no sealed text of this version.
pub fn key_of(text: &str) -> Option<&str> {
    Sealed::parse(text).ok().map(|sealed| sealed.key)
}

/// Seals a secret with `key`, for this place only.
pub fn seal(key: &SealKey, place: Place<'_>, secret: &str) -> Result<String, SealError> {
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce)?;
    seal_with(key, place, secret, nonce)
}

/// A nonce may never be used twice with one key.
fn seal_with(
    key: &SealKey,
    place: Place<'_>,
    secret: &str,
    nonce: [u8; NONCE_LEN],
) -> Result<String, SealError> {
    let head = format!("{PREFIX}{VERSION}:{}:", key.id());
    // Encrypted in place: at its end this holds no secret any more.
    let mut text = Zeroizing::new(secret.as_bytes().to_vec());
    let about = Aad::from(authenticated(&head, place));
    let tag = key.cipher().seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        about,
        text.as_mut_slice(),
    );
    let tag = tag.map_err(|_| SealError::TooLong)?;
    let sealed = [nonce.as_slice(), text.as_slice(), tag.as_ref()].concat();
    Ok(head + &URL_SAFE_NO_PAD.encode(sealed))
}

/// Opens a sealed text with that of `keys` which it names.
pub fn open<'a>(
    keys: impl Iterator<Item = &'a SealKey> + Clone,
    place: Place<'_>,
    text: &str,
) -> Result<Zeroizing<String>, OpenError> {
    let sealed = Sealed::parse(text)?;
    let sealed_with = || sealed.key.to_owned();
    let Some(key) = keys.clone().find(|key| key.id() == sealed.key) else {
        let given: Vec<&str> = keys.map(SealKey::id).collect();
        return Err(match given.as_slice() {
            [] => OpenError::NoKey { sealed_with: sealed_with() },
            _ => OpenError::OtherKey {
                sealed_with: sealed_with(),
                given: given.join(" (old: ") + closing(&given),
            },
        });
    };
    let boxed = URL_SAFE_NO_PAD.decode(sealed.boxed).map_err(|_| OpenError::Altered)?;
    let (nonce, ciphertext) = boxed.split_at_checked(NONCE_LEN).ok_or(OpenError::Altered)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Altered)?;
    let mut ciphertext = Zeroizing::new(ciphertext.to_vec());
    let about = Aad::from(authenticated(sealed.head, place));
    let opened = key.cipher().open_in_place(nonce, about, &mut ciphertext).map_err(|_| OpenError::Altered)?;
    let secret = std::str::from_utf8(opened).map_err(|_| OpenError::Altered)?;
    Ok(Zeroizing::new(secret.to_owned()))
}

fn closing(given: &[&str]) -> &'static str {
    if given.len() > 1 { ")" } else { "" }
}

/// A sealed text, taken apart.
struct Sealed<'a> {
    /// All before the box.
    head: &'a str,
    key: &'a str,
    boxed: &'a str,
}

impl<'a> Sealed<'a> {
    fn parse(text: &'a str) -> Result<Self, OpenError> {
        let rest = text.strip_prefix(PREFIX).ok_or(OpenError::Altered)?;
        let (version, rest) = rest.split_once(':').ok_or(OpenError::Altered)?;
        if version != VERSION {
            let is_version = version.len() <= 8 && version.bytes().all(|byte| byte.is_ascii_alphanumeric());
            let version = version.to_owned();
            return Err(if is_version { OpenError::Version { version } } else { OpenError::Altered });
        }
        let (key, boxed) = rest.split_once(':').ok_or(OpenError::Altered)?;
        if !key::is_id(key) {
            return Err(OpenError::Altered);
        }
        let head = text.strip_suffix(boxed).ok_or(OpenError::Altered)?;
        Ok(Self { head, key, boxed })
    }
}

/// What is authenticated beside the secret: each part with its length before it, so that none can be taken for a part of another.
fn authenticated(head: &str, place: Place<'_>) -> Vec<u8> {
    let owner = place.owner.iter().map(String::as_str);
    let mut bytes = Vec::new();
    for part in [head, place.field].into_iter().chain(owner) {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests;
