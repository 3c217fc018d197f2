//! Huge pages: a swarm of thousands waits for memory most of its time, and they spare it a good part of that.

/// Has glibc ask the kernel for huge pages, which it does only if it is told so when a program begins: so the program begins
/// once more. Somebody's own `GLIBC_TUNABLES` are left as they are; elsewhere, and where the system refuses, nothing happens.
pub(crate) fn begin_with_huge_pages() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::{env, os::unix::process::CommandExt, process::Command};

        const VARIABLE: &str = "GLIBC_TUNABLES";
        /// One arena, since threads have arenas of their own otherwise, which grow in steps that are too small.
        const VALUE: &str = "glibc.malloc.hugetlb=1:glibc.malloc.arena_max=1";

        let (None, Ok(program)) = (env::var_os(VARIABLE), env::current_exe()) else { return };
        // It returns only where the system refuses, and then the runs take longer.
        let _refused = Command::new(program).args(env::args_os().skip(1)).env(VARIABLE, VALUE).exec();
    }
}
