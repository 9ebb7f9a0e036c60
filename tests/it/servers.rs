//! Servers of one test's own, for those tests that stop, kill and restart them. Others share the ones of `scripts/test`.

use std::{
    net::TcpListener,
    ops::Range,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

const START_DEADLINE: Duration = Duration::from_secs(60);

const PORTS: Range<u16> = 10_000..20_000;

/// Below the range from which the kernel takes ports for outgoing connections, and given once: nobody takes it while the
/// server that has it is down.
pub fn free_port() -> u16 {
    static GIVEN: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut ports = PORTS.map(|_| PORTS.start + GIVEN.fetch_add(1, Relaxed) % (PORTS.end - PORTS.start));
    ports.find(free).expect("a free port")
}

/// A process and its children; killed with it.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let command = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().expect("the server is installed"))
    }

    /// `STOP` lets it hang, `CONT` lets it go on.
    pub fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill is installed");
        assert!(sent.success(), "{name} to {id}");
    }

    /// Waits until it has ended by itself.
    pub fn ended(mut self) {
        self.0.wait().expect("ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The group is ours: it was made with the process.
        let group = format!("-{}", self.0.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}

/// Waits until the server answers `question` with a first byte of `answer`.
async fn answers(port: u16, question: &[u8], answer: u8) {
    let ask = async || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(question).await?;
        stream.read_u8().await
    };
    let until = async {
        while !matches!(timeout(Duration::from_secs(1), ask()).await, Ok(Ok(byte)) if byte == answer) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(START_DEADLINE, until).await.expect("the server starts in time");
}

pub struct Redis {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Redis {
    pub async fn start() -> Self {
        let mut server = Self { folder: tempfile::tempdir().expect("folder"), port: free_port(), process: None };
        server.restart().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// As a loss of power would, but for what the kernel already has.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// It has forgotten everything.
    pub async fn lose_all(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("appendonlydir")).expect("its data were there");
        self.restart().await;
    }

    /// How many places it has, of all events.
    pub async fn places(&self) -> usize {
        let client = redis::Client::open(self.url()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
        let queues: Vec<String> =
            redis::cmd("KEYS").arg("onsale:*:queue").query_async(&mut connection).await.expect("keys");
        let mut places = 0;
        for queue in queues {
            let count: usize = redis::cmd("ZCARD").arg(queue).query_async(&mut connection).await.expect("a count");
            places += count;
        }
        places
    }

    pub async fn restart(&mut self) {
        self.kill();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always"]).arg("--dir").arg(self.folder.path());
        self.process = Some(Process::start(&mut command));
        answers(self.port, b"PING\r\n", b'+').await;
    }
}

pub struct Rabbit {
    folder: TempDir,
    port: u16,
    distribution_port: u16,
    port_mapper_port: u16,
    _port_mapper: Process,
    process: Option<Process>,
}

impl Rabbit {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let port_mapper_port = free_port();
        // Our own: otherwise the broker leaves a daemon behind that everybody shares.
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &port_mapper_port.to_string()]);
        let mut server = Self {
            folder,
            port: free_port(),
            distribution_port: free_port(),
            port_mapper_port,
            _port_mapper: Process::start(&mut command),
            process: None,
        };
        let path = server.folder.path();
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nvm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n",
            server.port
        );
        std::fs::write(path.join("rabbitmq.conf"), config).expect("write");
        std::fs::write(path.join("enabled_plugins"), "[].").expect("write");
        server.restart().await;
        server
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub async fn restart(&mut self) {
        self.kill();
        let mut command = self.command("rabbitmq-server");
        self.process = Some(Process::start(&mut command));
        answers(self.port, b"AMQP\0\0\x09\x01", 1).await;
    }

    /// One of the broker's own programs, told which broker is meant.
    pub fn command(&self, program: &str) -> Command {
        let path = self.folder.path();
        // Not the one in /usr/sbin, which changes user and folder.
        let mut command = Command::new(Path::new("/usr/lib/rabbitmq/bin").join(program));
        command
            .env("HOME", path)
            .env("LC_ALL", "C.UTF-8")
            .env("RABBITMQ_NODENAME", format!("onsale{}@localhost", self.port))
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .env("ERL_EPMD_PORT", self.port_mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", path.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", path.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", path.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", path.join("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", path.join("pid"));
        command
    }
}

pub struct Postgres {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl Postgres {
    pub async fn start() -> Self {
        let mut server = Self::make();
        server.restart().await;
        server
    }

    /// Follows a primary which never comes: it answers reads and refuses writes.
    pub async fn standby() -> Self {
        let mut server = Self::make();
        std::fs::write(server.data().join("standby.signal"), "").expect("write");
        server.restart().await;
        server
    }

    fn make() -> Self {
        let server = Self { folder: tempfile::tempdir().expect("folder"), port: free_port(), process: None };
        // The server does not run as root, so the folder must be its user's.
        if is_root() {
            let owner = Command::new("chown").arg("postgres:postgres").arg(server.folder.path()).status();
            assert!(owner.expect("chown").success());
        }
        let mut make = postgres_program("initdb");
        make.arg("-D").arg(server.data()).args(["-U", "postgres", "-A", "trust"]);
        make.args(["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]).stdout(Stdio::null());
        assert!(make.status().expect("initdb is installed").success());
        server
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// At once, without writing anything back: the next start recovers. Its children are no part of its group and must be
    /// gone before that, so it is not simply killed.
    pub fn kill(&mut self) {
        if let Some(process) = self.process.take() {
            process.signal("QUIT");
            process.ended();
        }
    }

    pub async fn restart(&mut self) {
        self.kill();
        let mut serve = postgres_program("postgres");
        serve.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        serve.args(["-c", "unix_socket_directories="]);
        self.process = Some(Process::start(&mut serve));
        // To a request for encryption it answers no.
        answers(self.port, &[0, 0, 0, 8, 4, 210, 22, 47], b'N').await;
    }
}

pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0)
}

fn postgres_program(name: &str) -> Command {
    let program = postgres_programs().join(name);
    let mut command = if is_root() { Command::new("setpriv") } else { Command::new(&program) };
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(&program);
    }
    command.current_dir("/");
    command
}

/// Of the newest version installed, as Debian lays them out.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let version = |entry: &std::fs::DirEntry| entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
    let newest = versions.filter_map(Result::ok).max_by_key(version).expect("a version of PostgreSQL");
    newest.path().join("bin")
}
