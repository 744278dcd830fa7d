package mask_test

import (
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestCalls compares with upstream's results.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{})
}

// TestBadInputs: masks that are none, and numbers beyond all bounds.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	for _, values := range []*pyjson.Object{
		pyjson.NewObject("mask", tensor.New(0, 2, 2)),
		pyjson.NewObject("mask", tensor.New(1, 2, 2, 3)),
		pyjson.NewObject("mask", "x"),
		pyjson.NewObject("mask", tensor.New(1, 2, 2), "dilate_width", 1<<40),
		pyjson.NewObject("mask", tensor.New(1, 2, 2), "dilate_width", -1),
	} {
		if _, err := nodecalls.CallIn(t, nil, "VOIDQuadmaskPreprocess", values); err == nil {
			t.Errorf("%v: no error", values)
		}
	}
}
