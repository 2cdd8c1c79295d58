//! The bundled plugin of Amazon S3 and of whatever speaks its protocol.
//!
//! Owns: these task types and the trigger, signatures, credentials, retries, and uploads in parts. Never does: connections
//! and TLS (the host does, under the operator's rules), holding objects: bodies go between the network and files on the
//! host's side, so that memory is the same for a kilobyte and five gigabytes.

mod bucket;
mod checksum;
mod client;
mod connection;
mod copy;
mod credentials;
mod date;
mod delete;
mod download;
mod error;
mod filter;
mod list;
mod multipart;
mod object;
mod profile;
mod sigv4;
mod sts;
mod trigger;
mod upload;
mod xml;

weft_sdk::plugin!(
    descriptor: "../descriptor.packed";
    upload::Upload,
    download::Download,
    download::Downloads,
    list::List,
    copy::Copy,
    delete::Delete,
    delete::DeleteList,
    bucket::CreateBucket;
    triggers: trigger::Trigger
);

#[cfg(test)]
mod tests;
