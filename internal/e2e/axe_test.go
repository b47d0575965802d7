package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/chromedp"
)

// The checker of accessibility, a package of npm, and the checksum of its archive. It is fetched
// once for each user, and is not a part of this repository: its licence is MPL-2.0.
const (
	axePackage  = "axe-core@4.14.1"
	axeChecksum = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFoo" +
		"JpZe37OgudVGtQ=="
)

// axe returns the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir() // there is no home directory
	}
	dir = filepath.Join(dir, "guance-relay-e2e")
	archive := filepath.Join(dir, strings.ReplaceAll(axePackage, "@", "-")+".tgz")
	if _, err := os.Stat(archive); err != nil {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", err
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", dir, axePackage)
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm pack %s: %w\n%s", axePackage, err, out)
		}
	}
	packed, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	if sum := sha512.Sum512(packed); base64.StdEncoding.EncodeToString(sum[:]) != axeChecksum {
		return "", fmt.Errorf("%s has another checksum than expected; remove it", archive)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", err
	}
	for files := tar.NewReader(unzipped); ; {
		h, err := files.Next()
		if err != nil {
			return "", errors.Join(err, errors.New("axe-core has no file axe.min.js"))
		}
		if h.Name == "package/axe.min.js" {
			source, err := io.ReadAll(files)
			return string(source), err
		}
	}
})

// audit fails the test for each serious finding of axe-core in the page.
func (t *tab) audit(what string) {
	t.Helper()
	source, err := axe()
	if err != nil {
		missing(t.T, "axe-core, which npm brings (on Debian, the package npm)", err)
	}
	type result struct {
		Passes     int
		Violations []struct {
			ID, Impact, Help string
			Nodes            []string
		}
	}
	t.do(chromedp.Evaluate[chromedp.Void](source + "\n;undefined"))
	found := eval[result](t, `axe.run(document, {resultTypes: ["violations"]}).then(r => ({
		Passes: r.passes.length,
		Violations: r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help,
			Nodes: v.nodes.slice(0, 3).map(n => n.html + " " + n.failureSummary)}))}))`)
	if found.Passes < 10 {
		t.Errorf("%s: axe-core checked %d rules, want at least ten", what, found.Passes)
	}
	for _, v := range found.Violations {
		if v.Impact == "serious" || v.Impact == "critical" {
			t.Errorf("%s: axe-core: %s (%s): %s\n%s", what, v.ID, v.Impact, v.Help,
				strings.Join(v.Nodes, "\n"))
		}
	}
}
