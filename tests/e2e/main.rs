//! End-to-end tests: the real HAProxy, the shipped configurations, a backend that is told what to answer.

mod paths;
