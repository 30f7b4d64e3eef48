//! Templates of the operator, good and broken.

use std::fs;
use std::path::Path;

use edge_manager::render::{MAX_TEMPLATE_BYTES, Rendered, TemplateError, Templates, diff};
use edge_manager::site::Site;
use serde_json::json;

use crate::sites;

/// Renders `minimal` with one template of the operator, which its domain names.
fn render(source: &[u8]) -> Result<Rendered, TemplateError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("own.j2"), source).unwrap();
    let named = render_in(directory.path(), Some("own"));
    // The path is gone with the directory; the name of the file is what the tests look for.
    named.map_err(|error| TemplateError {
        template: error.template.replace(directory.path().to_str().unwrap(), "DIR"),
        ..error
    })
}

fn render_in(directory: &Path, template_override: Option<&str>) -> Result<Rendered, TemplateError> {
    let mut json = sites::json("minimal");
    json["domains"][0]["template_override"] = json!(template_override);
    Templates::with_overrides(directory)?
        .render(&Site::parse(&sites::input(json)).unwrap(), sites::version("3.2"))
}

fn configuration(files: &Rendered) -> &str {
    files.get(Rendered::MAIN).unwrap()
}

#[test]
fn each_kind_of_broken_template_gives_one_line_with_file_line_and_cause() {
    let broken: [(&str, usize, &str); 19] = [
        ("x\n{% if backend %}\ny\n", 2, "unexpected end of input"),
        ("x\n\n{% fi backend %}", 3, "unknown statement fi"),
        ("{{ backend.name", 1, "syntax error"),
        ("a\n{{ backend.name | uppercase }}", 2, "unknown filter: filter uppercase"),
        ("a\n{{ backend.name | safe }}", 2, "unknown filter: filter safe"),
        ("a\n{% if backend is strange %}{% endif %}", 2, "unknown test: test strange"),
        ("a\nb\n{{ backand.name }}", 3, "backand"),
        ("a\nb\n{{ backend.nme }}", 3, "nme"),
        ("{{ backend.name.shout() }}", 1, "unknown method"),
        ("{{ lookup('x') }}", 1, "unknown function"),
        ("a\n{% include 'none.j2' %}", 2, "none.j2"),
        ("a\n{% include 'own.j2' %}", 2, "recursion limit"),
        ("\n{{ backend }}", 2, "the value here is a map: write its parts"),
        ("\n{{ backend.cookie }}", 2, "the value here is None"),
        ("\n{{ backend.resolve }}", 2, "the value here is False"),
        ("\n{{ 'one' ~ '\\n' ~ 'two' }}", 2, "the control character U+000A"),
        ("\n{{ backend.name.replace('e', '\\r') }}", 2, "the control character U+000D"),
        ("{{ 1 / 0 }}", 1, "unable to calculate 1 / 0"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% set x = a %}{% endfor %}{% endfor %}",
            1,
            "ran out of fuel",
        ),
    ];
    for (source, line, cause) in broken {
        let error = render(source.as_bytes()).unwrap_err();
        let words = error.to_string();
        assert!(words.starts_with(&format!("template DIR/own.j2, line {line}: ")), "{source:?}: {words}");
        assert!(words.contains(cause), "{source:?}: {words}");
        assert!(!words.contains(char::is_control), "{words:?}");
    }
}

#[test]
fn what_is_no_template_at_all_is_refused_with_its_path() {
    let too_long = vec![b' '; MAX_TEMPLATE_BYTES as usize + 1];
    for (source, cause) in [(&b"ab\xff"[..], "no UTF-8 at byte 2"), (&too_long, "longer than 1048576 bytes")]
    {
        assert_eq!(render(source).unwrap_err().to_string(), format!("template DIR/own.j2: is {cause}"));
    }
}

#[test]
fn what_cannot_be_a_template_of_a_directory_is_refused_or_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let missing = Templates::with_overrides(&path.join("none")).unwrap_err().to_string();
    assert!(missing.contains("none: No such file"), "{missing}");
    fs::write(path.join("README"), "{% if").unwrap();
    fs::write(path.join("own.j2~"), "{% if").unwrap();
    fs::create_dir(path.join("directory.j2")).unwrap();
    assert!(render_in(path, None).is_ok());
    let device = path.join("device.j2");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    let no_file = render_in(path, None).unwrap_err().to_string();
    assert!(no_file.ends_with("device.j2: is no regular file"), "{no_file}");
    fs::remove_file(device).unwrap();
    fs::write(path.join("my own.j2"), "").unwrap();
    let bad_name = render_in(path, None).unwrap_err().to_string();
    assert!(bad_name.contains("my own.j2: its name has a space at byte 2"), "{bad_name}");
}

#[test]
fn a_template_that_a_domain_names_and_nobody_has_is_told_with_the_domain() {
    let directory = tempfile::tempdir().unwrap();
    let error = render_in(directory.path(), Some("gone")).unwrap_err().to_string();
    let expected = format!(
        "template gone.j2: the domain www.example.com names it, and it is not in {}",
        directory.path().display()
    );
    assert_eq!(error, expected);
}

#[test]
fn a_file_longer_than_the_limit_is_refused() {
    let piece = "#".repeat(1 << 19);
    let source = format!("{{% for i in range(200) %}}{piece}{{% endfor %}}");
    let error = render(source.as_bytes()).unwrap_err();
    assert!(error.cause.contains("more than 64 MiB"), "{error}");
}

#[test]
fn a_template_stands_in_place_of_the_built_in_one_of_its_name() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("stats.cfg.j2"), "# none\n").unwrap();
    let changes =
        diff(&sites::rendered(&sites::site("minimal")), &render_in(directory.path(), None).unwrap());
    assert!(changes.contains("\n-frontend edge_stats\n") && changes.contains("\n+# none\n"), "{changes}");
    fs::write(directory.path().join("stats.cfg.j2"), "x\n{{ globl }}").unwrap();
    let error = render_in(directory.path(), None).unwrap_err();
    assert!(error.template.ends_with("stats.cfg.j2") && error.line == Some(2), "{error}");
}

#[test]
fn the_template_of_a_domain_is_that_of_its_backend_alone() {
    let files = sites::rendered(&sites::site("everything"));
    let configuration = configuration(&files);
    assert_eq!(configuration.matches("X-Backend LEGACY").count(), 1);
    assert_eq!(configuration.matches("X-Backend").count(), 1);
    assert!(configuration.contains("\n  server shop1 "), "{configuration}");
}

#[test]
fn templates_may_use_several_lines_of_their_own_and_methods_of_python() {
    let files = render(
        b"{% macro lines(name) %}\nbackend {{ name }}\n  # {{ name.upper() }}\n{% endmacro %}{{ lines(backend.name) }}\
          {% set block %}\n  balance first\n{% endset %}{{ block }}\
          {% if backend.name.startswith('w') %}  # w\n{% endif %}",
    )
    .unwrap();
    assert!(configuration(&files).contains("\nbackend web\n  # WEB\n  balance first\n  # w\n"));
}

#[test]
fn text_of_a_page_cannot_leave_it() {
    let mut json = sites::json("minimal");
    json["global"] = json!({"page": {"title": "</title><script>%[src]</script>", "main_message": "50%"}});
    let site = Site::parse(&sites::input(json)).unwrap();
    let files = sites::rendered(&site);
    let page = files.get("pages/default.html").unwrap();
    assert!(
        page.contains("<title>&lt;&#x2f;title&gt;&lt;script&gt;%%[src]&lt;&#x2f;script&gt;</title>"),
        "{page}"
    );
    assert!(page.contains("<p>50%%</p>"), "{page}");
}
