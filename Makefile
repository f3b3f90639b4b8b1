# The commands of the README, and what they are made of.
SHELL := /bin/bash
TORCH := .libtorch/torch
REPRO := target/release/repro

.PHONY: quick test build setup tools libtorch lint install doc

## quick: everything from a fresh clone to the first picture, each step with the time that it took
quick:
	@step() { echo "== $$1"; shift; local from=$$SECONDS took; "$$@" || exit; \
	  took=$$((SECONDS - from)); echo "== done in $$((took / 60)) min $$((took % 60)) s"; echo; }; \
	step "1 of 3: LibTorch, 4.6 GB on the disk, fetched once unless LIBTORCH names one" $(MAKE) --no-print-directory libtorch; \
	step "2 of 3: build; the first time takes minutes" $(MAKE) --no-print-directory build; \
	step "3 of 3: train three networks on the embedded images and draw them, a few minutes" $(REPRO) anytime; \
	printf '%s\n' "The picture: results/anytime-quick/figure.png" "Try next:" \
	  "  $(REPRO) explore msdnet          # explore.html: the budget on a slider" \
	  "  $(REPRO) examples msdnet         # easy and hard test images" \
	  "  $(REPRO) budgeted-batch          # another figure of the paper; experiments list shows all"

## test: every test, formatting and lints included
test: libtorch lint
	cargo test --release
	$(MAKE) doc

## doc: the library's pages, target/doc/repro/index.html; a warning is an error
doc: libtorch
	RUSTDOC=$(CURDIR)/scripts/rustdoc.sh cargo test --release --doc

build: libtorch
	cargo build --release

## install: puts `repro` on the path
install: libtorch
	cargo install --path . --locked

# Clippy as a wrapper around the ordinary build: `cargo clippy` would compile polars once more.
lint:
	cargo fmt --all --check
	@driver=$$(rustup which clippy-driver 2> /dev/null || command -v clippy-driver) || \
	  { echo "clippy is missing; with rustup: rustup component add clippy rustfmt" >&2; exit 1; }; \
	RUSTC_WORKSPACE_WRAPPER=$$driver CLIPPY_ARGS=-Dwarnings \
	  cargo build --release --workspace --lib --bins --tests

setup: libtorch

libtorch: tools
	@if [ -n "$$LIBTORCH" ]; then echo "LibTorch: $$LIBTORCH"; \
	elif [ -e $(TORCH)/lib/libtorch.so ]; then :; \
	else python3 -m pip install --quiet --target .libtorch torch==2.11.0; fi

tools:
	@command -v cargo > /dev/null || { echo "cargo is missing; install Rust: https://rustup.rs" >&2; exit 1; }
	@command -v c++ > /dev/null || { echo "a C++ compiler is missing; on Debian: apt-get install g++" >&2; exit 1; }
	@[ -n "$$LIBTORCH" ] || [ -e $(TORCH)/lib/libtorch.so ] || python3 -m pip --version > /dev/null 2>&1 || \
	  { echo "Python 3 with pip is missing; on Debian: apt-get install python3-pip (or set LIBTORCH)" >&2; exit 1; }
