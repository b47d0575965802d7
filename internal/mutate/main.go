// Mutate measures the tests. It plants one bug after another and has the short test suites find it.
//
//	go run ./internal/mutate                       every bug of the list; a quarter of an hour
//	go run ./internal/mutate -run 'budget'         those whose names match
//	go run ./internal/mutate -random 100 -seed 1   a hundred small changes, drawn at random; an hour or two
//
// The bugs of the list are deliberate, each of them a promise broken. It prints a table of them with the test that caught each, which is kept
// in docs/guarantees.md, and fails if one was not caught: then a check is missing.
//
// Random changes show what nobody thought of: a statement left out, a condition turned round, a boundary moved by one, a result that is zero,
// a case of a switch, an argument or an element of a list dropped. The same seed draws the same changes from the same code. What changes nothing
// that anybody could see is listed in accepted.txt, with the reason, and left out of the count. With -random, these say what is drawn from:
//
//	-packages guance,relay    these packages
//	-run 'schedule.go'        changes whose place or kind matches: "guance/kind.go:12 Event.Kind: statement removed"
//	-suites ./relay           have only the package's own tests and these look
//	-from 80                  begin at the 80th of them, to go on after a run that was ended
//	-list                     print the changes and play none
//
// It runs in the root of the module and does not touch the tree: a mutation is one text put in the place of another by go's -overlay, and
// applies only if its package holds that text exactly once. So a change of the code that a mutation is about breaks the mutation
// rather than its meaning. The test of this package type-checks every mutation in seconds and says so.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

func main() {
	pattern := flag.String("run", "", "play only mutations whose names match this regular expression")
	n := flag.Int("random", 0, "play this many random changes instead of the list")
	from := flag.Int("from", 1, "begin at this one of the random changes, to go on after a run that was ended")
	seed := flag.Uint64("seed", 1, "which random changes are drawn")
	packages := flag.String("packages", "guance,pagerduty,relay,relay/internal/schedule,relay/boltstore,relay/pagerdutysink", "what random changes are made to")
	looking := flag.String("suites", strings.Join(suites, ","), "which tests look for random changes, after those of the package")
	list := flag.Bool("list", false, "print the random changes and play none")
	flag.Parse()
	wanted, err := regexp.Compile(*pattern)
	if err == nil && *n > 0 {
		err = random(*n, *from, *seed, strings.Split(*packages, ","), strings.FieldsFunc(*looking, func(c rune) bool { return c == ',' }), wanted, *list)
	} else if err == nil {
		err = listed(wanted)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

// listed plays the bugs of the list.
func listed(wanted *regexp.Regexp) error {
	// A suite that fails by itself would catch everything.
	for _, dir := range suites {
		if failed, err := test(dir, "", timeout); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		} else if failed != "" {
			return fmt.Errorf("%s fails without any mutation", failed)
		}
	}
	fmt.Println("| promise | the bug | what a user would see | caught by | s |\n| --- | --- | --- | --- | --- |")
	survivors := 0
	for _, m := range mutations {
		if !wanted.MatchString(m.name) {
			continue
		}
		began := time.Now()
		caught, err := m.hunt()
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		if caught == "" {
			survivors++
			caught = "nothing"
		}
		fmt.Printf("%s `%s` | %.0f |\n", m.row(), caught, time.Since(began).Seconds())
	}
	if survivors > 0 {
		return fmt.Errorf("%d mutations were caught by nothing", survivors)
	}
	return nil
}
