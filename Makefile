# make test runs everything. It needs Go, strace, PostgreSQL and Prometheus. As root on Debian it
# installs what is missing; elsewhere it says what to install.
.PHONY: test test-without-postgres tools

test: tools
	RELAY_TEST_POSTGRES=required RELAY_TEST_PROMETHEUS=required go test -timeout 20m work

test-without-postgres:
	@echo "make: THE TESTS ON POSTGRESQL ARE NOT RUN"
	go test -timeout 20m work

tools:
	@missing=; \
	command -v strace >/dev/null || missing="$$missing strace"; \
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
