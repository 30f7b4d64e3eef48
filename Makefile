# `make help` lists the targets. Everything is built below target/ and dist/.
.DELETE_ON_ERROR:
.PHONY: help run demo bench dist fmt lint install module-5.3 module-5.4

CARGO ?= cargo
# What the installed HAProxy was built with; known once it is installed.
LUA = $(shell scripts/lua-version.sh)
MODULE_LUA = lua$(subst .,,$(LUA))
# In place of the shell: make hands the signals that it gets to its children only.
DEMO = exec env EDGE_MODULE_DIR=dist/lua$(LUA) target/debug/edge-demo

help: ## this list
	@sed -n 's/^\([a-z][a-z.-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

run: demo-files ## the manager on 127.0.0.1:8000, HAProxy on 127.0.0.1:8080, a demo backend on 127.0.0.1:8081, until Ctrl-C
	@$(DEMO) run

demo: demo-files ## the same, unattended: walks through what the filter does and checks each step
	@$(DEMO) walk

.PHONY: demo-files
demo-files: install module
	$(CARGO) build --locked -p edge-manager --bin edge-manager -p edge-e2e --bin edge-demo

.PHONY: test
test: ## everything: format, lints, unit, property, end-to-end and browser tests; STEPS="lint e2e" for some of it
	@MAKE="$(MAKE)" CARGO="$(CARGO)" scripts/test.sh $(STEPS)

.PHONY: test-api
test-api: install module ## the manager's API against its own description, by schemathesis; API_CHECK_EXAMPLES=100 tries more
	@CARGO="$(CARGO)" EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) scripts/api-check.sh

.PHONY: test-web
test-web: install module ## the manager's page in Chromium, before the real manager and HAProxy
	@MAKE="$(MAKE)" CARGO="$(CARGO)" EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) scripts/web-test.sh

.PHONY: screenshots
screenshots: install module ## pictures of each page of the manager, into docs/page/
	@MAKE="$(MAKE)" CARGO="$(CARGO)" EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) EDGE_SCREENSHOTS=$(CURDIR)/docs/page \
		scripts/web-test.sh --ignored pictures_are_taken

.PHONY: test-matrix
test-matrix: install ## the end-to-end tests on every HAProxy: installed, of an untried series, trixie's, sid's
	@MAKE="$(MAKE)" CARGO="$(CARGO)" scripts/e2e.sh installed untried trixie sid

# How long each crash test goes on.
SOAK_SECONDS ?= 600

.PHONY: test-soak
test-soak: install module ## kills HAProxy and the writer of the rules under load, for SOAK_SECONDS; and 50 reloads
	SOAK_SECONDS=$(SOAK_SECONDS) EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) \
		$(CARGO) test --locked -p edge-e2e --test e2e -- --nocapture --test-threads=2 crash:: storm:: upkeep::

.PHONY: test-valgrind
test-valgrind: install module ## the module in HAProxy under valgrind: everything it does once, in three modes
	@scripts/install.sh valgrind
	EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) $(CARGO) test --locked -p edge-e2e --test valgrind

.PHONY: loom
loom: ## the hand-off of the filter in all orders of two and three threads
	RUSTFLAGS="--cfg loom" $(CARGO) test --locked -p edge-filter --lib --target-dir target/loom hand_off

.PHONY: miri
miri: ## Miri over what it can run of the filter and the journal, with nightly; some minutes
	@# Not what makes thousands of rules.
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --locked -p edge-filter --lib --target-dir target/miri \
		-- edit:: rules:: cells:: hash::tests::equal address::presence --skip flood --skip at_most_255 \
		--skip no_hit_is_lost --skip slices_come --skip addresses_at_once --skip freed_to_the_last
	@# It knows no files beyond those of std; and a frame of a MiB takes it minutes.
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --locked -p edge-journal --lib --target-dir target/miri \
		-- codec:: --skip lengths_out_of_bounds

