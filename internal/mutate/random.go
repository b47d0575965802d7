package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A candidate is a change with its package.
type candidate struct {
	change
	source *source
	why    string // the reason if it is accepted
}

// draw returns up to n changes that compile, in an order that the seed decides. All changes have
// the same chance, so a package has a share by its size.
func draw(
	sources []*source, reasons map[string]string, n int, seed uint64, wanted *regexp.Regexp,
) []candidate {
	var all, drawn []candidate
	for _, s := range sources {
		for _, c := range s.changes() {
			all = append(all, candidate{c, s, reasons[c.key(s.texts[c.file])]})
		}
	}
	r := rand.New(rand.NewPCG(seed, 0))
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, c := range all {
		if len(drawn) == n {
			break
		}
		if wanted.MatchString(c.String()) && c.source.compiles(&c.change) {
			drawn = append(drawn, c)
		}
	}
	return drawn
}

// random draws changes and runs the tests on each. For a survivor it prints a paragraph for
// accepted.txt, without the reason.
func random(
	n, from int, seed uint64, dirs, suites []string, wanted *regexp.Regexp, list bool,
) error {
	sources, err := load(".", dirs)
	if err != nil {
		return err
	}
	reasons, err := accepted(acceptedText)
	if err != nil {
		return err
	}
	if gone := stale(reasons, sources); len(gone) > 0 {
		return fmt.Errorf("accepted.txt has changes that the code no longer allows; remove or "+
			"renew them:\n%s", strings.Join(gone, "\n"))
	}
	drawn := draw(sources, reasons, n, seed, wanted)
	if list {
		for _, c := range drawn {
			fmt.Printf("%s\n%s\n", &c.change, c.key(c.source.texts[c.file]))
		}
		return nil
	}
	limits, err := measure(sources, suites)
	if err != nil {
		return err
	}
	var caught, expected, survived int
	for i, c := range drawn {
		if i+1 < from {
			continue
		}
		fmt.Printf("%3d %s: ", i+1, &c.change)
		if c.why != "" {
			expected++
			fmt.Println("accepted")
			continue
		}
		began := time.Now()
		by, err := hunt(c.dir, c.file, c.apply(c.source.texts[c.file]), suites, limits, "-short")
		switch {
		case err != nil:
			return err
		case by == "":
			survived++
			fmt.Printf("SURVIVED\n\n%s\n", c.key(c.source.texts[c.file]))
		default:
			caught++
			fmt.Printf("%s, %.0f s\n", by, time.Since(began).Seconds())
		}
	}
	fmt.Printf("\nseed %d: %d changes played, %d accepted; of the other %d, %d caught (%.0f %%)\n",
		seed, expected+caught+survived, expected, caught+survived, caught,
		100*float64(caught)/float64(max(1, caught+survived)))
	if survived > 0 {
		return fmt.Errorf("%d changes were caught by nothing: write a test, remove what nothing "+
			"needs, or say in accepted.txt why it changes nothing", survived)
	}
	return nil
}

// measure returns the timeout of each suite: ten times its duration and half a minute, for a busy
// machine. A change that hangs is caught then. A suite that fails without a change is an error.
func measure(sources []*source, suites []string) (map[string]time.Duration, error) {
	all := slices.Clone(suites)
	for _, s := range sources {
		if own := "./" + s.dir; !slices.Contains(all, own) {
			all = append(all, own)
		}
	}
	limits := make(map[string]time.Duration)
	for _, suite := range all {
		began := time.Now()
		failed, err := test(suite, "", 10*time.Minute, "-short", "-count=1")
		if err == nil && failed != "" {
			err = errors.New(failed + " fails without any change")
		}
		if err != nil {
			return nil, err
		}
		limits[suite] = 10*time.Since(began) + 30*time.Second
	}
	return limits, nil
}
