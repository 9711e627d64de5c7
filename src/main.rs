//! The binary: arguments → command. Everything is in the library, so that tests reach it.

fn main() -> std::process::ExitCode {
    sentby::cli::main()
}
