//! The trigger: objects that appear in a bucket start an execution.

use std::collections::BTreeMap;

use schemars::Schema;
use weft_sdk::prelude::*;
use weft_sdk::{Interval, IsoDuration};

use crate::client::{Client, Hands};
use crate::connection::Connection;
use crate::copy::{Action, MoveTo};
use crate::download::{fetch, get, numbered};
use crate::error;
use crate::list::{Listed, Listing, check_payer};
use crate::object::S3Object;

/// How many objects one execution is started with, unless the flow says another number.
const MAX_FILES: u32 = 25;
/// How many objects that stay in the bucket are remembered at most: the oldest are forgotten first.
const MAX_SEEN: usize = 100_000;

/// Starts an execution when objects appear in a bucket.
///
/// The bucket is listed again and again. What is found is fetched into internal storage, and one execution is started with
/// all of it. Then, and never before that execution is stored, the objects are moved or deleted as `action` says: so each
/// starts exactly one execution, whenever the engine is killed.
///
/// Objects that stay (`action: NONE`) start an execution when they are new or have changed (`on`), and not again.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = crate::copy::move_needs_target)]
#[schemars(transform = max_keys_are_objects)]
pub struct Trigger {
    #[serde(flatten)]
    connection: Connection,
    #[serde(flatten)]
    listing: Listing,
    #[serde(default)]
    #[allow(dead_code, reason = "the engine carries it out")]
    interval: Interval,
    /// What becomes of the objects.
    #[serde(default)]
    action: Action,
    /// Where they are moved to.
    move_to: Option<MoveTo>,
    /// Which objects that stay in the bucket start an execution: new ones, changed ones, or both.
    #[serde(default)]
    on: On,
    /// How many objects one execution is started with at most; the next poll takes more. 25 where it is left out.
    max_files: Option<u32>,
    /// For how long objects that are in the bucket no more are remembered; without it, until the next poll.
    state_ttl: Option<IsoDuration>,
    /// A name for what is remembered. It is kept for each trigger of each flow alone, so the name changes nothing.
    #[serde(default)]
    #[allow(dead_code, reason = "what is remembered belongs to the trigger")]
    state_key: Option<String>,
}

/// `maxKeys` counts what the filter takes here, and not every key as for tasks: keys that are not meant may stay in the
/// bucket for ever, and would hide all that come after them.
fn max_keys_are_objects(schema: &mut Schema) {
    if let Some(description) = schema.pointer_mut("/properties/maxKeys/description") {
        *description = "How many objects one execution is started with at most, of those that the filter takes; the next \
                        poll takes more. The smaller one of `maxKeys` and `maxFiles` counts."
            .into();
    }
}

/// Which objects start an execution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum On {
    /// Those that were not there before.
    Create,
    /// Those that were there before, with another content.
    Update,
    /// Both.
    #[default]
    CreateOrUpdate,
}

/// What is remembered between two polls.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct State {
    /// What is still to be done to objects whose execution is stored.
    pending: Option<Pending>,
    /// Objects that stay, by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    seen: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    bucket: String,
    action: Action,
    move_to: Option<MoveTo>,
    keys: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    /// Entity tag and date: another content has another one of them.
    version: String,
    /// When it was last in the bucket, in seconds since 1970.
    at: i64,
}

impl State {
    /// Whether an object starts an execution, and why; nothing for one that did already.
    fn change(&self, object: &S3Object, on: On) -> Option<&'static str> {
        match self.seen.get(&object.key) {
            None => (on != On::Update).then_some("CREATE"),
            Some(seen) => (seen.version != version(object) && on != On::Create).then_some("UPDATE"),
        }
    }

    /// Remembers an object as it is: it starts nothing until it changes.
    fn saw(&mut self, object: &S3Object, now: i64) {
        self.seen.insert(object.key.clone(), Seen { version: version(object), at: now });
    }

    /// Forgets what was not in the bucket for a while.
    fn forget(&mut self, now: i64, ttl: i64) {
        self.seen.retain(|_, seen| seen.at + ttl >= now);
        if self.seen.len() > MAX_SEEN {
            let mut ages: Vec<i64> = self.seen.values().map(|seen| seen.at).collect();
            ages.sort_unstable();
            let oldest = ages[ages.len() - MAX_SEEN];
            self.seen.retain(|_, seen| seen.at >= oldest);
        }
    }
}

