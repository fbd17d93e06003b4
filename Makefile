# What people and CI run. `make demo` and `make test` need Rust, make and a C compiler; `make test` says which tests it skips
# for want of other programs, and installs those where it may (tests/tools).

.PHONY: demo test check fuzz bench fmt

# hive, the agent and a live replay of real log lines; no account needed. Ctrl-C stops it.
demo:
	cargo build --release --workspace --bins
	cargo run --release --example demo

test:
	tests/tools
	cargo test --workspace

# Formatting, lints, documentation, advisories and licences.
check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	@if command -v c++ >/dev/null; then cargo check --manifest-path fuzz/Cargo.toml --target-dir target; else echo "no C++ compiler: the fuzz targets were not checked"; fi
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check; else echo "cargo-deny is not installed: advisories and licences not checked"; fi

# Each fuzz target for ten minutes; needs a nightly compiler and cargo-fuzz.
fuzz:
	fuzz/run

# Prints figures; asserts nothing.
bench:
	cargo build --release -p hive
	cargo bench --bench end_to_end
	cargo bench --bench tailing
	cargo bench --bench nats
	cargo bench --bench stages
	cargo bench --bench formats
	cargo bench -p hive --bench query

fmt:
	cargo fmt --all
