//! Onsale sells tickets at the moment when far more people want them than there are.
//!
//! The walk: a fan joins a queue ([`domain::queue`]), is admitted, holds stock that nobody else can then get
//! ([`domain::inventory`]), pays, and gets tickets ([`domain::order`], [`domain::ticket`]). Decisions are pure and live in
//! [`domain`]; what a fan gets in hand is made by [`documents`]; what must survive is in [`stores`]; who decides is an actor in [`actors`]; where it runs is [`cluster`]; how it is
//! reached is [`http`].
#![forbid(unsafe_code)]

pub mod actors;
pub mod bench;
pub mod boot;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod demo;
pub mod documents;
pub mod domain;
pub mod failure;
pub mod http;
pub mod stores;
