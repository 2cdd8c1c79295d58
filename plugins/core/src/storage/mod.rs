//! Tasks on files: of the working directory, and of internal storage.

mod concat;
mod files;
mod lines;
mod reverse;
mod scratch;
mod split;

pub use concat::Concat;
pub use files::{Delete, LocalFiles, Size, Write};
pub use reverse::Reverse;
pub use split::Split;
