// Mutate measures the tests. It plants one bug after another and runs the short tests on each.
//
//	go run ./internal/mutate                       every bug of the list; a quarter of an hour
//	go run ./internal/mutate -run 'budget'         those whose names match
//	go run ./internal/mutate -random 100 -seed 1   a hundred small changes, drawn at random; an hour
//
// Each bug of the list breaks a promise. It prints a table of the bugs with the test that caught
// each, for docs/guarantees.md, and fails if nothing caught one: then a test is missing.
//
// Random changes find what nobody thought of. A change removes a statement, negates a condition,
// moves a boundary by one, returns zero, or drops a case of a switch, an argument or an element of
// a list. The same seed draws the same changes from the same code. Changes that nobody can see are
// listed in accepted.txt, with the reason, and do not count. Options for -random:
//
//	-packages guance,relay    draw from these packages
//	-run 'schedule.go'        draw changes whose place or kind matches, such as
//	                          "guance/kind.go:12 Event.Kind: statement removed"
//	-suites ./relay           run only the package's own tests and these
//	-from 80                  begin at the 80th change, to go on after a run that was ended
//	-list                     print the changes and play none
//
// It runs in the root of the module and does not change the tree: a mutation replaces one text by
// another through go's -overlay. It applies only if its package holds that text exactly once, so it
// cannot silently change its meaning when the code changes. The test of this package type-checks
// all mutations in seconds.
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
	pattern := flag.String("run", "", "play only mutations whose names match this regular "+
		"expression")
	n := flag.Int("random", 0, "play this many random changes instead of the list")
	from := flag.Int("from", 1, "begin at this one of the random changes, to go on after a run "+
		"that was ended")
	seed := flag.Uint64("seed", 1, "which random changes are drawn")
	packages := flag.String("packages",
		"guance,pagerduty,relay,relay/internal/schedule,relay/boltstore,relay/pagerdutysink",
		"what random changes are made to")
	looking := flag.String("suites", strings.Join(suites, ","),
		"which tests look for random changes, after those of the package")
	list := flag.Bool("list", false, "print the random changes and play none")
	flag.Parse()
	wanted, err := regexp.Compile(*pattern)
	if err == nil && *n > 0 {
		err = random(*n, *from, *seed, strings.Split(*packages, ","),
			strings.FieldsFunc(*looking, func(c rune) bool { return c == ',' }), wanted, *list)
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
	// A suite that fails without a bug would catch everything.
	for _, dir := range suites {
		if failed, err := test(dir, "", timeout); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		} else if failed != "" {
			return fmt.Errorf("%s fails without any mutation", failed)
		}
	}
	fmt.Println("| promise | the bug | what a user would see | caught by | s |\n| --- | --- | " +
		"--- | --- | --- |")
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
