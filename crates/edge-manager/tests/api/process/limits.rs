//! What is left for the command line when clients have taken the rest.

use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use edge_e2e::eventually;

use super::Home;

#[test]
fn with_few_descriptors_the_command_line_is_answered_whatever_clients_hold() {
    let home = Home::new();
    let ready = home.path("ready");
    let inner = home.command(&[]);
    let mut command = Command::new("/bin/sh");
    // `ulimit -n` sets the hard limit too.
    let run = "ulimit -n 128; exec \"$0\" serve --ready-file \"$1\" --log-dir \"$2\" --log warn";
    command.args(["-c", run, env!("CARGO_BIN_EXE_edge-manager")]).arg(&ready).arg(home.path("logs"));
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let mut child = command.spawn().unwrap();
    let address: SocketAddr =
        eventually("it serves", || std::fs::read_to_string(&ready).ok()?.trim().parse().ok());
    let held: Vec<_> = (0..300).map_while(|_| TcpStream::connect(address).ok()).collect();
    assert!(held.len() > 128, "{}", held.len());
    for n in 1..20 {
        let (code, said, error) = home.run(&["block", &format!("192.0.2.{n}"), "--wait", "0s"]);
        assert_eq!(code, 3, "{said} {error}");
    }
    let log = std::fs::read_to_string(home.path("logs/manager.log")).unwrap();
    assert!(log.contains("leaves room for fewer connections"), "{log}");
    let _ = child.kill();
    child.wait().unwrap();
}
