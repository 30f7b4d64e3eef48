//! What is rendered, from the input of clients to what HAProxy says of it.

mod golden;
mod guarded;
mod haproxy;
mod hostile;
mod live;
mod overrides;
mod refused;
mod shares;
mod sites;
