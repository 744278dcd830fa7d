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
