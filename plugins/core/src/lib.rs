//! The bundled plugin of core tasks: logging, values, files, keys, and what a task may do to its execution.
//!
//! Owns: these task types' behaviour, under their newer names with the older ones as aliases. Never does: structure
//! (loops, branches, directories), rendering, collecting files; the engine does. One file per family of types.

mod debug;
mod execution;
mod kv;
mod log;
mod output;
mod sleep;
mod storage;
mod values;

weft_sdk::plugin!(
    descriptor: "../descriptor.packed";
    debug::Echo,
    debug::Return,
    execution::Assert,
    execution::Exit,
    execution::Fail,
    execution::Labels,
    execution::SetVariables,
    execution::UnsetVariables,
    kv::Delete,
    kv::Get,
    kv::GetKeys,
    kv::Set,
    log::Log,
    output::OutputValues,
    sleep::Sleep,
    storage::Concat,
    storage::Delete,
    storage::LocalFiles,
    storage::Reverse,
    storage::Size,
    storage::Split,
    storage::Write
);

#[cfg(test)]
mod tests;
