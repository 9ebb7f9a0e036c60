//! `onsale verify-draw`: checks the published files of a draw, with no network and no store.

use std::path::PathBuf;

use serde::de::DeserializeOwned;

use crate::{
    domain::draw::{DrawFile, ProofFile},
    failure::Failure,
};

#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The whole draw, or a fan's proof.
    pub file: PathBuf,
    /// For a proof: the whole draw, which shows that the rank is right.
    #[arg(long, value_name = "FILE")]
    pub draw: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<(), Failure> {
    let text = read(&options.file)?;
    if let Ok(draw) = serde_json::from_str::<DrawFile>(&text) {
        draw.check().map_err(|found| format!("this draw does not hold: {found}"))?;
        println!("the draw of event {} holds: {} entries, root {}", draw.event, draw.entries.len(), draw.root);
        return Ok(());
    }
    let proof: ProofFile = parse(&text, &options.file)?;
    let draw: Option<DrawFile> = match &options.draw {
        Some(file) => Some(parse(&read(file)?, file)?),
        None => None,
    };
    if let Some(draw) = &draw {
        draw.check().map_err(|found| format!("the draw itself does not hold: {found}"))?;
    }
    proof.check(draw.as_ref()).map_err(|found| format!("this proof does not hold: {found}"))?;
    match draw {
        Some(_) => {
            println!("fan {} took part in the draw of event {}, as number {}", proof.fan, proof.event, proof.rank)
        }
        None => println!(
            "fan {} took part in the draw of event {}; that the rank is {} only the whole draw shows (--draw FILE)",
            proof.fan, proof.event, proof.rank
        ),
    }
    Ok(())
}

fn read(file: &PathBuf) -> Result<String, Failure> {
    Ok(std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?)
}

fn parse<T: DeserializeOwned>(text: &str, file: &std::path::Path) -> Result<T, Failure> {
    Ok(serde_json::from_str(text).map_err(|error| format!("{} is no draw and no proof: {error}", file.display()))?)
}
