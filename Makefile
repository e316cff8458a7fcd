# `make run` starts a working Sallyport, `make test` runs every test. Both install what is missing first, as root.
CONFIG ?= /etc/sallyport/sallyport.yaml
NODE := node_modules/node/bin/node

.PHONY: build run test check demo crash

build:
	@scripts/install-debian-packages
	@scripts/install-npm-packages
	@$(NODE) scripts/python-snapshot.ts

run: build
	@bin/sallyport setup --config '$(CONFIG)'
	@exec bin/sallyport serve --config '$(CONFIG)'

# Types, lint, architecture and unit tests: about a minute, to run before each commit.
check: build
	@$(NODE) scripts/test.ts check

# Everything, end-to-end with real daemons included. The last line is `N passed, N failed`.
test: build
	@scripts/install-debian-packages tests
	@$(NODE) scripts/test.ts all

demo: build
	@$(NODE) scripts/demo.ts

# The long crash campaign: 5,000 faults with a new seed, or as said: `make crash FAULTS=200 SEED=7`. Needs root.
FAULTS ?= 5000
crash: build
	@scripts/install-debian-packages tests
	@FAULTS='$(FAULTS)' SEED='$(SEED)' $(NODE) packages/server/test/crash/main.ts