bench: install module ## measurements; EDGE_BENCH_DATA names a directory of real lists, if there is one
	$(CARGO) run --locked --release -p edge-benches --bin table-report
	$(CARGO) run --locked --release -p edge-benches --bin flood-report
	$(CARGO) run --locked --release -p edge-benches --bin bulk-report
	EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) $(CARGO) run --locked --release -p edge-benches --bin start-report
	$(CARGO) build --locked --release -p edge-manager
	EDGE_MODULE_DIR=$(CURDIR)/dist/lua$(LUA) $(CARGO) run --locked --release -p edge-benches --bin manager-report
	$(CARGO) run --locked --release -p edge-benches --bin page-report
	@if command -v lua$(LUA) >/dev/null; then set -x; lua$(LUA) benches/lua_call.lua dist/lua$(LUA); \
	else echo "No lua$(LUA): a call from Lua is not measured."; fi
	$(CARGO) bench --locked -p edge-benches

# In the module's target directory, which has been built with the same settings.
.PHONY: bench-instructions
bench-instructions: install ## instructions of a lookup under callgrind, held against what is recorded; CASES=TEXT for some
	@scripts/install.sh valgrind
	$(CARGO) run --locked --release -p edge-instructions --target-dir target/$(MODULE_LUA) -- $(if $(CASES),"$(CASES)")

# What to give to the comparison: `make bench-haproxy ARGS="--only addresses --sizes 1k,100k --rounds 60"`.
ARGS ?=

.PHONY: bench-haproxy
bench-haproxy: install ## the filter beside what else there is, in HAProxy under load; ARGS=--help lists its options, ARGS=--quick takes 5 minutes
	@scripts/install.sh valgrind
	@MAKE="$(MAKE)" CARGO="$(CARGO)" scripts/bench-haproxy.sh $(ARGS)

dist: install module-5.3 module-5.4 manager ## the module and its glue for Lua 5.3 and 5.4, edge-manager and its systemd unit, under dist/

.PHONY: manager
manager: ## edge-manager and what systemd needs, under dist/
	$(CARGO) build --locked --release -p edge-manager
	@mkdir -p dist
	@cp -p target/release/edge-manager dist/edge-manager.new
	@mv -f dist/edge-manager.new dist/edge-manager
	@cp -p packaging/* dist/

.PHONY: module
module: ## the module for the installed HAProxy, under dist/
	@$(MAKE) --no-print-directory module-$(LUA)

# One target directory for each Lua: the features of mlua exclude each other, and cargo would rebuild by turns.
module-5.3 module-5.4: module-%:
	$(CARGO) build --locked --release -p edge-lua --features lua$(subst .,,$*) --target-dir target/lua$(subst .,,$*)
	@mkdir -p dist/lua$*
	@cp -p target/lua$(subst .,,$*)/release/libedge_filter.so dist/lua$*/edge_filter.so.new
	@mv -f dist/lua$*/edge_filter.so.new dist/lua$*/edge_filter.so
	@cp -p lua/edge_filter.lua dist/lua$*/edge_filter.lua

fmt: ## format all sources
	$(CARGO) fmt --all

lint: ## formatting and lints, without changing anything
	@if $(CARGO) fmt --version >/dev/null 2>&1; then set -x; $(CARGO) fmt --all --check; \
	else echo "No rustfmt: formatting is not checked."; fi
	@if $(CARGO) clippy --version >/dev/null 2>&1; then set -ex; \
	$(CARGO) clippy --locked --workspace --exclude edge-lua --all-targets -- -D warnings; \
	$(CARGO) clippy --locked -p edge-lua --features $(MODULE_LUA) --target-dir target/$(MODULE_LUA) --all-targets -- -D warnings; \
	else echo "No clippy: lints are not checked."; fi
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/run; \
	else echo "No shellcheck: scripts are not checked."; fi
	@if $(CARGO) deny --version >/dev/null 2>&1; then set -x; $(CARGO) deny check; \
	else echo "No cargo-deny: licences and advisories are not checked."; fi

install: ## what is missing of haproxy and gcc (Debian packages, as root or with sudo)
	@scripts/install.sh
