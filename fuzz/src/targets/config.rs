//! Any bytes as the operator's configuration: it is read, or what is wrong is said with the file's name.

use std::fs;

use tempfile::TempDir;
use weft_config::Config;

use crate::scratch;

pub fn run(input: &[u8]) -> Option<()> {
    thread_local! {
        static FOLDER: TempDir = scratch();
    }
    FOLDER.with(|folder| {
        let file = &folder.path().join("config.yaml");
        fs::write(file, input).expect("the temporary directory takes a small file");
        match Config::read(file) {
            // The same file says the same.
            Ok(config) => assert_eq!(Config::read_if_present(file).ok(), Some(config)),
            Err(error) => assert!(error.to_string().contains("config.yaml"), "{error}"),
        }
    });
    Some(())
}
