//! The JSON shapes that a plugin and its engine agree on, beside those in `wit/`: defined once, for both sides.
//!
//! Owns: [`container::Options`], what a command may say to the container runner, and the value types that flows write in
//! more than one way. Never does: anything with them. Called by: the SDK, which passes it on to plugins; the bundled
//! script plugin; and the engine's runner, which reads what they wrote.

pub mod container;
mod duration;
mod text;

pub use duration::IsoDuration;
pub use text::Text;
