//! How much a plugin file may take before anything of it runs.

use std::time::Duration;

/// Bounds of plugin files. What is beyond them is refused and said, never waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Files that are looked at in one directory, the first by name.
    pub files: usize,
    /// Bytes of a file.
    pub file_bytes: u64,
    /// What a component may be made of.
    pub component: ComponentBounds,
    /// What making its code may take.
    pub compile: CompileBounds,
}

/// What a component may be made of: each number is that of the whole file, what stands in it included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComponentBounds {
    /// Components in components.
    pub depth: usize,
    /// Modules and components.
    pub modules: usize,
    /// Instances that are made when it is instantiated, those within instances counted as often as they are made.
    pub instances: u64,
    /// Types, with what stands in them.
    pub types: usize,
    /// Imports, exports and aliases.
    pub names: usize,
    /// Functions with code.
    pub functions: usize,
    /// Bytes of the largest function.
    pub function_bytes: usize,
}

/// What compiling one component may take, in a process of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompileBounds {
    /// Bytes of memory.
    pub memory: u64,
    /// Processor time, all threads together.
    pub cpu: Duration,
    /// Time from start to end.
    pub wall_clock: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            files: 1_000,
            file_bytes: 64 << 20,
            component: ComponentBounds::default(),
            compile: CompileBounds::default(),
        }
    }
}

/// Several times what components of every tool chain have: the largest that was seen (Python, 20 MB) has 30,000 functions.
impl Default for ComponentBounds {
    fn default() -> Self {
        Self {
            depth: 16,
            modules: 500,
            instances: 10_000,
            types: 200_000,
            names: 500_000,
            functions: 500_000,
            function_bytes: 2 << 20,
        }
    }
}

/// A Python component of 20 MB takes 350 MiB and 6 to 12 s of processor time.
impl Default for CompileBounds {
    fn default() -> Self {
        Self { memory: 2 << 30, cpu: Duration::from_secs(120), wall_clock: Duration::from_secs(300) }
    }
}
