//! `onsale account`: for whoever may read the database itself. Each act leaves an audit row, and is in force on running
//! nodes within a minute.

use std::io::{BufRead, IsTerminal, Write};

use uuid::Uuid;

use super::ConfigOptions;
use crate::{
    boot,
    domain::{account::Role, id::FanId},
    failure::Failure,
    http::{
        self,
        password::{Password, Passwords},
    },
    stores::{
        data_dir,
        database::{Database, accounts, audit},
        error::StoreError,
    },
};

#[derive(Debug, Clone, clap::Subcommand)]
pub enum Command {
    /// Create an account; the password is asked for, or read from the first line of standard input.
    Create {
        email: String,
        #[arg(long, default_value = "")]
        name: String,
        #[arg(long, default_value = "en")]
        language: String,
        /// Roles besides fan, comma-separated.
        #[arg(long, value_delimiter = ',')]
        roles: Vec<Role>,
        #[command(flatten)]
        config: ConfigOptions,
    },
    /// Give an account a role.
    Grant {
        email: String,
        role: Role,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        config: ConfigOptions,
    },
    /// Take a role from an account.
    Revoke {
        email: String,
        role: Role,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        config: ConfigOptions,
    },
}

pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Create { email, name, language, roles, config } => create(email, name, language, roles, &config).await,
        Command::Grant { email, role, reason, config } => change(&email, role, true, reason, &config).await,
        Command::Revoke { email, role, reason, config } => change(&email, role, false, reason, &config).await,
    }
}

async fn create(
    email: String,
    name: String,
    language: String,
    roles: Vec<Role>,
    options: &ConfigOptions,
) -> Result<(), Failure> {
    let config = options.load()?;
    if !email_address::EmailAddress::is_valid(&email) {
        return Err(format!("{email:?} is not a mail address").into());
    }
    // Not the lock: a node may be running on this directory, and the database takes several writers.
    data_dir::make(&config.stores.data_dir)?;
    let secret = boot::root_secret(&config, boot::bundle(&config)?.as_ref())?;
    let password = Password::new(read_password()?);
    password.check_strength()?;
    let password_hash = Passwords::new(&secret, &config.http).hash(password).await?;
    let mut all = vec![Role::Fan];
    all.extend(roles.into_iter().filter(|role| *role != Role::Fan));
    let now = http::now();
    let account = accounts::Account {
        id: FanId::from_uuid(Uuid::now_v7()),
        email: email.to_lowercase(),
        name,
        language,
        password_hash,
        roles: all,
        status: accounts::Status::Active,
        session_version: 1,
        created_at: now,
        updated_at: now,
    };
    let database = open(&config.stores).await?;
    let mut write = database.begin().await?;
    accounts::create(&mut write, &account).await.map_err(|error| match error {
        StoreError::Conflict(_) => format!("{email} has an account already"),
        other => other.to_string(),
    })?;
    audit::append(&mut write, &act("account.create", account.id, roles_text(&account.roles))).await?;
    write.commit().await?;
    println!("{} {} {}", account.id, account.email, roles_text(&account.roles));
    Ok(())
}

async fn change(email: &str, role: Role, give: bool, reason: String, options: &ConfigOptions) -> Result<(), Failure> {
    if role == Role::Fan {
        return Err("everybody is a fan".into());
    }
    let config = options.load()?;
    let database = open(&config.stores).await?;
    let account = accounts::by_email(&database, &email.to_lowercase())
        .await?
        .ok_or_else(|| format!("there is no account {email}"))?;
    let mut roles = account.roles.clone();
    roles.retain(|other| *other != role);
    if give {
        roles.push(role);
    }
    let mut write = database.begin().await?;
    accounts::set_roles(&mut write, account.id, &roles, http::now()).await?;
    let reason = if reason.is_empty() { roles_text(&roles) } else { reason };
    audit::append(&mut write, &act("account.roles", account.id, reason)).await?;
    write.commit().await?;
    println!("{} {} {}", account.id, account.email, roles_text(&roles));
    Ok(())
}

async fn open(config: &crate::stores::config::Config) -> Result<Database, Failure> {
    let database = Database::connect(config).await?;
    database.migrate().await?;
    Ok(database)
}

fn act(action: &str, object: FanId, reason: String) -> audit::Act {
    audit::Act {
        at: http::now(),
        account: None,
        role: "command line".into(),
        address: String::new(),
        action: action.into(),
        object: object.to_string(),
        reason,
        request_id: Uuid::now_v7().simple().to_string(),
    }
}

fn roles_text(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}

fn read_password() -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        eprint!("Password: ");
        std::io::stderr().flush()?;
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| format!("standard input: {error}"))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
