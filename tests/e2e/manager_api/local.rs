//! What a user of the machine can do who has no key.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use edge_e2e::{Request, eventually};
use nix::unistd::{Uid, User};
use serde_json::json;

use super::Supervised;

#[test]
fn a_user_without_a_key_runs_no_lua_as_root() {
    let served = Supervised::without_key();
    let mut api = served.manager.api();
    let own = tempfile::tempdir().expect("a directory");
    let mark = own.path().join("mark");
    let lua = format!(
        "os.execute('id > {0}') local f = io.open('{0}', 'w') f:write('x') f:close()\n",
        mark.display()
    );
    fs::write(own.path().join("edge_filter.lua"), lua).unwrap();
    fs::set_permissions(own.path(), Permissions::from_mode(0o777)).unwrap();
    if let (true, Ok(Some(nobody))) = (Uid::effective().is_root(), User::from_name("nobody")) {
        let (uid, gid) = (Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()));
        chown(own.path().join("edge_filter.lua"), uid, gid).unwrap();
        chown(own.path(), uid, gid).unwrap();
    }
    let mut site = api.get("/api/site").json();
    let stated = site["global"]["filter"]["module_dir"].clone();
    site["global"]["filter"]["module_dir"] = json!(own.path());
    let global = site["global"].clone();
    // Without a key nothing of it is looked at; with one, and on the command line, the directory is not taken.
    for (path, body) in [("/api/global", &global), ("/api/site", &site), ("/api/site?dry_run=true", &site)] {
        let answer = api.call("PUT", path, &body.to_string());
        assert_eq!(answer.status, 403, "{path} {answer:?}");
    }
    let file = served.manager.dir().join("site.json");
    fs::write(&file, site.to_string()).unwrap();
    let put = served.manager.command(&["site", "apply", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&put.stderr);
    assert!(!put.status.success() && said.contains("global.filter.module_dir"), "{put:?}");
    // A change that may be made is published, and a new worker runs it.
    let answer = api.post("/api/domain", &served.domain("other.example", "other").to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    eventually("the new domain", || {
        served.manager.send(&Request::get("/").host("other.example")).is_from_backend().then_some(())
    });
    assert!(!mark.exists(), "{:?}", fs::read_to_string(&mark));
    assert_eq!(api.get("/api/global").json()["filter"]["module_dir"], stated);
}
