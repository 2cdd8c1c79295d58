//! What `secret()` finds in a test: what the case gives, and nothing of the machine unless that was asked for.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use weft_worker::{Masker, SecretError, Secrets};

/// The secrets of a case. Each that is handed out is hidden in its report.
pub(super) struct CaseSecrets {
    given: HashMap<String, String>,
    real: Option<Arc<dyn Secrets>>,
    masker: Masker,
}

impl CaseSecrets {
    pub fn new(given: &IndexMap<String, String>, real: Option<Arc<dyn Secrets>>, masker: &Masker) -> Self {
        let given = given.iter().map(|(key, secret)| (key.to_uppercase(), secret.clone())).collect();
        Self { given, real, masker: masker.clone() }
    }
}

impl Secrets for CaseSecrets {
    fn get(&self, key: &str) -> Result<Option<String>, SecretError> {
        let given = self.given.get(&key.to_uppercase()).cloned();
        let secret = match (given, &self.real) {
            (Some(secret), _) => Some(secret),
            (None, Some(real)) => real.get(key)?,
            (None, None) => {
                return Err(SecretError::Refused(format!(
                    "the test gives no secret `{key}`\n\
                     hint: add it to `fixtures.secrets`, or let tests read those of the machine with `--real-secrets`"
                )));
            }
        };
        secret.iter().for_each(|secret| self.masker.add(secret));
        Ok(secret)
    }
}
