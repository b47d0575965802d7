package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/urfave/cli/v3"
)

const unitFile = root + "/deploy/systemd/guance-relay.service"

// Whatever the files of deploy set is a setting of the server.
func TestDeploySetsKnownSettings(t *testing.T) {
	known := slices.Clone(environmentOnly)
	for _, f := range (&config{getenv: os.Getenv}).flags() {
		if doc, ok := f.(cli.DocGenerationFlag); ok {
			known = append(known, doc.GetEnvVars()...)
		}
	}
	variable := regexp.MustCompile(`\b(RELAY|PAGERDUTY|LOG)_[A-Z_]+`)
	files, err := filepath.Glob(root + "/deploy/*/*")
	if err != nil || len(files) < 5 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, name := range append(files, root+"/Dockerfile") {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range variable.FindAllString(string(content), -1) {
			if !slices.Contains(known, found) {
				t.Errorf("%s names %s, which the server has not", name, found)
			}
		}
	}
}

// systemd knows each line of the unit, and finds little to expose. RELAY_TEST_SYSTEMD=required
// makes it an error that systemd-analyze is not there.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("RELAY_TEST_SYSTEMD") == "required" {
			t.Fatal(err)
		}
		t.Skip("NOT RUN, as systemd-analyze is not installed")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	unit := strings.Replace(readUnit(t), "/usr/local/bin/guance-relay", program, 1)
	name := filepath.Join(t.TempDir(), "guance-relay.service")
	write(t, name, unit)
	for _, args := range [][]string{
		{"verify", "--man=no", name},
		{"security", "--offline=true", "--threshold=20", name}, // of 100
	} {
		out, err := exec.CommandContext(within(t, time.Minute), "systemd-analyze", args...).
			CombinedOutput()
		// A line of the unit that systemd does not know is a warning.
		if err != nil || args[0] == "verify" && strings.Contains(string(out), name) {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

func readUnit(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(unit)
}

// With the environment and the credentials of the unit the server starts, and says so to systemd;
// at the end it says that it stops.
func TestUnitStarts(t *testing.T) {
	dir := t.TempDir()
	credentials, state := filepath.Join(dir, "credentials"), filepath.Join(dir, "state")
	for _, d := range []string{credentials, state} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	unit := readUnit(t)
	content := map[string]string{"routing-key": routingKey32, "tokens": token}
	for name, secret := range content {
		if !strings.Contains(unit, "\nLoadCredential="+name+":") {
			t.Errorf("the unit loads no credential %s", name)
		}
		write(t, filepath.Join(credentials, name), secret+"\n")
	}
	address := filepath.Join(dir, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	env := []string{"PAGERDUTY_ROUTING_KEY=", "RELAY_TOKENS=", "NOTIFY_SOCKET=" + address,
		"PAGERDUTY_URL=http://127.0.0.1:1"}
	specifiers := strings.NewReplacer("%d", credentials, "%S", state, ":9090", ":0")
	for line := range strings.Lines(unit) {
		if settings, ok := strings.CutPrefix(line, "Environment="); ok {
			env = append(env, strings.Fields(specifiers.Replace(settings))...)
		}
	}
	p := start(t, env...)
	says := func(want string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := socket.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Errorf("systemd is told %q, %v, want %q", buf[:n], err, want)
		}
	}
	says("READY=1")
	p.post(t, string(sample))
	if _, err := os.Stat(filepath.Join(state, "guance-relay", "relay.db")); err != nil {
		t.Error(err)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	says("STOPPING=1")
	if err := p.Wait(); err != nil {
		t.Errorf("the server ends with %v:\n%s", err, p.output())
	}
}
