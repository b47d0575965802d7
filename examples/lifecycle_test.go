// Package examples tests how the examples start and end.
package examples

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/guance-relay/guance-relay/relay/boltstore"
)

// An example whose address is in use ends with an error, and SIGTERM ends it with status 0. Both
// close the store.
func TestReport40ExamplesEnd(t *testing.T) {
	for _, name := range []string{"embed", "customsink", "routers"} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(t.TempDir(), name)
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary,
				"./"+name).CombinedOutput(); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			dir := t.TempDir()
			example := func() (*exec.Cmd, *bytes.Buffer) {
				cmd, out := exec.CommandContext(ctx, binary), new(bytes.Buffer)
				cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
				cmd.Env = append(os.Environ(), "RELAY_TOKEN=a-token-of-the-test",
					"RELAY_LISTEN="+listener.Addr().String(),
					"PAGERDUTY_ROUTING_KEY=0123456789abcdef0123456789ABCDEF", "FEISHU_WEBHOOK=http://127.0.0.1:1",
					"FEISHU_KEY=x")
				return cmd, out
			}
			closed := func() {
				t.Helper()
				store, err := boltstore.Open(filepath.Join(dir, "relay-data"), nil)
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			}

			cmd, out := example()
			if err := cmd.Run(); err == nil || ctx.Err() != nil ||
				!strings.Contains(out.String(), "address already in use") {
				t.Errorf("with its address taken: %v, want an error that says so: %s", err, out)
			}
			closed()

			if err := listener.Close(); err != nil {
				t.Fatal(err)
			}
			cmd, out = example()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for {
				resp, err := http.Post("http://"+listener.Addr().String()+"/guance?token=a-token-of-the-test",
					"application/json", strings.NewReader("{}"))
				if err == nil {
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusAccepted {
						t.Errorf("answered with %s", resp.Status)
					}
					break
				}
				if ctx.Err() != nil {
					t.Fatalf("it does not serve: %v: %s", err, out)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("SIGTERM: %v, want exit 0: %s", err, out)
			}
			closed()
		})
	}
}
