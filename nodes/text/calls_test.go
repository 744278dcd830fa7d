package text_test

import (
	"testing"

	"comfygo/tests/nodecalls"
)

// TestCalls compares with upstream's results, which are equal.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{})
}

// TestSaved compares the files of SaveText.
func TestSaved(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_saved.json.gz", nodecalls.Options{})
}
