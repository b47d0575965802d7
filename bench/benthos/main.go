// Command benthos is the peer that bench runs as a process: the program that Redpanda Connect is
// built on, with the components that a pipeline from a webhook to a webhook needs. It is a module
// of its own because of what it depends on.
package main

import (
	"context"

	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
	"github.com/redpanda-data/benthos/v4/public/service"
)

func main() { service.RunCLI(context.Background()) }
