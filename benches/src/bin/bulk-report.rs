//! Bulk changes: what loading a million addresses takes, and what replacing them in slices costs those who read and
//! teach meanwhile.

use edge_benches::allocated::Counting;
use edge_benches::{lists, loading, replacing};

#[global_allocator]
static HEAP: Counting = Counting;

const COUNT: usize = 1_000_000;

fn main() {
    let v4 = lists::v4_hosts(COUNT);
    let v6 = lists::v6_hosts(COUNT);
    for list in [&v4, &v6] {
        loading::report(list);
    }
    // Half of the one are in the other.
    let all = lists::v4_hosts(COUNT * 3 / 2);
    let half = |name: &str, range: std::ops::Range<usize>| lists::List {
        name: name.to_owned(),
        nets: all.nets[range].to_vec(),
        routed: Vec::new(),
    };
    replacing::report(
        &half("1,000,000 IPv4 hosts", 0..COUNT),
        &half("others, half of them the same", COUNT / 2..COUNT * 3 / 2),
    );
}
