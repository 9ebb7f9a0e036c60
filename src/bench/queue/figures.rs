//! What was measured: a table for people, one JSON object for machines.

use serde::Serialize;

#[derive(Debug, Default)]
pub struct Figures {
    pub stores: String,
    all: Vec<Figure>,
}

#[derive(Debug)]
struct Figure {
    part: &'static str,
    what: &'static str,
    unit: &'static str,
    /// One for each run.
    values: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Row {
    part: &'static str,
    what: &'static str,
    unit: &'static str,
    median: f64,
    least: f64,
    most: f64,
}

impl Figures {
    pub fn add(&mut self, part: &'static str, what: &'static str, unit: &'static str, value: f64) {
        match self.all.iter_mut().find(|figure| (figure.part, figure.what) == (part, what)) {
            Some(figure) => figure.values.push(value),
            None => self.all.push(Figure { part, what, unit, values: vec![value] }),
        }
    }

    pub fn print(&self, json: bool) {
        let rows: Vec<Row> = self.all.iter().filter_map(Figure::row).collect();
        if json {
            println!("{}", serde_json::json!({"stores": self.stores, "figures": rows}));
            return;
        }
        if !self.stores.is_empty() {
            println!("stores: {}", self.stores);
        }
        for row in rows {
            let Row { part, what, unit, median, least, most } = row;
            let digits = if median.abs() < 100.0 { 2 } else { 0 };
            let range = if least < most { format!("  ({least:.digits$} to {most:.digits$})") } else { String::new() };
            println!("{part:<11} {what:<58} {median:>12.digits$} {unit}{range}");
        }
    }
}

impl Figure {
    fn row(&self) -> Option<Row> {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let (least, most, median) = (*values.first()?, *values.last()?, *values.get(values.len() / 2)?);
        Some(Row { part: self.part, what: self.what, unit: self.unit, median, least, most })
    }
}
