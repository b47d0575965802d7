package pagerduty_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	testDeclared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Example|Benchmark)\w*)\(`)
	testNamed    = regexp.MustCompile("`((?:Test|Fuzz|Example|Benchmark)\\w+)`")
)

// declaredTests returns the names of all tests of the repository.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	declared := make(map[string]bool)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, match := range testDeclared.FindAllSubmatch(source, -1) {
			declared[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return declared
}

// rows returns the cells of each row of the first table in a document of docs/.
func rows(t *testing.T, document string) (found [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", document))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---") {
			found = append(found, strings.Split(strings.Trim(line, "|"), "|"))
		}
		if line == "" && len(found) > 0 {
			break
		}
	}
	return found
}

// Tests that the documents name must exist.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	declared := declaredTests(t)
	for _, document := range []string{"pagerduty-clients.md", "pagerduty-facts.md"} {
		for _, row := range rows(t, document) {
			for _, match := range testNamed.FindAllStringSubmatch(strings.Join(row, "|"), -1) {
				if !declared[match[1]] {
					t.Errorf("%s: %s does not exist", document, match[1])
				}
			}
		}
	}
}

func TestEveryRowOfTheComparisonNamesATest(t *testing.T) {
	table := rows(t, "pagerduty-clients.md")
	if len(table) < 25 {
		t.Fatalf("%d rows", len(table))
	}
	for _, row := range table[1:] {
		if len(row) != len(table[0]) || !testNamed.MatchString(row[1]) {
			t.Errorf("%s: %d cells of %d, or no test named", strings.TrimSpace(row[0]), len(row),
				len(table[0]))
		}
	}
}

func TestEveryFactHasItsTest(t *testing.T) {
	told := make(map[int]bool)
	for _, row := range rows(t, "pagerduty-facts.md") {
		n, err := strconv.Atoi(strings.TrimSpace(row[0]))
		if err != nil {
			continue // a heading
		}
		told[n] = true
		for _, match := range testNamed.FindAllStringSubmatch(row[2], -1) {
			if want := fmt.Sprintf("TestFact%02d", n); !strings.HasPrefix(match[1], want) {
				t.Errorf("fact %d: %s does not name it", n, match[1])
			}
		}
		if !testNamed.MatchString(row[2]) {
			t.Errorf("fact %d has no test", n)
		}
	}
	for n := 1; n <= 53; n++ {
		if !told[n] {
			t.Errorf("fact %d is missing", n)
		}
	}
}
