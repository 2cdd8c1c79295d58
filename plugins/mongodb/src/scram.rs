//! SCRAM (RFC 5802, RFC 7677): proves to the server that one knows the password without sending it, and has the server
//! prove the same.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;
use weft_sdk::Result;

use crate::error;
use crate::uri::{Mechanism, User};

/// Fewer rounds than any server asks for: one that asks for less wants the password to be guessed.
const MIN_ROUNDS: u32 = 4096;
/// More than any server asks for: one that asks for more wants the plugin to be busy.
const MAX_ROUNDS: u32 = 10_000_000;

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha1 => "SCRAM-SHA-1",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }

    fn hash(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::ScramSha1 => Sha1::digest(data).to_vec(),
            Self::ScramSha256 => Sha256::digest(data).to_vec(),
        }
    }

    fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        // A key of any length will do, so making it never fails.
        match self {
            Self::ScramSha1 => Hmac::<Sha1>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec()),
            Self::ScramSha256 => Hmac::<Sha256>::new_from_slice(key)
                .map(|mac| mac.chain_update(data).finalize().into_bytes().to_vec()),
        }
        .unwrap_or_default()
    }

    /// The password as this mechanism hashes it, salted.
    fn salted(self, user: &User, salt: &[u8], rounds: u32) -> Vec<u8> {
        match self {
            Self::ScramSha1 => {
                let digest = Md5::digest(format!("{}:mongo:{}", user.name, user.password));
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                let mut out = [0; 20];
                pbkdf2::pbkdf2_hmac::<Sha1>(digest.as_bytes(), salt, rounds, &mut out);
                out.to_vec()
            }
            Self::ScramSha256 => {
                let mut out = [0; 32];
                pbkdf2::pbkdf2_hmac::<Sha256>(user.password.as_bytes(), salt, rounds, &mut out);
                out.to_vec()
            }
        }
    }
}

/// One conversation, from the client's side.
pub struct Scram<'u> {
    mechanism: Mechanism,
    user: &'u User,
    nonce: String,
    first_bare: String,
}

/// What the server must answer to be believed.
pub struct Expected(String);

impl<'u> Scram<'u> {
    /// `nonce` is text that was never used before.
    pub fn new(mechanism: Mechanism, user: &'u User, nonce: String) -> Self {
        let name = user.name.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={name},r={nonce}");
        Self { mechanism, user, nonce, first_bare }
    }

    /// The first message to the server.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The second message, to the server's first.
    pub fn second(&self, server_first: &str) -> Result<(String, Expected)> {
        let strange =
            || error::authentication("the server's part of the password's proof is not what it should be");
        let field =
            |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).ok_or_else(strange);
        let (nonce, salt, rounds) = (field("r=")?, field("s=")?, field("i=")?);
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| strange())?;
        let rounds: u32 = rounds.parse().map_err(|_| strange())?;
        if !nonce.starts_with(&self.nonce) || !(MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
            return Err(strange());
        }
        let salted = self.mechanism.salted(self.user, &salt, rounds);
        let without_proof = format!("c=biws,r={nonce}");
        let messages = [&self.first_bare, server_first, &without_proof].join(",");
        let client_key = self.mechanism.hmac(&salted, b"Client Key");
        let signature = self.mechanism.hmac(&self.mechanism.hash(&client_key), messages.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
        let server_key = self.mechanism.hmac(&salted, b"Server Key");
        let expected = BASE64_STANDARD.encode(self.mechanism.hmac(&server_key, messages.as_bytes()));
        Ok((
            format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)),
            Expected(format!("v={expected}")),
        ))
    }
}

impl Expected {
    /// Whether the server knows the password as well.
    pub fn check(&self, server_final: &str) -> Result<()> {
        if server_final == self.0 {
            return Ok(());
        }
        Err(error::authentication(
            "the server does not prove that it knows the password: it may be another one",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7677, and that of the driver specification for SCRAM-SHA-1.
    #[test]
    fn published_conversations() {
        for (mechanism, password, nonce, server_first, second, server_final) in [
            (
                Mechanism::ScramSha256,
                "pencil",
                "rOprNGfwEbeRWgbNEkqO",
                "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
                "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                 p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
                "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ),
            (
                Mechanism::ScramSha1,
                "pencil",
                "fyko+d2lbbFgONRv9qkxdawL",
                "r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,s=rQ9ZY3MntBeuP3E1TDVC4w==,i=10000",
                "c=biws,r=fyko+d2lbbFgONRv9qkxdawLHo+Vgk7qvUOKUwuWLIWg4l/9SraGMHEE,p=MC2T8BvbmWRckDw8oWl5IVghwCY=",
                "v=UMWeI25JD1yNYZRMpZ4VHvhZ9e0=",
            ),
        ] {
            let user = User { name: "user".to_owned(), password: password.to_owned() };
            let scram = Scram::new(mechanism, &user, nonce.to_owned());
            assert_eq!(scram.first(), format!("n,,n=user,r={nonce}"));
            let (message, expected) = scram.second(server_first).unwrap();
            assert_eq!(message, second);
            expected.check(server_final).unwrap();
            assert_eq!(expected.check("v=x").unwrap_err().code(), "mongodb.authentication");
        }
    }

    #[test]
    fn a_server_that_cheats_is_not_answered() {
        let user = User { name: "a=b,c".to_owned(), password: "p".to_owned() };
        let scram = Scram::new(Mechanism::ScramSha256, &user, "abc".to_owned());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=abc");
        for server_first in [
            "",
            "r=other,s=AAAA,i=4096",
            "r=abcd,s=AAAA,i=1",
            "r=abcd,s=AAAA,i=99999999999",
            "r=abcd,s=?,i=4096",
        ] {
            assert!(scram.second(server_first).is_err(), "{server_first}");
        }
    }
}
