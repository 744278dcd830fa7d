package all_test

import (
	"testing"

	"comfygo/nodes/image"
	"comfygo/tests/nodecalls"
)

// TestRandomCalls compares random calls of classes that have few in their own packages with upstream's results;
// testdata/cases_random.py lists them and says where they may differ.
func TestRandomCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_random.json.gz", nodecalls.Options{Described: func(v any) (any, bool) {
		if c, ok := v.(image.Curve); ok {
			return c.String(), true
		}
		return nil, false
	}})
}
