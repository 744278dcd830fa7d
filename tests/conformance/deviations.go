package conformance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"comfygo/tests/golden"
)

// Deviation is an intended difference of the program from the recordings.
type Deviation struct {
	// Cases are the ids of exchanges and traces, which may hold *.
	Cases []string `json:"cases"`
	// Variant, without cases, selects everything that was recorded in it.
	Variant string `json:"variant"`
	// Plain means that only the program without the test nodes differs.
	Plain  bool   `json:"plain"`
	Reason string `json:"reason"`
}

// Deviations reads the list.
func Deviations() ([]Deviation, error) {
	root, err := golden.Root()
	if err != nil {
		return nil, fmt.Errorf("reading the deviations: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(root, "tests", "deviations.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the deviations: %w", err)
	}
	var out []Deviation
	if err := json.Unmarshal(data, &out); err != nil {
		return nil, fmt.Errorf("reading the deviations: %w", err)
	}
	for i, d := range out {
		if d.Reason == "" || (len(d.Cases) == 0) == (d.Variant == "") {
			return nil, fmt.Errorf("reading the deviations: number %d lacks a reason, or is not about either cases or a variant", i)
		}
	}
	return out, nil
}

// Covers reports whether the deviation is about the exchange or trace with the id.
func (d Deviation) Covers(id string) bool { return matches(id, d.Cases) }
