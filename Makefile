# Every task of the project. On a fresh machine with Node.js and make: `make run` shows it at work, `make test` tests it.

.DEFAULT_GOAL := build
.PHONY: build run test check lint format test-unit test-netns bench install uninstall clean

INSTALLED := node_modules/.package-lock.json
BUILT := dist/package.json
SOURCES := $(shell find $(wildcard src plugin hooks schemas) -type f -not -path 'src/config/generated/*') build.mjs package.json tsconfig.json
# What a failed test leaves open must not keep the run from ending.
JEST := npx --no-install jest --forceExit --runInBand

# dist/ for this machine; after `make clean`, PLATFORMS=all adds the native modules for others.
build: $(BUILT)

$(BUILT): $(INSTALLED) $(SOURCES)
	node build.mjs

# npm writes this file last; `touch` because it keeps the time of what it unpacked.
$(INSTALLED): package-lock.json
	@node -e 'if (+process.versions.node.split(".")[0] < 20) { console.error("Node.js 20 or newer is needed, this is " + process.version); process.exit(1) }'
	npm ci --no-audit --no-fund
	@touch $@

# With CMD="..." runs that in a new connected namespace; at a terminal, a shell; else a tour that proves the connection.
export CMD
run: build
	@if [ -n "$$CMD" ]; then exec dist/bin/bucatini run -- /bin/sh -c "$$CMD"; \
	elif [ -t 0 ] && [ -t 1 ]; then exec dist/bin/bucatini run; \
	else exec dist/bin/bucatini tour; fi

# One after the other: tests with namespaces measure time-outs, and the machine may be small.
test: build check
	sh test/setup.sh
	$(JEST)

test-unit: build
	$(JEST) --selectProjects unit property packet platform

test-netns: build
	sh test/setup.sh
	$(JEST) --selectProjects netns root

check: $(INSTALLED)
	node build.mjs gen
	npx --no-install tsc -p .
	npx --no-install oxlint --type-aware
	npx --no-install oxfmt --check
	npx --no-install knip

lint: $(INSTALLED)
	npx --no-install oxlint --type-aware

format: $(INSTALLED)
	npx --no-install oxfmt

bench: build
	sh test/setup.sh
	npx --no-install tsx test/bench/main.ts $(BENCH)

# make install [PREFIX=/usr/local] [CNI_BIN=DIR] [PASTA_BIN=DIR] [HOOKS=DIR] [CDI=DIR] [NODE=PATH] [DESTDIR=DIR]
export PREFIX CNI_BIN PASTA_BIN HOOKS CDI NODE DESTDIR
install: build
	sh install.sh install

uninstall:
	sh install.sh uninstall

clean:
	rm -rf dist src/config/generated node_modules/.dist-*
