//! The command line. Each subcommand is a few lines in `cli`, or a module of its own.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use onsale::{bench, cli, demo, failure};

// Less memory per connection than the system's allocator, and steadier under many threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a node: with embedded stores unless addresses of servers are given.
    Serve(cli::serve::Options),
    /// Show a whole sale: a node, simulated fans, and an audit made from the stores.
    Demo(demo::Options),
    /// The simulated fans of a demonstration, as a process of their own.
    #[command(hide = true)]
    Fans(demo::fans::Options),
    /// Measure, side by side with what it is compared to.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Show or set the stock of an event's ticket types, through the admin API: as an operator, an admin, or its organizer.
    Stock(cli::stock::Options),
    /// Show and steer an event's waiting room, through the admin API.
    #[command(subcommand)]
    Queue(cli::queue::Command),
    /// Create accounts, grant and revoke roles, in the database itself.
    #[command(subcommand)]
    Account(cli::account::Command),
    /// Make what lets nodes into a cluster; see and steer what its nodes run.
    #[command(subcommand)]
    Cluster(cli::cluster::Command),
    /// Show or rotate the keys that sign tokens and tickets, through the admin API.
    #[command(subcommand)]
    Keys(cli::keys::Command),
    /// Compare the ledger with the payment providers' records; the exit status is 1 if they differ.
    Reconcile(cli::reconcile::Options),
    /// Check the published files of a queue's draw, offline.
    VerifyDraw(cli::verify_draw::Options),
    /// Print the effective configuration, secrets redacted.
    Config(cli::ConfigOptions),
    /// Print the OpenAPI document.
    Openapi,
    /// Print completions for a shell.
    Completions { shell: clap_complete::Shell },
}

fn main() -> ExitCode {
    // Two providers are compiled in by dependencies; the choice must be made before the first TLS use.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let result = match Arguments::parse().command {
        Command::Serve(options) => cli::serve::run(options),
        Command::Demo(options) => cli::block_on(demo::run(options)),
        Command::Fans(options) => cli::block_on(demo::fans::run(options)),
        Command::Bench(command) => bench::run(command),
        Command::Stock(options) => cli::block_on(cli::stock::run(options)),
        Command::Queue(command) => cli::block_on(cli::queue::run(command)),
        Command::Account(command) => cli::block_on(cli::account::run(command)),
        Command::Cluster(command) => cli::block_on(cli::cluster::run(command)),
        Command::Keys(command) => cli::block_on(cli::keys::run(command)),
        Command::Reconcile(options) => cli::block_on(cli::reconcile::run(options)),
        Command::VerifyDraw(options) => cli::verify_draw::run(&options),
        Command::Config(options) => options.load().map(|config| print!("{}", config.redacted())),
        Command::Openapi => cli::openapi(),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "onsale", &mut std::io::stdout());
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("onsale: {}", failure::told(&failure));
            ExitCode::FAILURE
        }
    }
}
