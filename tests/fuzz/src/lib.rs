//! What the fuzz targets have in common: the daemon's pure modules, taken in as source, with what its own tests check
//! answers and requests by, and the requests whose answers are fuzzed.

#[path = "../../../daemon/src/translate/clients/mod.rs"]
pub mod clients;
#[path = "../../../daemon/src/translate/rules.rs"]
mod rules;
#[path = "../../../daemon/src/translate/mod.rs"]
pub mod translate;
#[path = "../../../daemon/src/wire/mod.rs"]
pub mod wire;

pub mod answers;
pub mod requests;
