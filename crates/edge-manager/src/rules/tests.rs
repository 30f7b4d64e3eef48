mod agreement;
mod caps;
mod explain;
mod input;

use crate::access::Caller;

fn me() -> Caller {
    Caller::command_line()
}
