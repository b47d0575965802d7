# make test runs everything. It needs Go, strace, systemd-analyze, PostgreSQL and Prometheus. As root
# on Debian it installs what is missing; elsewhere it says what to install.
.PHONY: test test-without-postgres tools e2e browser race

test: tools
	RELAY_TEST_POSTGRES=required RELAY_TEST_SYSTEMD=required RELAY_TEST_PROMETHEUS=required \
		go test -timeout 20m work

test-without-postgres:
	@echo "make: THE TESTS ON POSTGRESQL ARE NOT RUN"
	go test -timeout 20m work

tools:
	@missing=; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		missing="$$missing postgresql"; \
	command -v promtool >/dev/null && command -v prometheus >/dev/null || \
		missing="$$missing prometheus"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "make: installing$$missing"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
	else \
		echo "make: install$$missing first (on Debian: sudo apt-get install$$missing)" >&2; exit 1; \
	fi

# make race runs everything under the race detector: half an hour on two cores.
race: tools
	RELAY_TEST_POSTGRES=required go test -race -shuffle=on -timeout 40m work

# make e2e tests the console in Chromium, and its accessibility with axe-core, which npm brings.
e2e: browser
	cd internal/e2e && GOWORK=off RELAY_TEST_BROWSER=required go test -timeout 10m .

browser:
	@missing=; \
	command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$$missing chromium"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "make: installing$$missing"; \
		apt-get update -qq && apt-get install -y -qq $$missing; \
	else \
		echo "make: install$$missing first (on Debian: sudo apt-get install$$missing)" >&2; exit 1; \
	fi
