package all_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"comfygo/tests/nodecalls"
)

// TestRandomCalls makes the calls of a recording by random_cases.py again, where there is one.
func TestRandomCalls(t *testing.T) {
	if _, err := os.Stat("testdata/random_calls.json.gz"); errors.Is(err, fs.ErrNotExist) {
		t.Skip()
	}
	nodecalls.Run(t, "random_calls.json.gz", nodecalls.Options{})
}
