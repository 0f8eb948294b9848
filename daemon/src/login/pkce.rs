//! Proof Key for Code Exchange (RFC 7636), method S256, and the `state` of a login.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::secret::{CodeVerifier, LoginState};

/// 256 bits of the system's randomness: 43 characters, the length section 4.1 recommends.
pub(super) fn verifier() -> Result<CodeVerifier, getrandom::Error> {
    random().map(CodeVerifier::new)
}

/// As hard to guess as the verifier.
pub(super) fn state() -> Result<LoginState, getrandom::Error> {
    random().map(LoginState::new)
}

/// The S256 challenge of section 4.2.
pub(super) fn challenge(verifier: &CodeVerifier) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

fn random() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = CodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge(&verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn every_verifier_is_another_of_43_characters() {
        let (one, two) = (verifier().unwrap(), verifier().unwrap());
        assert_eq!(one.expose().len(), 43);
        assert_ne!(one, two);
    }
}
