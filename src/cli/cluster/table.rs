//! How the nodes stand, for people's eyes.

use crate::{
    http::admin_cluster::body::{ClusterReport, EventReport, NodeReport},
    stores::membership::State,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// The busiest.
    First,
    All,
}

const FIRST: usize = 20;

/// The nodes, then the events, the busiest first.
pub fn table(report: &ClusterReport, events: Events) -> String {
    let heads = ["node", "state", "version", "links", "events", "commits/s", "waiting", "lag", "lease", "since"];
    let mut text = aligned(&heads, report.nodes.iter().map(|node| row_of_node(node, report)));
    let mut running: Vec<(&str, &EventReport)> =
        report.nodes.iter().flat_map(|node| node.events.iter().map(|event| (node.node.as_str(), event))).collect();
    if running.is_empty() {
        return text + "\nNo event runs anywhere.\n";
    }
    running.sort_by(|(_, a), (_, b)| {
        let busy = b.commits_per_second.total_cmp(&a.commits_per_second).then(b.waiting.cmp(&a.waiting));
        busy.then(a.event.cmp(&b.event))
    });
    let shown = if events == Events::All { running.len() } else { FIRST };
    let heads = ["event", "owner", "epoch", "commits/s", "waiting", "holds", "lag", ""];
    text += "\n";
    text += &aligned(&heads, running.iter().take(shown).map(|(node, event)| row_of_event(node, event)));
    if running.len() > shown {
        text += &format!("{} of {} events; --events shows all\n", shown, running.len());
    }
    text
}

fn row_of_node(node: &NodeReport, report: &ClusterReport) -> Vec<String> {
    let sum = |of: fn(&EventReport) -> u64| node.events.iter().map(of).sum::<u64>().to_string();
    // Not `sum`: that of nothing is -0.0.
    let commits = node.events.iter().fold(0.0, |sum, event| sum + event.commits_per_second);
    // What a node that does not answer runs is not known.
    let said = |text: String| if node.answers { text } else { "?".to_owned() };
    vec![
        node.node.clone(),
        state(node),
        node.version.clone(),
        said(links(node, report)),
        said(node.events.len().to_string()),
        said(format!("{commits:.1}")),
        said(sum(|event| event.waiting)),
        said(sum(|event| event.outbox)),
        said(lease(node.lease_ms_left)),
        node.since.to_string(),
    ]
}

fn state(node: &NodeReport) -> String {
    let state = match node.state {
        State::Starting => "starting",
        State::Up => "up",
        State::Draining => "draining",
    };
    let drained = if node.drained { ", drained" } else { "" };
    let silent = if node.answers { "" } else { ", does not answer" };
    format!("{state}{drained}{silent}")
}

/// Those that it has, and those that it should have and has not.
fn links(node: &NodeReport, report: &ClusterReport) -> String {
    let others = report.nodes.iter().map(|other| &other.node).filter(|other| **other != node.node);
    let missing: Vec<_> = others.filter(|other| !node.links.contains(other)).map(String::as_str).collect();
    let mut text = node.links.join(" ");
    if !missing.is_empty() {
        text = format!("{text} (not {})", missing.join(" "));
    }
    if text.is_empty() { "-".to_owned() } else { text.trim_start().to_owned() }
}

fn lease(ms_left: Option<u64>) -> String {
    match ms_left {
        None => "-".to_owned(),
        Some(0) => "paused".to_owned(),
        Some(ms) => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}

fn row_of_event(node: &str, event: &EventReport) -> Vec<String> {
    vec![
        event.event.to_string(),
        node.to_owned(),
        event.epoch.to_string(),
        format!("{:.1}", event.commits_per_second),
        event.waiting.to_string(),
        event.holds.to_string(),
        event.outbox.to_string(),
        if event.active { "" } else { "idle" }.to_owned(),
    ]
}

/// Columns as wide as their widest cell.
fn aligned(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::EventId, time::EventTime};

    fn node(name: &str, answers: bool, links: &[&str], events: Vec<EventReport>) -> NodeReport {
        NodeReport {
            node: name.into(),
            boot: "0".into(),
            state: State::Up,
            drained: !answers,
            version: "0.1.0".into(),
            link: "l".into(),
            public: "p".into(),
            admin: "a".into(),
            since: EventTime(0).into(),
            answers,
            links: links.iter().map(|&link| link.to_owned()).collect(),
            lease_ms_left: Some(4_321),
            events,
        }
    }

    fn event(id: u128, commits_per_second: f64) -> EventReport {
        let event = EventId::from_u128(id);
        EventReport { event, epoch: 9, waiting: 7, holds: 5, outbox: 3, commits_per_second, active: id != 2 }
    }

    #[test]
    fn nodes_and_the_busiest_events_stand_in_columns() {
        let nodes = vec![
            node("n1", true, &["n2"], vec![event(1, 0.0), event(2, 12.5)]),
            node("n2", true, &[], Vec::new()),
            node("n3", false, &[], Vec::new()),
        ];
        let text = table(&ClusterReport { nodes }, Events::First);
        let expected = "\
node  state                         version  links        events  commits/s  waiting  lag  lease  since
n1    up                            0.1.0    n2 (not n3)  2       12.5       14       6    4.3 s  1970-01-01T00:00:00.000Z
n2    up                            0.1.0    (not n1 n3)  0       0.0        0        0    4.3 s  1970-01-01T00:00:00.000Z
n3    up, drained, does not answer  0.1.0    ?            ?       ?          ?        ?    ?      1970-01-01T00:00:00.000Z

event                             owner  epoch  commits/s  waiting  holds  lag
00000000000000000000000000000002  n1     9      12.5       7        5      3    idle
00000000000000000000000000000001  n1     9      0.0        7        5      3
";
        assert_eq!(text, expected, "\n{text}");
    }

    #[test]
    fn more_than_twenty_events_are_shown_only_when_asked_for() {
        let report = ClusterReport { nodes: vec![node("n1", true, &[], (1..=21).map(|id| event(id, 0.0)).collect())] };
        let (first, all) = (table(&report, Events::First), table(&report, Events::All));
        assert!(first.ends_with("20 of 21 events; --events shows all\n"), "{first}");
        assert!(
            !first.contains("00000000000000000000000000000015") && all.contains("00000000000000000000000000000015")
        );
        assert!(table(&ClusterReport { nodes: Vec::new() }, Events::All).ends_with("No event runs anywhere.\n"));
    }

    #[test]
    fn a_lease_that_has_run_out_is_a_pause() {
        assert_eq!([None, Some(0), Some(950)].map(lease), ["-", "paused", "0.9 s"]);
    }
}
