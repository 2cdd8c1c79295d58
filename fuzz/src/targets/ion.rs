//! Any text as Ion rows, for both who read them: `fromIon()` of expressions and `mongodb.Load`. JSON is such text, and means
//! the same to both.

use serde_json::Value as Json;
use weft_expr::{Template, Value};

use crate::text;
use crate::world::World;

/// Deeper JSON is refused by all three readers, each at a depth of its own.
const DEPTH: usize = 15;

pub fn run(input: &[u8]) -> Option<()> {
    let rows = text(input)?;
    let world = World { file: rows.to_owned() };
    let read = |template: &str| {
        let template = Template::parse(template).expect("a fixed template");
        template.render_typed(&Value::from_pairs::<_, &str, Value>([]), &world)
    };
    let first = read("{{ fromIon(read('rows')) }}");
    let all = read("{{ fromIon(read('rows'), allRows=true) }}");
    if let (Ok(first), Ok(all)) = (&first, &all)
        && let Ok(found) = all.get_item_by_index(0)
    {
        assert_eq!(json(first), json(&found), "the first row is the first of all");
    }
    if let Ok(expected) = serde_json::from_str::<Json>(rows)
        && expected.is_object()
        && is_plain(&expected, 0)
    {
        let found = json(&first.expect("JSON is Ion text"));
        assert_eq!(found, expected, "JSON means the same");
    }
    super::mongodb::load(input, "rows.ion");
    Some(())
}

fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

/// Whether all of it is what other readers have as well: not numbers beyond what fits, nor much depth.
fn is_plain(value: &Json, depth: usize) -> bool {
    depth < DEPTH
        && match value {
            Json::Number(number) => number.is_i64(),
            Json::Array(items) => items.iter().all(|item| is_plain(item, depth + 1)),
            Json::Object(members) => members.values().all(|member| is_plain(member, depth + 1)),
            _ => true,
        }
}
