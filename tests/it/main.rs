//! The contract suite: what each port promises, shown on every adapter, real servers included. Then the running actors on
//! top of them, and whatever else needs a whole system.

mod actors;
mod authorization_matrix;
mod bus_contract;
mod bus_faults;
mod buses;
mod cluster;
// Only a debug build has crash points.
#[cfg(debug_assertions)]
mod crash_points;
mod crowd;
mod database_contract;
mod draw;
mod drill;
mod etcd_members;
mod fairness;
mod harness;
mod http2_proxy;
mod http_core;
mod journal_contract;
mod journal_crash;
mod journal_failover;
mod journal_late;
mod keys;
mod keys_contract;
mod killed;
mod late_commits;
mod ledger;
mod listener;
mod mirrored_draw;
mod mirrors;
mod netns;
mod node;
mod operations;
mod outages;
mod ownership_contract;
mod process;
mod provider_contract;
mod proxy;
mod psp;
mod queue_contract;
mod refund_faults;
mod rush;
mod sale;
mod secrets_in_logs;
mod served;
mod servers;
mod shop;
mod stock_mirrors;
mod two_nodes;
mod used_tickets_contract;
mod waitlist_crash;
mod waits_contract;
mod wishes;
