// Package checktest lets the tests of a package run the project's goldens that belong to it.
package checktest

import (
	"testing"

	"comfygo/engine"
	"comfygo/internal/goldencheck"
	"comfygo/tests/golden"
)

// Pass runs the goldens of tests/testdata/golden with a file or folder that matches the pattern; see
// goldencheck.Options.Only. Each one that fails fails the test. Goldens of networks need a runtime, which may be nil. It
// returns all results.
func Pass(t *testing.T, only string, rt *engine.Runtime) []goldencheck.Result {
	t.Helper()
	var results []goldencheck.Result
	tally, err := goldencheck.Run(t.Context(), goldencheck.Options{
		Golden: golden.Path(t, ""), Only: only, Runtime: rt,
		Report: func(r goldencheck.Result) {
			results = append(results, r)
			if r.State == goldencheck.Failed {
				t.Errorf("%s: %s", r.Golden, r.Detail)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if tally.Passed == 0 {
		t.Errorf("%s: %v", only, tally)
	}
	return results
}
