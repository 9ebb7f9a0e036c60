//! The contract suite: what each port promises, shown on every adapter, real servers included. Then the running actors on
//! top of them, and whatever else needs a whole system.

mod actors;
mod authorization_matrix;
mod bus_contract;
mod bus_faults;
mod buses;
mod cluster;
mod crowd;
mod database_contract;
mod etcd_members;
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
mod mirrors;
mod node;
mod operations;
mod outages;
mod ownership_contract;
mod process;
mod proxy;
mod queue_contract;
mod rush;
mod sale;
mod served;
mod servers;
mod shop;
mod two_nodes;
mod used_tickets_contract;
mod wishes;
