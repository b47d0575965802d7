package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// relayServer is this project's ready-made server, as it is delivered: durable, in order, with its log at info. Only the budget is out of
// the way, as nobody else has one.
var relayServer = system{name: "guance-relay", bodies: webhooks, start: startServer}

// relayInMemory is the same on a disk that costs nothing, as the others keep nothing.
var relayInMemory = system{name: "guance-relay-tmpfs", memory: true, bodies: webhooks, start: startServer}

func startServer(b testing.TB, dir, target string) (*process, error) {
	program, err := build("github.com/guance-relay/guance-relay/examples/server")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "RELAY_LISTEN="+address, "RELAY_NO_AUTH=true", "RELAY_DATA="+filepath.Join(dir, "data"),
		"PAGERDUTY_ROUTING_KEY="+routingKey, "PAGERDUTY_URL="+target, "PAGERDUTY_PER_MINUTE=600000000", "LOG_LEVEL=info")
	return serveOn(b, cmd, dir, address)
}
