//! The drill of `scripts/drill`, small: a sale in which RabbitMQ and PostgreSQL are killed and come back.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::harness::address;

/// Of this test alone, for two of them are killed.
struct Servers(tempfile::TempDir);

impl Servers {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("mode");
        let servers = Self(folder);
        assert!(servers.backends("up").status().expect("bash is installed").success());
        servers
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn backends(&self, verb: &str) -> Command {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/backends"));
        command.arg(verb).arg(self.path()).stdin(Stdio::null());
        command
    }

    /// `--etcd URL` and so on.
    fn arguments(&self) -> Vec<String> {
        let said = self.backends("env").output().expect("bash is installed");
        let said = String::from_utf8(said.stdout).expect("text");
        let pair =
            |line: &str| line.split_once('=').map(|(name, url)| [format!("--{}", name.to_lowercase()), url.into()]);
        said.lines().filter_map(pair).flatten().collect()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = self.backends("down").status();
    }
}

#[test]
fn a_sale_with_rabbitmq_and_postgresql_killed_in_it_leaves_every_order_ended_and_the_books_balanced() {
    if address("ONSALE_TEST_DATABASE").is_none() {
        return;
    }
    let servers = Servers::start();
    let mut drill = Command::new(env!("CARGO_BIN_EXE_onsale"));
    drill.current_dir(env!("CARGO_MANIFEST_DIR"));
    drill.args(["demo", "--json", "--fans", "300", "--stock", "900", "--seed", "1"]);
    let output = drill.arg("--drill").arg(servers.path()).args(servers.arguments()).output().expect("it runs");
    let (said, shown) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{shown}");
    let summary: Value = serde_json::from_str(&said).expect("JSON");
    println!("{summary}");
    let drill = &summary["drill"];
    let counts = ["declined", "paid_late", "told_repeatedly"].map(|what| drill[what].as_u64());
    assert!(counts.iter().all(|count| count.is_some_and(|count| count > 0)), "{counts:?}");
    assert_eq!((drill["orders"].as_u64(), &summary["audit"]), (Some(300), &"clean".into()), "{shown}");
}
