//! Every integration test, in one binary so that it links once.

#[cfg(test)]
mod fake_claude;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod refresh;
