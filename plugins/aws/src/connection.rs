//! What every task and the trigger say about the server and about who asks.

use std::time::Duration;

use weft_sdk::prelude::*;
use weft_sdk::{IsoDuration, Needs, Text};

use crate::client::{Client, Hands};
use crate::credentials;
use crate::error;
use crate::sts::Role;

/// The region of endpoints that know none, and of AWS where nothing else is said.
const USUAL_REGION: &str = "us-east-1";

/// What these types reach beyond the engine.
pub const NEEDS: Needs = Needs {
    hosts: &["https://*.amazonaws.com", "*"],
    variables: &["AWS_*"],
    files: &[
        "~/.aws/credentials",
        "~/.aws/config",
        "$AWS_SHARED_CREDENTIALS_FILE",
        "$AWS_CONFIG_FILE",
        "$AWS_WEB_IDENTITY_TOKEN_FILE",
    ],
    ..Needs::NOTHING
};

/// Server and credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Connection {
    /// The id of the access key. Without it, the environment of the engine is looked at, then its profile file.
    access_key_id: Option<Text>,
    /// The access key's secret.
    secret_key_id: Option<Text>,
    /// The token of a session, for keys that hold for a while.
    session_token: Option<Text>,
    /// The region, such as `eu-central-1`.
    region: Option<Text>,
    /// Another server than AWS: `http://localhost:9000`.
    endpoint_override: Option<Text>,
    /// Leaves out what some other servers do not know: checksums of what is sent.
    compatibility_mode: bool,
    /// Whether the bucket stands in the path and not in the host's name. So it is for another server than AWS, unless
    /// this is false.
    force_path_style: Option<bool>,
    /// A role to take on.
    sts_role_arn: Option<Text>,
    /// The external id that the role asks for.
    sts_role_external_id: Option<Text>,
    /// A name for the session.
    sts_role_session_name: Option<Text>,
    /// How long the role is taken on for.
    sts_role_session_duration: Option<IsoDuration>,
    /// Another server for roles than AWS.
    sts_endpoint_override: Option<Text>,
}

/// A property that says something.
fn filled(text: &Option<Text>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

impl Connection {
    /// A client for these properties.
    pub fn client<'h>(&self, hands: Hands<'h>) -> Result<Client<'h>> {
        let given = match (filled(&self.access_key_id), filled(&self.secret_key_id)) {
            (Some(key_id), Some(secret)) => Some(credentials::Credentials {
                key_id: key_id.to_owned(),
                secret: secret.to_owned(),
                token: filled(&self.session_token).map(str::to_owned),
            }),
            (None, None) => None,
            (Some(_), None) => return error::property("secretKeyId", "it is needed beside `accessKeyId`"),
            (None, Some(_)) => return error::property("accessKeyId", "it is needed beside `secretKeyId`"),
        };
        let region = match filled(&self.region) {
            Some(region) => region.to_owned(),
            None => credentials::region(&hands)?.unwrap_or_else(|| USUAL_REGION.to_owned()),
        };
        let sts_endpoint = filled(&self.sts_endpoint_override);
        let mut found = match given {
            Some(given) => given,
            None => credentials::find(&hands, &region, sts_endpoint)?,
        };
        if let Some(arn) = filled(&self.sts_role_arn) {
            let duration =
                self.sts_role_session_duration.map_or(Duration::from_secs(900), |duration| duration.0);
            let role = Role {
                arn,
                external_id: filled(&self.sts_role_external_id),
                session_name: filled(&self.sts_role_session_name).unwrap_or("weft"),
                duration,
            };
            found = role.assume(&hands, &found, &region, sts_endpoint)?;
        }
        let mut client =
            Client::new(hands, found, region, filled(&self.endpoint_override), self.force_path_style)?;
        client.checksums = !self.compatibility_mode;
        Ok(client)
    }
}
