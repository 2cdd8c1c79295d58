//! Who asks, where the flow does not say it: the engine's environment, a token file, the profile file.

use weft_sdk::Result;

use crate::client::Hands;
use crate::error;
use crate::profile::Profiles;
use crate::sts;

/// A key with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub key_id: String,
    pub secret: String,
    /// For keys that hold for a while.
    pub token: Option<String>,
}

/// Without the secret: it must not get into a message by mistake.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The credentials of the engine itself, in the order in which AWS's own programs look for them.
pub fn find(hands: &Hands<'_>, region: &str, sts_endpoint: Option<&str>) -> Result<Credentials> {
    let variable = |name: &str| hands.variable(name);
    if let (Some(key_id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?)
    {
        return Ok(Credentials { key_id, secret, token: variable("AWS_SESSION_TOKEN")? });
    }
    if let (Some(arn), Some(file)) = (variable("AWS_ROLE_ARN")?, variable("AWS_WEB_IDENTITY_TOKEN_FILE")?) {
        let Some(token) = hands.file(&file)? else {
            return Err(error::no_credentials(&format!(
                "`AWS_WEB_IDENTITY_TOKEN_FILE` names `{file}`, which is not there"
            )));
        };
        let session = variable("AWS_ROLE_SESSION_NAME")?.unwrap_or_else(|| "weft".to_owned());
        return sts::assume_with_web_identity(hands, &arn, &session, token.trim(), region, sts_endpoint);
    }
    let profiles = Profiles::read(hands)?;
    match profiles.credentials()? {
        Some(found) => found.resolve(hands, &profiles, region, sts_endpoint),
        None => Err(error::no_credentials(&format!(
            "`accessKeyId` is not given, `AWS_ACCESS_KEY_ID` and `AWS_WEB_IDENTITY_TOKEN_FILE` are not set, and {}",
            profiles.missing()
        ))),
    }
}

/// The region of the engine's environment or profile.
pub fn region(hands: &Hands<'_>) -> Result<Option<String>> {
    for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(region) = hands.variable(name)? {
            return Ok(Some(region));
        }
    }
    Ok(Profiles::read(hands)?.region())
}
