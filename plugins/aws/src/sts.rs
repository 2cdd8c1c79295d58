//! Roles: other credentials, for a while, from the Security Token Service.

use std::time::Duration;

use jiff::SignedDuration;
use weft_sdk::http::Request;
use weft_sdk::{Error, Result};

use crate::client::Hands;
use crate::credentials::Credentials;
use crate::date;
use crate::error::{Place, Refusal, unreached};
use crate::sigv4::{Scope, ToSign, authorization, payload_hash, query_string};
use crate::xml;

/// Answers are small.
const MAX_ANSWER: usize = 1 << 20;

/// A role to take on.
pub struct Role<'a> {
    pub arn: &'a str,
    pub external_id: Option<&'a str>,
    pub session_name: &'a str,
    pub duration: Duration,
}

impl Role<'_> {
    /// Takes the role on with these credentials.
    pub fn assume(
        &self,
        hands: &Hands<'_>,
        credentials: &Credentials,
        region: &str,
        endpoint: Option<&str>,
    ) -> Result<Credentials> {
        let mut fields = vec![
            ("Action", "AssumeRole".to_owned()),
            ("Version", "2011-06-15".to_owned()),
            ("RoleArn", self.arn.to_owned()),
            ("RoleSessionName", self.session_name.to_owned()),
            ("DurationSeconds", self.duration.as_secs().to_string()),
        ];
        if let Some(id) = self.external_id {
            fields.push(("ExternalId", id.to_owned()));
        }
        ask(hands, &fields, region, endpoint, Some(credentials), self.arn)
    }
}

/// Takes a role on with the token that whoever runs the engine put into a file for it.
pub fn assume_with_web_identity(
    hands: &Hands<'_>,
    arn: &str,
    session_name: &str,
    token: &str,
    region: &str,
    endpoint: Option<&str>,
) -> Result<Credentials> {
    let fields = [
        ("Action", "AssumeRoleWithWebIdentity".to_owned()),
        ("Version", "2011-06-15".to_owned()),
        ("RoleArn", arn.to_owned()),
        ("RoleSessionName", session_name.to_owned()),
        ("WebIdentityToken", token.to_owned()),
    ];
    ask(hands, &fields, region, endpoint, None, arn)
}

fn ask(
    hands: &Hands<'_>,
    fields: &[(&str, String)],
    region: &str,
    endpoint: Option<&str>,
    credentials: Option<&Credentials>,
    arn: &str,
) -> Result<Credentials> {
    let (endpoint, place) = match endpoint {
        Some(endpoint) => (endpoint.trim_end_matches('/').to_owned(), Place::Endpoint("stsEndpointOverride")),
        None => (format!("https://sts.{region}.amazonaws.com"), Place::Region),
    };
    let fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let body = query_string(&fields);
    let host = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host);
    let date = date::compact(date::now(SignedDuration::ZERO));
    let mut headers = vec![
        ("content-type".to_owned(), "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
        ("x-amz-date".to_owned(), date.clone()),
    ];
    if let Some(credentials) = credentials {
        if let Some(token) = &credentials.token {
            headers.push(("x-amz-security-token".to_owned(), token.clone()));
        }
        let request = ToSign {
            method: "POST",
            host,
            path: "/",
            query: &[],
            headers: &headers,
            payload_hash: &payload_hash(body.as_bytes()),
        };
        let scope = Scope { region, service: "sts", date: &date };
        headers.push(("authorization".to_owned(), authorization(&request, &scope, credentials)));
    }
    let mut request = Request::new("POST", format!("{endpoint}/")).body(body);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let what = format!("take on the role `{arn}`");
    let response = hands
        .http
        .send(request)
        .map_err(|error| unreached(error, place).context(&format!("cannot {what}")))?;
    let (status, ok) = (response.status(), response.is_success());
    let text = response.text(MAX_ANSWER)?;
    if !ok {
        return Err(Refusal::read(status, &text).error(&what));
    }
    read(&text)
        .ok_or_else(|| Error::new("s3.refused", format!("cannot {what}: the answer has no credentials")))
}

fn read(answer: &str) -> Option<Credentials> {
    let root = xml::parse(answer)?;
    let result = root.children.iter().find(|child| child.name.ends_with("Result"))?;
    let keys = result.children.iter().find(|child| child.name == "Credentials")?;
    Some(Credentials {
        key_id: keys.get("AccessKeyId")?.to_owned(),
        secret: keys.get("SecretAccessKey")?.to_owned(),
        token: keys.get("SessionToken").map(str::to_owned),
    })
}
