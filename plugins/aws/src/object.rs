//! An object as tasks put it out.

use weft_sdk::prelude::*;

use crate::xml::Element;

/// Who owns an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The owner's id.
    pub id: String,
    /// The owner's name, where the server has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// One object of a bucket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct S3Object {
    /// Where it was put in internal storage, if it was fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its key.
    pub key: String,
    /// Its entity tag, in quotes as S3 has it.
    pub etag: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was last written.
    pub last_modified: String,
    /// Who owns it, where the server says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Whether it is new or was changed, for a trigger that tells the two apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_type: Option<String>,
}

impl S3Object {
    /// From an entry of a listing.
    pub fn read(entry: &Element) -> Option<Self> {
        let owner = entry.children.iter().find(|child| child.name == "Owner").and_then(|owner| {
            let display_name = owner.get("DisplayName").filter(|name| !name.is_empty()).map(str::to_owned);
            Some(Owner { id: owner.get("ID")?.to_owned(), display_name })
        });
        Some(Self {
            uri: None,
            key: entry.get("Key")?.to_owned(),
            etag: entry.get("ETag").unwrap_or_default().to_owned(),
            size: entry.get("Size").and_then(|size| size.parse().ok()).unwrap_or_default(),
            last_modified: entry.get("LastModified").unwrap_or_default().to_owned(),
            owner,
            change_type: None,
        })
    }

    /// Whether it stands for a folder.
    pub fn is_directory(&self) -> bool {
        self.key.ends_with('/')
    }
}

/// The last part of a key: what a file of it is called.
pub fn base_name(key: &str) -> &str {
    let name = key.trim_end_matches('/').rsplit('/').next().unwrap_or(key);
    if name.is_empty() || name == "." || name == ".." { "object" } else { name }
}
