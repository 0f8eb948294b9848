pub mod translate;
pub mod wire;