fn version(object: &S3Object) -> String {
    format!("{} {}", object.etag, object.last_modified)
}

impl weft_sdk::Trigger for Trigger {
    type State = State;
    type Event = Listed;
    const TYPE: &'static str = "io.kestra.plugin.aws.s3.Trigger";
    const EXAMPLES: &'static [Example] = &[Example {
        title: "Wait for files and move them away",
        yaml: r#"id: s3_listen
namespace: company.team
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: "{{ trigger.objects | jq('.[].uri') }}"
    tasks:
      - id: return
        type: io.kestra.plugin.core.debug.Return
        format: "{{ taskrun.value }}"
triggers:
  - id: watch
    type: io.kestra.plugin.aws.s3.Trigger
    interval: PT5M
    accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
    secretKeyId: "{{ secret('AWS_SECRET_KEY_ID') }}"
    region: eu-central-1
    bucket: my-bucket
    prefix: sub-dir/
    action: MOVE
    moveTo:
      key: archive
"#,
    }];
    const NEEDS: weft_sdk::Needs = crate::connection::NEEDS;

    fn poll(self, cx: &PollContext, mut state: State) -> Result<Poll<State, Listed>> {
        check_payer(self.listing.request_payer.as_deref())?;
        self.action.check(self.move_to.as_ref())?;
        self.check_target()?;
        let http = cx.http();
        let client = self.connection.client(Hands::of_poll(cx, &http))?;
        let stays = self.action == Action::None;
        let most = self.max_files.unwrap_or(MAX_FILES).min(self.listing.max_keys) as usize;
        let now = crate::date::now(jiff::SignedDuration::ZERO).as_second();
        let mut found = Vec::new();
        // Objects that stay hide none that come after them, so all keys are gone through.
        self.listing.walk(&client, u32::MAX, |object| {
            if !stays {
                if !self.is_moved(&object.key) {
                    found.push(S3Object { change_type: Some("CREATE".to_owned()), ..object });
                }
                return found.len() < most;
            }
            match state.change(&object, self.on) {
                Some(change) if found.len() < most => {
                    found.push(S3Object { change_type: Some(change.to_owned()), ..object });
                }
                // It is taken by a later poll, as what it is now.
                Some(_) => {
                    if let Some(seen) = state.seen.get_mut(&object.key) {
                        seen.at = now;
                    }
                }
                None => state.saw(&object, now),
            }
            true
        })?;
        let found = self.fetch_all(&client, found)?;
        if stays {
            for object in &found {
                state.saw(object, now);
            }
            state.forget(now, self.state_ttl.map_or(0, |ttl| ttl.0.as_secs() as i64));
        }
        if found.is_empty() {
            return Ok(Poll::nothing(state));
        }
        cx.log().info(format!("{} found", count(found.len())));
        if !stays {
            state.pending = Some(Pending {
                bucket: self.listing.bucket.to_string(),
                action: self.action,
                move_to: self.move_to,
                keys: found.iter().map(|object| object.key.clone()).collect(),
            });
        }
        Ok(Poll::nothing(state).event(Listed { objects: found }))
    }

    /// Moves or deletes what the last execution was started with.
    fn acknowledge(self, cx: &PollContext, mut state: State) -> Result<State> {
        let Some(pending) = state.pending.take() else { return Ok(state) };
        let http = cx.http();
        let client = self.connection.client(Hands::of_poll(cx, &http))?;
        for key in &pending.keys {
            pending.action.perform(&client, &pending.bucket, key, pending.move_to.as_ref())?;
        }
        Ok(state)
    }
}

