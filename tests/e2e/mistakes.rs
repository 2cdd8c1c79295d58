//! Flows with one mistake each, as people make them: the place, and words that say how to mend it.
//!
//! `mistakes.txt` has them: a line `=== name | words`, then the flow, with a `⟦` where the mistake is. The words must be
//! in the message or the hint; ` | alone` after them says that nothing else may be said. A flow without the sign is none that
//! anything may be said against.

use serde_json::Value;

use crate::harness::Sandbox;

struct Mistake<'t> {
    name: &'t str,
    words: &'t str,
    alone: bool,
    flow: String,
    /// Line and column, from 1.
    place: Option<(u64, u64)>,
}

fn mistakes() -> Vec<Mistake<'static>> {
    let parts = include_str!("mistakes.txt").split("=== ").skip(1);
    parts
        .map(|part| {
            let (head, flow) = part.split_once('\n').unwrap();
            let (name, words) = head.split_once(" | ").unwrap_or((head, ""));
            let (words, alone) = words.strip_suffix(" | alone").map_or((words, false), |words| (words, true));
            let place = flow.find('⟦').map(|at| {
                let before = &flow[..at];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
                (line as u64, column as u64)
            });
            Mistake { name: name.trim(), words: words.trim(), alone, flow: flow.replace('⟦', ""), place }
        })
        .collect()
}

#[test]
fn every_mistake_is_found_in_its_place_with_a_way_to_mend_it() {
    let sandbox = Sandbox::new();
    let mistakes = mistakes();
    assert!(mistakes.len() > 100, "{}", mistakes.len());
    let mut arguments = vec!["validate".to_owned(), "--json".to_owned()];
    for (index, mistake) in mistakes.iter().enumerate() {
        let name = format!("{index:03}.yaml");
        sandbox.file(&name, &mistake.flow);
        arguments.push(name);
    }
    let run = sandbox.weft(&arguments).expect(2);
    let found: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let mut wrong = String::new();
    for (index, mistake) in mistakes.iter().enumerate() {
        let of_file = |one: &&Value| one["file"] == format!("{index:03}.yaml");
        let of_file: Vec<&Value> = found.iter().filter(of_file).collect();
        let is_it = |one: &&Value| {
            let text = format!("{} {}", one["message"], one["hint"]).to_lowercase();
            let at = (one["line"].as_u64().unwrap(), one["column"].as_u64().unwrap());
            Some(at) == mistake.place && text.contains(&mistake.words.to_lowercase())
        };
        let well = match mistake.place {
            None => of_file.is_empty(),
            // A mistake may have one consequence that is told too, and no more.
            Some(_) => of_file.iter().any(is_it) && of_file.len() <= if mistake.alone { 1 } else { 2 },
        };
        if !well {
            let (name, words, place) = (mistake.name, mistake.words, mistake.place);
            wrong += &format!("{name}: wanted {words:?} at {place:?}, found {of_file:#?}\n");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
