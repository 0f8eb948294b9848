//! The real `proxyd` on a system that fails it: killed at each step of a save, a disk that is full, read-only or broken.
//! What the next start makes of it, and what the issuer saw, is all that counts.

mod disk;
mod errors;
mod kill;
