//! End-to-end tests: the real HAProxy, the shipped configurations, a backend that is told what to answer.

mod addresses;
mod authority;
mod cli;
mod conditions;
mod configs;
mod crash;
mod large_pages;
mod learned;
mod learning;
mod life;
mod linkage;
mod malformed;
mod manager;
mod manager_api;
mod paths;
mod state;
mod storm;
mod tarpits;
mod trailers;
mod upkeep;
mod verdicts;
mod versions;
