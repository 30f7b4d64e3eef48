//! Whatever a client sends, haproxy.cfg keeps its lines.

use edge_manager::render::{Rendered, diff};
use edge_manager::site::{Site, SiteInput};
use proptest::prelude::*;
use serde_json::Value;

use crate::sites;

/// Pointers to all texts of a site (RFC 6901), numbers that stand for one too.
fn leaves(json: &Value, pointer: &str, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => {
            fields.iter().for_each(|(key, value)| leaves(value, &format!("{pointer}/{key}"), found));
        }
        Value::Array(entries) => {
            entries.iter().enumerate().for_each(|(i, value)| leaves(value, &format!("{pointer}/{i}"), found));
        }
        Value::String(_) => found.push(pointer.into()),
        _ => {}
    }
}

/// `everything`, as its types write it: every text is a JSON string, every field that is left out is null.
fn everything() -> Value {
    serde_json::to_value(sites::input(sites::json("everything"))).unwrap()
}

fn texts(json: &Value) -> Vec<String> {
    let mut found = Vec::new();
    leaves(json, "", &mut found);
    found
}

/// What a value could change: how many lines a file has, what each line of haproxy.cfg begins with, and what quotes,
/// comments and variables are in them. Sorted, since names decide the order of sections.
fn shape(files: &Rendered) -> Vec<String> {
    let lengths = files.files().map(|(path, contents)| format!("{path}: {} lines", contents.lines().count()));
    let configuration = files.get(Rendered::MAIN).unwrap();
    let keywords = configuration.lines().map(|line| line.split_whitespace().next().unwrap_or("").to_owned());
    let special = ['"', '\'', '\\', '#', '$'];
    let special =
        special.map(|special| format!("{special}: {} times", configuration.matches(special).count()));
    let mut shape: Vec<String> = lengths.chain(keywords).chain(special).collect();
    shape.sort();
    shape
}

/// The last name of a path such as `global.exempt[0]` or `/global/exempt/0`.
fn field_name(path: &str) -> &str {
    let is_name = |part: &&str| !part.is_empty() && !part.bytes().all(|b| b.is_ascii_digit());
    path.split(['.', '/', '[', ']']).rfind(is_name).unwrap()
}

/// Names that others refer to: a good new one makes the reference wrong.
const REFERENCES: [(&str, &str); 2] = [("name", "backend_name"), ("name", "local")];

fn assert_harmless(json: &Value, pointer: &str, hostile: &str, expected: &Rendered) {
    let mut changed = json.clone();
    *changed.pointer_mut(pointer).unwrap() = hostile.into();
    match Site::parse(&sites::input(changed)) {
        Err(error) => {
            let (refused, sent) = (field_name(&error.field), field_name(pointer));
            let is_reference = REFERENCES.contains(&(sent, refused))
                && error.reason.to_string().starts_with("is not the name of");
            assert!(refused == sent || is_reference, "{pointer} = {hostile:?}: {error}");
            let words = error.to_string();
            assert!(!words.contains(char::is_control) && words.len() < 1000, "{words:?}");
        }
        Ok(site) => {
            let rendered = match sites::templates().render(&site, sites::version("3.2")) {
                Ok(rendered) => rendered,
                Err(error) => {
                    let names_it =
                        field_name(pointer) == "template_override" && error.template.contains(hostile);
                    return assert!(names_it, "{pointer} = {hostile:?}: {error}");
                }
            };
            let has_same_shape = shape(&rendered) == shape(expected);
            assert!(has_same_shape, "{pointer} = {hostile:?}:\n{}", diff(expected, &rendered));
            for (path, contents) in rendered.files() {
                assert!(
                    !contents.contains(|c: char| c.is_control() && c != '\n'),
                    "{path}: {pointer} = {hostile:?}"
                );
            }
        }
    }
}

#[test]
fn the_site_has_a_text_in_every_field_that_takes_one() {
    let json = everything();
    let texts = texts(&json);
    let mut missing = Vec::new();
    fn nulls(json: &Value, name: &str, found: &mut Vec<String>) {
        match json {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| nulls(value, key, found)),
            Value::Array(entries) => entries.iter().for_each(|value| nulls(value, name, found)),
            Value::Null => found.push(name.into()),
            _ => {}
        }
    }
    nulls(&json, "", &mut missing);
    missing.retain(|name| !texts.iter().any(|pointer| field_name(pointer) == name));
    // These are no texts, and set in another part of the site.
    missing.retain(|name| {
        !["health_check", "hsts", "learn", "learn_confirm", "websocket"].contains(&name.as_str())
    });
    assert_eq!(missing, Vec::<String>::new());
    assert!(texts.len() > 80, "{}", texts.len());
}

#[test]
fn no_crafted_text_in_any_field_adds_a_line() {
    let crafted = [
        "\n",
        "\r",
        "\r\n",
        "\n  user root",
        "\n\nbackend evil\n  server x 192.0.2.66:80",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\t",
        " ",
        " check",
        " # ",
        "#",
        "\"",
        "'",
        "\\",
        "\\\n",
        "$HOME",
        "${HOME}",
        "\"${HOME}\"",
        "%[src]",
        "%{+Q}",
        "{{ 7 }}",
        "{% raw %}",
        "<script>",
        "&",
        ";",
        "||",
        "a b",
        "if TRUE",
        "unless",
        "/../",
        "..",
        "*",
        "[::1]",
        "é",
        "\u{202e}",
    ];
    let json = everything();
    let expected = sites::rendered(&sites::site("everything"));
    for pointer in texts(&json) {
        let harmless = json.pointer(&pointer).unwrap().as_str().unwrap();
        for text in crafted {
            for hostile in [text.to_owned(), format!("{harmless}{text}"), format!("{text}{harmless}")] {
                assert_harmless(&json, &pointer, &hostile, &expected);
            }
        }
        assert_harmless(&json, &pointer, &format!("{harmless}{}", "a".repeat(2000)), &expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn no_text_in_any_field_adds_a_line(
        field in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        inserted in prop_oneof![
            "\\PC{1,20}",
            any::<String>(),
            "[\\x00-\\x7f]{1,8}",
            "[a-z0-9.:/_,-]{1,6}",
            "[\n\r\t \"'\\\\#$%]{1,3}",
        ],
        replaces in any::<bool>(),
    ) {
        let json = everything();
        let texts = texts(&json);
        let pointer = field.get(&texts);
        let harmless = json.pointer(pointer).unwrap().as_str().unwrap();
        let at = harmless.char_indices().map(|(at, _)| at).nth(at.index(harmless.chars().count())).unwrap();
        let hostile = if replaces { inserted } else { format!("{}{inserted}{}", &harmless[..at], &harmless[at..]) };
        prop_assume!(!hostile.is_empty());
        thread_local! {
            static EXPECTED: Rendered = sites::rendered(&sites::site("everything"));
        }
        EXPECTED.with(|expected| assert_harmless(&json, pointer, &hostile, expected));
    }
}

#[test]
fn an_unknown_field_is_refused_by_its_name() {
    let mut json = sites::json("minimal");
    json["backends"][0]["servers"][0]["optoins"] = "check".into();
    let error = serde_json::from_value::<SiteInput>(json).unwrap_err().to_string();
    assert!(error.contains("optoins"), "{error}");
}
