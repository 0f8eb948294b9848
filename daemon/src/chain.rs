//! An error with all its causes on one line. `Display` of our errors never repeats its source, so nothing
//! stands twice.

use std::error::Error;
use std::fmt;

/// Shows `error: cause: cause of that`.
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read the file")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn each_cause_stands_once() {
        let error = Outer(std::io::Error::other("disk on fire"));
        assert_eq!(ErrorChain(&error).to_string(), "cannot read the file: disk on fire");
    }
}
