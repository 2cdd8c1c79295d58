use proptest::prelude::*;

use super::*;

#[test]
fn globs_match_as_in_java() {
    for (pattern, matching, other) in [
        ("*.csv", &["a.csv", ".csv", ".hidden.csv"][..], &["a.txt", "d/a.csv", "a.csv.gz"][..]),
        ("*", &["a", ".a", "a.b", ""], &["d/a"]),
        ("**", &["a", ".a", "d/a", "d/e/.f"], &[]),
        ("**/*.csv", &["d/a.csv", "d/e/a.csv"], &["a.csv"]),
        ("**.csv", &["a.csv", "d/a.csv"], &["a.txt"]),
        ("d/**", &["d/a", "d/e/a"], &["d", "da/b"]),
        ("d/*/x", &["d/e/x"], &["d/x", "d/e/f/x"]),
        ("?", &["a", "é", "."], &["", "ab", "/"]),
        ("a?c", &["abc"], &["a/c", "ac"]),
        ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
        ("[!a-c]x", &["dx", "^x"], &["ax", "/x"]),
        ("[^a]", &["^", "a"], &["b"]),
        ("[-a]", &["-", "a"], &["b"]),
        ("[a-]", &["-", "a"], &["b"]),
        ("[!-a]", &["b"], &["-", "a"]),
        ("[+-9]", &["5", "."], &["/"]),
        ("[*?]", &["*", "?"], &["a"]),
        ("[\\]", &["\\"], &["a"]),
        ("[&&]", &["&"], &["a"]),
        ("[a[b]", &["a", "[", "b"], &["]"]),
        ("{a,b*}", &["a", "b", "bcd"], &["c", "ab"]),
        ("{,a}x", &["x", "ax"], &["bx"]),
        ("{a/b,c}.t", &["a/b.t", "c.t"], &["a.t"]),
        ("*.{csv,parquet}", &["x.csv", "x.parquet"], &["x.csvparquet"]),
        ("{[a,]x,b}", &["ax", ",x", "b"], &["x"]),
        ("a}b,c", &["a}b,c"], &["ab"]),
        (r"\*\{\[", &["*{["], &["a{["]),
        (r"{a\,b,c}", &["a,b", "c"], &["a"]),
        ("a.b+c(d)|$^", &["a.b+c(d)|$^"], &["axb+c(d)|$^"]),
        ("***", &["a", "a/b"], &[]),
        ("", &[""], &["a"]),
        ("Größe", &["Größe"], &["größe"]),
        ("glob:*.csv", &["a.csv"], &["d/a.csv"]),
        (r"regex:[a-z]+\.csv|x", &["abc.csv", "x"], &["1.csv", "xx", "a.csvx"]),
    ] {
        let glob = Glob::new(pattern).unwrap();
        for path in matching {
            assert!(glob.matches(path), "`{pattern}` must match `{path}`");
        }
        for path in other {
            assert!(!glob.matches(path), "`{pattern}` must not match `{path}`");
        }
    }
}

