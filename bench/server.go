package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// relayServer is this project's ready-made server, as it is delivered: durable, in order, with its
// log at info. Only the budget is out of the way, as nobody else has one.
var relayServer = system{name: "guance-relay", bodies: webhooks, start: startServer}

// relayInMemory is the same on a disk that costs nothing, as the others keep nothing.
var relayInMemory = system{name: "guance-relay-tmpfs", memory: true, bodies: webhooks,
	start: startServer}

// serverDir holds the ready-made server.
const serverDir = "../cmd/guance-relay"

func startServer(b testing.TB, dir, target string) (*process, error) {
	return startServerOn(b, dir, filepath.Join(dir, "data"), target, unbound)
}

// unbound is a budget that binds nobody.
const unbound = 600_000_000

// startServerOn starts the server with its working directory, the directory of its store, and what
// its target allows in a minute.
func startServerOn(b testing.TB, dir, data, target string, perMinute int) (*process, error) {
	program, err := build(serverDir, "")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "RELAY_LISTEN="+address, "RELAY_NO_AUTH=true", "RELAY_DATA="+
		data,
		"PAGERDUTY_ROUTING_KEY="+routingKey, "PAGERDUTY_URL="+target,
		fmt.Sprint("PAGERDUTY_PER_MINUTE=", perMinute), "LOG_LEVEL=info")
	return serveOn(b, cmd, dir, address)
}
