//! Running the cases under callgrind, and reading what it writes.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::counter::{CASE_ENDS, COUNTED};
use crate::figures::Figures;

/// The processor that is simulated, whatever the one it runs on: caches of the first level of 32 KiB, and one of 2 MiB
/// behind them, beyond which memory is slow. Size, ways, bytes a line.
const CACHES: [&str; 3] = ["--I1=32768,8,64", "--D1=32768,8,64", "--LL=2097152,16,64"];

/// The C library compares and copies bytes by what the processor knows; without these by what each x86-64-v2 does. What
/// it compares with needs AVX2, what it copies with `AVX_Fast_Unaligned_Load` or ERMS, some of both AVX-512. Names that
/// it does not know, of other releases, it passes over.
const SAME_ON_ALL_PROCESSORS: &str = "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-AVX_Fast_Unaligned_Load,-ERMS,-AVX512F,\
                                      -AVX512VL,-AVX512BW,-EVEX";

/// Counts the cases whose names contain `cases`; callgrind's files stay in `dir`.
///
/// # Errors
/// One line: what could not be run or read.
pub(crate) fn count(cases: &str, dir: &Path) -> Result<Vec<(String, Figures)>, String> {
    let program = std::env::current_exe().map_err(|e| format!("this program's path: {e}"))?;
    let out = dir.join("callgrind.out");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--cache-sim=yes", "--instr-atstart=no", "-q"])
        .args(CACHES)
        // How soon it sees that it is asked to count, in blocks of code.
        .args(["--vgdb=full", "--vgdb-poll=1000"])
        .arg(format!("--vgdb-prefix={}", dir.join("vgdb").display()))
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={CASE_ENDS}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([crate::UNDER_CALLGRIND, cases])
        .arg(dir.join("vgdb"))
        .stderr(Stdio::inherit());
    // The stack begins below the environment, and where it begins decides which lines share a set of the cache.
    valgrind.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    valgrind.env("GLIBC_TUNABLES", SAME_ON_ALL_PROCESSORS);
    let done = valgrind.output().map_err(|e| format!("valgrind: {e}"))?;
    if !done.status.success() {
        return Err(format!("valgrind: {}", done.status));
    }
    let names = String::from_utf8(done.stdout).map_err(|e| format!("names of cases: {e}"))?;
    let read = |(number, line): (usize, &str)| {
        let (case, operations) = line.split_once(',').ok_or_else(|| format!("no case: {line:?}"))?;
        let operations: u32 = operations.parse().map_err(|e| format!("{line}: {e}"))?;
        let file = format!("{}.{}", out.display(), number + 1);
        let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
        let figures = Figures::of(&text, operations).ok_or_else(|| format!("{file}: no counts"))?;
        Ok((case.to_owned(), figures))
    };
    names.lines().enumerate().map(read).collect()
}

/// What valgrind calls itself.
pub(crate) fn version() -> Option<String> {
    let said = Command::new("valgrind").arg("--version").output().ok()?;
    Some(String::from_utf8(said.stdout).ok()?.trim().to_owned())
}
