use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use super::*;
use crate::access::Role;

fn app() -> (tempfile::TempDir, Arc<App>) {
    let dir = tempfile::tempdir().unwrap();
    let services = Services {
        database: dir.path().join("rules.db"),
        state_dir: dir.path().join("state"),
        sockets: Vec::new(),
        wait: Duration::ZERO,
        environment_key: None,
        is_local: true,
        configuration: crate::configuration::Settings {
            dir: dir.path().join("haproxy"),
            templates: None,
            program: crate::haproxy::Program::new("haproxy"),
            control: crate::haproxy::Control::Nobody,
            patience: crate::configuration::Patience::default(),
        },
        defaults: crate::sites::Defaults::default(),
        certificates: crate::certificates::Settings::of(dir.path().join("certificates")),
    };
    let app = Arc::new(App::open(services, 1_000_000_000).unwrap());
    (dir, app)
}

async fn text(response: axum::response::Response) -> (StatusCode, String) {
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

const FAULT: &str = r#"{"status":"error","message":"a fault of edge-manager itself: its log says more"}"#;

#[tokio::test]
async fn a_handler_that_panics_is_an_error_as_any_other() {
    let router = Router::new()
        .route(
            "/",
            get(|| async {
                if true {
                    panic!("secret")
                }
            }),
        )
        .layer(CatchPanicLayer::custom(error::of_panic));
    let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
    assert_eq!(text(response).await, (StatusCode::INTERNAL_SERVER_ERROR, FAULT.to_owned()));
}

#[tokio::test]
async fn work_that_panics_is_an_error_and_gives_its_place_free() {
    let (_dir, app) = app();
    for _ in 0..200 {
        let error = app.blocking(|_| if true { panic!("secret") } else { Ok(()) }).await.unwrap_err();
        assert_eq!(text(error.into_response()).await.1, FAULT);
    }
    assert_eq!(app.blocking(|_| Ok(7)).await.unwrap(), 7);
}

#[test]
fn a_message_is_one_line_of_bounded_length() {
    let error = ApiError::bad_request("a\nb\u{1b}\u{85}");
    assert_eq!(error.to_string(), "a\\nb\\u{1b}\\u{85}");
    let long = ApiError::bad_request("ä".repeat(5000)).to_string();
    assert!(long.len() < 2100 && long.ends_with("ä..."), "{}", long.len());
}

#[test]
fn the_description_has_every_route_and_what_it_needs() {
    let described = serde_json::to_value(openapi()).unwrap();
    let routes = list();
    assert!(routes.len() >= 8);
    for Route { method, path, role } in &routes {
        let operation = &described["paths"][path][method.as_str().to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        assert_eq!(operation["security"].is_array(), role.is_some(), "{method} {path}");
        assert_eq!(operation["responses"]["401"].is_object(), role.is_some(), "{method} {path}");
        let twice = routes.iter().filter(|other| other.method == *method && other.path == *path).count();
        assert_eq!(twice, 1, "{method} {path}");
    }
    let count: usize =
        described["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
    assert_eq!(count, routes.len(), "each is in the list");
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_refuses() {
    let described = serde_json::to_value(openapi()).unwrap();
    let mut names = std::collections::HashSet::new();
    for Route { method, path, .. } in list() {
        let operation = &described["paths"][&path][method.as_str().to_ascii_lowercase()];
        assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}");
        let takes = operation["parameters"].is_array() || operation["requestBody"].is_object();
        assert!(!takes || operation["responses"]["400"].is_object(), "{method} {path}");
    }
    assert!(names.contains("get_api_blocked_ips"), "{names:?}");
    let health = &described["paths"]["/health"]["get"]["responses"]["500"]["content"]["application/json"];
    assert_eq!(health["schema"]["$ref"], "#/components/schemas/Health");
}

#[test]
fn only_what_shows_nothing_is_for_everybody() {
    let public: Vec<_> =
        list().into_iter().filter(|route| route.role.is_none()).map(|route| route.path).collect();
    assert_eq!(public, ["/health"]);
    let writes = |route: &&Route| route.method != axum::http::Method::GET;
    assert!(list().iter().filter(writes).all(|route| route.role >= Some(Role::Operator)));
}

/// Work that has taken all of some places.
struct Occupied {
    end: std::sync::mpsc::Sender<()>,
    work: Vec<tokio::task::JoinHandle<Result<(), ApiError>>>,
}

/// Takes so many places by `way`, and has them until it is let go.
async fn occupy<F>(
    app: &Arc<App>,
    count: usize,
    way: impl Fn(Arc<App>, Box<dyn FnOnce() + Send>) -> F,
) -> Occupied
where
    F: Future<Output = Result<(), ApiError>> + Send + 'static,
{
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let ended = Arc::new(std::sync::Mutex::new(ended));
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let work = (0..count).map(|_| {
        let (ended, begun) = (ended.clone(), begun.clone());
        let until_let_go = move || {
            let _ = begun.send(());
            // Until the other end is gone.
            let _ = ended.lock().unwrap().recv();
        };
        tokio::spawn(way(app.clone(), Box::new(until_let_go)))
    });
    let work: Vec<_> = work.collect();
    for _ in 0..count {
        begins.recv().await.unwrap();
    }
    Occupied { end, work }
}

impl Occupied {
    async fn let_go(self) {
        drop(self.end);
        for work in self.work {
            work.await.unwrap().unwrap();
        }
    }
}

/// The answer to a `GET`, unless there is none for a long time.
async fn answer(app: &Arc<App>, path: &str, key: Option<&str>) -> Option<(StatusCode, String)> {
    let from = Peer::Network("127.0.0.1:1".parse().unwrap());
    let mut request = Request::get(path).extension(from);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    let answer = router(app.clone(), Router::new()).oneshot(request.body(Body::empty()).unwrap());
    let answer = tokio::time::timeout(Duration::from_secs(60), answer).await.ok()?;
    Some(text(answer.unwrap()).await)
}

#[tokio::test]
async fn who_changes_nothing_does_not_wait_behind_changes() {
    let (_dir, app) = app();
    let occupied = occupy(&app, 64, |app, work| async move {
        app.blocking(|_| {
            work();
            Ok(())
        })
        .await
    })
    .await;
    let listed = answer(&app, "/api/blocked-ips", None).await;
    let resources = answer(&app, "/api/resources", None).await;
    let health = answer(&app, "/health", None).await;
    occupied.let_go().await;
    assert_eq!(listed, Some((StatusCode::OK, "[]".to_owned())));
    assert_eq!(resources, Some((StatusCode::OK, r#"{"resources":[],"next":null}"#.to_owned())));
    assert_eq!(health.unwrap().0, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn who_asks_is_known_however_much_is_read() {
    let (_dir, app) = app();
    let caller = crate::access::Caller::command_line();
    let key = crate::access::add_key(&app.store, &caller, "page", Role::Reader, 1).unwrap();
    let occupied = occupy(&app, 16, |app, work| async move {
        app.reading(|_| {
            work();
            Ok(())
        })
        .await
    })
    .await;
    let known = answer(&app, "/openapi.json", Some(key.reveal())).await;
    let unknown = answer(&app, "/openapi.json", Some("other")).await;
    occupied.let_go().await;
    assert_eq!(known.unwrap().0, StatusCode::OK);
    assert_eq!(unknown.unwrap().0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn changes_of_the_site_that_wait_for_their_turn_hold_nobody_up() {
    let (_dir, app) = app();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let first = {
        let app = app.clone();
        tokio::spawn(async move {
            app.publishing(move |_| {
                let _ = begun.send(());
                // Until the other end is gone.
                let _ = ended.recv();
                Ok(())
            })
            .await
        })
    };
    begins.recv().await.unwrap();
    let ask = |method: &str, path: &str, body: &'static str| {
        let from = Peer::Network("127.0.0.1:1".parse().unwrap());
        let request =
            Request::builder().method(method).uri(path).header("host", "127.0.0.1:8000").extension(from);
        router(app.clone(), Router::new()).oneshot(request.body(Body::from(body)).unwrap())
    };
    // More than there are places for all other work together.
    let domain = r#"{"domain": "a.example", "backend_name": "a b"}"#;
    let waiting: Vec<_> = (0..100).map(|_| tokio::spawn(ask("POST", "/api/domain", domain))).collect();
    tokio::task::yield_now().await;
    let mut answers = Vec::new();
    let rule = r#"{"ip": "192.0.2.1"}"#;
    for (method, path, body) in
        [("POST", "/api/rules", rule), ("GET", "/api/domains", ""), ("GET", "/api/site", "")]
    {
        answers.push(tokio::time::timeout(Duration::from_secs(60), ask(method, path, body)).await);
    }
    let is_waiting = waiting.iter().all(|change| !change.is_finished());
    drop(end);
    for answer in answers {
        assert!(answer.unwrap().unwrap().status().is_success());
    }
    assert!(is_waiting, "one at a time");
    first.await.unwrap().unwrap();
    for change in waiting {
        assert_eq!(change.await.unwrap().unwrap().status(), StatusCode::BAD_REQUEST);
    }
}
