//! The binary `tweedie`; see the library's `cli`.

fn main() -> std::process::ExitCode {
    tweedie::cli::main()
}
