//! The seal key: 256 bits of randomness that somebody else keeps.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Of the key itself.
const LENGTH: usize = 32;
/// Bytes of the fingerprint that name a key.
const ID_BYTES: usize = 4;

/// What a key can be derived for.
const SALT: &[u8] = b"proxyd secrets at rest v1";
const FOR_CIPHER: &[u8] = b"aes-256-gcm";
const FOR_FINGERPRINT: &[u8] = b"fingerprint";

/// A key that secrets are sealed with. Only what is derived from it is kept.
pub struct SealKey {
    cipher: LessSafeKey,
    /// Derived beside the cipher's key, so it tells nothing of that.
    fingerprint: [u8; LENGTH],
    id: String,
}

/// Why something is no seal key. Says nothing of what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyFault {
    #[error("it is empty")]
    Empty,
    #[error(
        "it must hold 32 random bytes, as they are or as 64 hex digits or base64, and holds {length} bytes of something else; make one with: head \
         -c 32 /dev/urandom"
    )]
    Form { length: usize },
    #[error("it is a typed text and not random: make one with: head -c 32 /dev/urandom")]
    Typed,
    #[error("all its bytes are the same: make one with: head -c 32 /dev/urandom")]
    Constant,
    #[error("no key can be derived from it")]
    Derivation,
}

impl SealKey {
    /// Reads a key as a file or credential holds it.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFault> {
        let raw = raw(bytes)?;
        if raw.windows(2).all(|pair| matches!(pair, [one, two] if one == two)) {
            return Err(KeyFault::Constant);
        }
        Self::derived(&raw).map_err(|_| KeyFault::Derivation)
    }

    fn derived(raw: &[u8; LENGTH]) -> Result<Self, Unspecified> {
        let secret = Salt::new(HKDF_SHA256, SALT).extract(raw);
        let cipher = secret.expand(&[FOR_CIPHER], &AES_256_GCM).map(UnboundKey::from)?;
        let mut fingerprint = [0; LENGTH];
        secret.expand(&[FOR_FINGERPRINT], Fingerprint)?.fill(&mut fingerprint)?;
        let digits: Vec<String> =
            fingerprint.iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let id = digits.concat();
        Ok(Self { cipher: LessSafeKey::new(cipher), fingerprint, id })
    }

    /// Names the key without telling it.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn cipher(&self) -> &LessSafeKey {
        &self.cipher
    }
}

impl PartialEq for SealKey {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint.ct_eq(&other.fingerprint).into()
    }
}

impl Eq for SealKey {}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

struct Fingerprint;

impl KeyType for Fingerprint {
    fn len(&self) -> usize {
        LENGTH
    }
}

pub(super) fn is_id(text: &str) -> bool {
    text.len() == 2 * ID_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn raw(bytes: &[u8]) -> Result<Zeroizing<[u8; LENGTH]>, KeyFault> {
    if bytes.is_empty() {
        return Err(KeyFault::Empty);
    }
    if let Ok(raw) = <[u8; LENGTH]>::try_from(bytes) {
        let raw = Zeroizing::new(raw);
        // By chance one in 10^13 keys is.
        let is_typed = raw.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        return if is_typed { Err(KeyFault::Typed) } else { Ok(raw) };
    }
    let text = bytes.trim_ascii();
    let decoded = Zeroizing::new(match text.len() {
        64 => hex(text).ok_or(KeyFault::Form { length: bytes.len() })?,
        _ => base64(text).ok_or(KeyFault::Form { length: bytes.len() })?,
    });
    let raw =
        <[u8; LENGTH]>::try_from(decoded.as_slice()).map_err(|_| KeyFault::Form { length: bytes.len() })?;
    Ok(Zeroizing::new(raw))
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

/// With either alphabet, padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok())
}
