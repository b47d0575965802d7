// Mutate measures the tests. It plants one deliberate bug after another, each of them a promise broken, and has the short test suites
// find it. It prints a table of the bugs with the test that caught each, which is kept in docs/guarantees.md, and fails if one was not
// caught: then a check is missing.
//
//	go run ./internal/mutate                 every mutation; a quarter of an hour
//	go run ./internal/mutate -run 'budget'   those whose names match
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
	"time"
)

func main() {
	pattern := flag.String("run", "", "play only mutations whose names match this regular expression")
	flag.Parse()
	if err := run(*pattern); err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(pattern string) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	// A suite that fails by itself would catch everything.
	for _, suite := range suites {
		if failed, err := test(suite, ""); err != nil {
			return fmt.Errorf("%s: %w", suite, err)
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
