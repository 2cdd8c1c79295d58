//! The bundled plugin of MongoDB: loads files into collections, finds, inserts, updates and deletes documents.
//!
//! Owns: these task types, and a small client of the wire protocol: connection strings, finding the primary of a replica
//! set, SCRAM, commands. Never does: TCP, name lookup and TLS (the host does, under the operator's rules), rendering.
//!
//! Why not the official driver: it was seen to run in a component, but only without names (its lookup needs threads, which
//! a component has none of, so every host must be an address, and replica sets give names), as 3.5 MB of code that take
//! three to five seconds to compile at the first use, and built with a flag that tokio calls unstable. What these tasks need
//! of it is a command and its answer at a time.

mod client;
mod connection;
mod encode;
mod error;
mod find;
mod input;
mod insert;
mod ion;
mod load;
mod scram;
mod uri;
mod values;
mod wire;
mod write;

weft_sdk::plugin!(
    descriptor: "../descriptor.packed";
    load::Load,
    find::Find,
    insert::InsertOne,
    write::Update,
    write::Delete
);

#[cfg(test)]
mod tests;
