package relayfile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/guance-relay/guance-relay/guance"
)

// A CaseFile is a table of events and the lanes that they have to reach.
type CaseFile struct {
	Cases []caseOf `yaml:"cases"`
}

type caseOf struct {
	Name   string         `yaml:"name"`
	Source string         `yaml:"source"`
	Event  map[string]any `yaml:"event"`
	File   string         `yaml:"file"`
	Lanes  []string       `yaml:"lanes"`
}

// A Case is an event and the lanes that it has to reach.
type Case struct {
	Name   string
	Place  string // file:line
	Source string
	Event  *guance.Event
	Lanes  []string
}

// LoadCases reads a table of cases for a configuration.
func LoadCases(name string, c *Config) ([]Case, error) {
	table := &CaseFile{}
	doc, err := readDocument(name, table)
	if err != nil {
		return nil, err
	}
	if len(table.Cases) == 0 {
		return nil, doc.errorf(path{"cases"}, "add a case with name, event and lanes", "there is no case")
	}
	var cases []Case
	for i, row := range table.Cases {
		at := path{"cases", i}
		if (row.Event == nil) == (row.File == "") {
			return nil, doc.errorf(at, "add event, with the fields of Guance, or file",
				"the case needs either an event or a file")
		}
		if !doc.has(at.with("lanes")) {
			return nil, doc.errorf(at.with("lanes"), "name lanes, or write [] for nobody", "is missing")
		}
		for j, lane := range row.Lanes {
			if _, known := c.File.Lanes[lane]; !known {
				return nil, doc.errorf(at.with("lanes", j), "correct it, or add the lane to "+c.doc.name,
					"there is no lane %s", quote(lane))
			}
		}
		source, err := c.Source(row.Source)
		if err != nil {
			problem, remedy := split(err, "")
			return nil, doc.errorf(at.with("source"), remedy, "%s", problem)
		}
		body, err := json.Marshal(row.Event)
		where := at.with("event")
		if row.File != "" {
			where = at.with("file")
			file := row.File
			if !filepath.IsAbs(file) {
				file = filepath.Join(filepath.Dir(name), file)
			}
			body, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, doc.errorf(where, "correct the path", "%v", err)
		}
		events, err := guance.Decode(body, "application/json")
		if err != nil || len(events) != 1 {
			return nil, doc.errorf(where, "give one event as Guance sends it",
				"not one event: %d events, %v", len(events), err)
		}
		if row.Name == "" {
			row.Name = fmt.Sprintf("case %d", i+1)
		}
		cases = append(cases, Case{
			Name: row.Name, Place: fmt.Sprintf("%s:%d", name, doc.find(at).Line), Source: source,
			Event: events[0], Lanes: row.Lanes,
		})
	}
	return cases, nil
}
