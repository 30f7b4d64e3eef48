mod agreement;
mod explain;
mod input;