impl Trigger {
    /// Refuses to move objects to where they are: none of them would ever start an execution.
    fn check_target(&self) -> Result<()> {
        let Some(to) = self.move_to.as_ref().filter(|_| self.action == Action::Move) else { return Ok(()) };
        let bucket = &*self.listing.bucket;
        let prefix = self.listing.prefix.as_deref().unwrap_or_default();
        // The folder that objects whose keys begin so are in, if it is one only.
        let Some((folder, _)) = prefix.rsplit_once('/') else { return Ok(()) };
        if to.target(bucket, "x") == (bucket.to_owned(), format!("{folder}/x")) {
            return error::property(
                "moveTo.key",
                format!(
                    "`{}` is the folder that `prefix: {prefix}` looks into, so that nothing would be moved\n\
                     hint: name a folder that `prefix` does not look into",
                    to.key
                ),
            );
        }
        Ok(())
    }

    /// Whether an object is one that was moved to where this trigger looks: it would go round for ever.
    fn is_moved(&self, key: &str) -> bool {
        let Some(to) = self.move_to.as_ref().filter(|_| self.action == Action::Move) else { return false };
        to.target(&self.listing.bucket, key) == (self.listing.bucket.to_string(), key.to_owned())
    }

    fn fetch_all(&self, client: &Client<'_>, found: Vec<S3Object>) -> Result<Vec<S3Object>> {
        let mut fetched = Vec::with_capacity(found.len());
        for (index, object) in found.into_iter().enumerate() {
            let request = get(&self.listing.bucket, &object.key)
                .maybe_header("x-amz-request-payer", self.listing.request_payer.as_deref());
            match fetch(client, &request, &numbered(index, &object.key)) {
                Ok(file) => fetched.push(S3Object { uri: file.uri(), ..object }),
                // Somebody else was faster.
                Err(error) if error.code() == "s3.no-such-key" => {}
                Err(error) => return Err(error),
            }
        }
        Ok(fetched)
    }
}

fn count(objects: usize) -> String {
    if objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(key: &str, etag: &str) -> S3Object {
        S3Object {
            uri: None,
            key: key.to_owned(),
            etag: etag.to_owned(),
            size: 1,
            last_modified: "2026-01-01T00:00:00Z".to_owned(),
            owner: None,
            change_type: None,
        }
    }

    #[test]
    fn objects_are_not_moved_to_where_they_are() {
        for (prefix, bucket, key, refused) in [
            ("in/", None, "in", true),
            ("in/", None, "in/", true),
            ("in/", Some("b"), "in", true),
            ("in/x", None, "in/", true),
            ("in/", Some("c"), "in", false),
            ("in/", None, "in/done", false),
            ("in/deep/", None, "in", false),
            ("in", None, "in", false),
            ("", None, "in", false),
        ] {
            let mut properties = json!({
                "bucket": "b", "prefix": prefix, "action": "MOVE", "moveTo": { "key": key },
            });
            if let Some(bucket) = bucket {
                properties["moveTo"]["bucket"] = json!(bucket);
            }
            let trigger: Trigger = serde_json::from_value(properties.clone()).unwrap();
            assert_eq!(trigger.check_target().is_err(), refused, "{properties}");
        }
    }

    #[test]
    fn objects_that_stay_count_once_for_each_content() {
        let mut state = State::default();
        let (a1, a2, b) = (object("a", "1"), object("a", "2"), object("b", "1"));
        for (on, expected) in
            [(On::Create, Some("CREATE")), (On::Update, None), (On::CreateOrUpdate, Some("CREATE"))]
        {
            assert_eq!(state.change(&a1, on), expected, "{on:?}");
        }
        state.saw(&a1, 100);
        assert_eq!(state.change(&a1, On::CreateOrUpdate), None);
        for (on, expected) in
            [(On::Create, None), (On::Update, Some("UPDATE")), (On::CreateOrUpdate, Some("UPDATE"))]
        {
            assert_eq!(state.change(&a2, on), expected, "{on:?}");
        }
        // `a` is gone at the next poll: if it comes back, it is new; unless it is remembered for longer.
        let mut patient = state.clone();
        state.saw(&b, 200);
        state.forget(200, 0);
        assert_eq!(state.change(&a1, On::Create), Some("CREATE"));
        patient.saw(&b, 200);
        patient.forget(200, 1000);
        assert_eq!(patient.change(&a1, On::Create), None);
    }
}
