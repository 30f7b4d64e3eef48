//! The state directory from outside: formats, damage, directories, crashes.

mod damage;
mod directory;
mod golden;
mod killed;
mod learned;
mod model;
mod older_form;
mod round_trip;
mod samples;