#[test]
fn invalid_patterns_name_the_position() {
    for (pattern, position, reason) in [
        ("ab[", 3, "never closed"),
        ("é[a", 2, "never closed"),
        ("[a-", 1, "never closed"),
        ("a[]b", 2, "empty"),
        ("[!]", 1, "empty"),
        ("[a/b]", 3, "`/`"),
        ("[z-a]", 3, "range"),
        ("[a-c-e]", 5, "range"),
        ("[--a]", 3, "range"),
        ("x{a,{b}}", 5, "nested"),
        ("x{a", 2, "never closed"),
        (r"ab\", 3, "no character"),
        ("glob:a[", 7, "never closed"),
    ] {
        let error = Glob::new(pattern).unwrap_err();
        assert_eq!(error.code(), "files.invalid-pattern");
        let text = error.to_string();
        assert!(text.contains(&format!("`{pattern}` at character {position}:")), "{text}");
        assert!(text.contains(reason), "{text}");
    }
    for pattern in ["regex:(", "regex:a{99999}{99999}", r"regex:(a)\1"] {
        let text = Glob::new(pattern).unwrap_err().to_string();
        assert!(text.contains(pattern) && !text.contains('\n'), "{text}");
    }
}

#[test]
fn sets_are_relative_to_their_directory() {
    let root = Path::new("/tmp/wd");
    for (pattern, matching, other, depth) in [
        ("*.csv", &["a.csv"][..], &["d/a.csv"][..], Some(1)),
        ("/d/a.csv", &["d/a.csv"], &["a.csv"], Some(2)),
        ("./a.csv", &["a.csv"], &[], Some(1)),
        ("/tmp/wd/a.csv", &["a.csv"], &["tmp/wd/a.csv"], Some(1)),
        ("/tmp/wdx/a.csv", &["tmp/wdx/a.csv"], &["a.csv"], Some(3)),
        ("d/**", &["d/e/f"], &["a"], None),
        ("glob:**/*.csv", &["a.csv", "d/a.csv"], &["a.txt"], None),
        ("glob:/tmp/wd/*.csv", &["a.csv"], &["d/a.csv"], None),
        ("regex:.*/d/.*", &["d/a.csv"], &["a.csv"], None),
        ("{a/b/c,x}", &["x", "a/b/c"], &[], Some(3)),
    ] {
        let set = PatternSet::in_directory(root, &[pattern]).unwrap();
        assert_eq!(set.max_depth(), depth, "{pattern}");
        for path in matching {
            assert!(set.matches(path), "`{pattern}` must match `{path}`");
        }
        for path in other {
            assert!(!set.matches(path), "`{pattern}` must not match `{path}`");
        }
    }
    let both = PatternSet::in_directory(root, &["a", "b/c"]).unwrap();
    assert!(both.matches("a") && both.matches("b/c") && !both.matches("b"));
    assert_eq!(both.max_depth(), Some(2));
    let none = PatternSet::in_directory(root, &[] as &[&str]).unwrap();
    assert!(!none.matches("a"));
}

#[test]
fn stars_on_both_sides_of_the_end_of_a_group_stay_in_their_folder() {
    for pattern in ["{*}*", "*{*}", "{*,a}*"] {
        let glob = Glob::new(pattern).unwrap();
        assert!(glob.matches("a.b") && !glob.matches("a/b"), "{pattern}");
    }
}

#[test]
fn patterns_that_lead_out_are_refused() {
    for pattern in ["../x", "a/../b", "/tmp/wd/../x", "..", "**/.."] {
        let error = PatternSet::in_directory(Path::new("/tmp/wd"), &[pattern]).unwrap_err();
        assert_eq!(error.code(), "files.escape", "{pattern}");
    }
    assert!(PatternSet::in_directory(Path::new("/tmp/wd"), &["..x", "x..", "a/..."]).is_ok());
}

#[test]
fn namespace_filters_match_in_any_folder() {
    for (include, exclude, matching, other) in [
        (&["scripts/*.py"][..], &[][..], &["scripts/a.py", "x/scripts/a.py"][..], &["a.py"][..]),
        (&["a.py"], &[], &["a.py", "x/a.py"], &["ba.py"]),
        (&["*.py"], &["?.py"], &["aa.py", "x/aa.py"], &["a.sql", "x/a.py"]),
        (&["/*.py"], &[], &["a.py"], &["x/a.py"]),
        (&["**/*.py"], &[], &["a.py", "x/a.py"], &["a.sql"]),
        (&[], &["secret/**"], &["a.py"], &["secret/a", "x/secret/a"]),
        (&["a.py", "b.py"], &["x/**"], &["a.py", "b.py"], &["x/a.py"]),
        (&[], &[], &["a"], &[]),
        (&["regex:.*\\.sql"], &[], &["x/a.sql"], &["a.py"]),
    ] {
        let filter = FileFilter::new(include, exclude).unwrap();
        for path in matching {
            assert!(filter.matches(path), "{include:?} without {exclude:?} must take `{path}`");
        }
        for path in other {
            assert!(!filter.matches(path), "{include:?} without {exclude:?} must leave `{path}`");
        }
    }
    let error = FileFilter::new(&["ab["], &[] as &[&str]).unwrap_err().to_string();
    assert!(error.contains("`ab[` at character 3"), "{error}");
}

/// Matches nothing, of no length; no glob of the test has it.
const END_OF_GROUP: char = '\0';

/// Slow and obvious: tries every way in which a glob can take its text.
fn reference(glob: &[char], text: &[char]) -> bool {
    match glob {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|n| reference(rest, &text[n..])),
        ['*', rest @ ..] => {
            let run = text.iter().take_while(|&&c| c != '/').count();
            (0..=run).any(|n| reference(rest, &text[n..]))
        }
        ['?', rest @ ..] => text.first().is_some_and(|&c| c != '/') && reference(rest, &text[1..]),
        ['\\', c, rest @ ..] => text.first() == Some(c) && reference(rest, &text[1..]),
        ['{', rest @ ..] => {
            let close = rest.iter().position(|&c| c == '}').unwrap();
            rest[..close].split(|&c| c == ',').any(|one| {
                // Two `*` that only meet where a group ends are not `**`.
                let whole: Vec<char> =
                    one.iter().chain(&[END_OF_GROUP]).chain(&rest[close + 1..]).copied().collect();
                reference(&whole, text)
            })
        }
        [END_OF_GROUP, rest @ ..] => reference(rest, text),
        ['[', rest @ ..] => {
            let close = rest.iter().position(|&c| c == ']').unwrap();
            let (negated, set) = match &rest[..close] {
                ['!', set @ ..] => (true, set),
                set => (false, set),
            };
            let within = |c: char| match set {
                [low, '-', high] => (*low..=*high).contains(&c),
                set => set.contains(&c),
            };
            text.first().is_some_and(|&c| c != '/' && within(c) != negated)
                && reference(&rest[close + 1..], &text[1..])
        }
        [c, rest @ ..] => text.first() == Some(c) && reference(rest, &text[1..]),
    }
}

proptest! {
    #[test]
    fn globs_agree_with_the_reference(
        glob in r"([abc./]|\*{1,2}|\?|\[!?[abc]{1,3}\]|\[!?a-c\]|\{[ab*./]{0,3}(,[ab?]{0,2}){0,2}\}|\\[*?{a]){0,8}",
        texts in proptest::collection::vec("[abc./*?{]{0,10}", 1..8),
    ) {
        let compiled = Glob::new(&glob).unwrap();
        let chars: Vec<char> = glob.chars().collect();
        for text in texts {
            let expected = reference(&chars, &text.chars().collect::<Vec<_>>());
            prop_assert_eq!(compiled.matches(&text), expected, "`{}` on `{}`", glob, text);
        }
    }

    #[test]
    fn no_pattern_panics(pattern in r"(glob:|regex:)?[\[\]{}!^,*?\\a-c/é&~-]{0,12}", text in ".{0,8}") {
        if let Ok(glob) = Glob::new(&pattern) {
            glob.matches(&text);
        }
    }
}
