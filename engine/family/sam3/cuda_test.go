package sam3_test

import (
	"testing"

	"comfygo/engine/family/familytest"
)

// TestCUDA builds the graphs of both models for CUDA and looks for operators without a kernel.
func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sam3", "sam31"} {
		_, src := familytest.Recorded(t, "testdata/"+name, "sam3")
		familytest.CheckCUDA(t, src, 1)
	}
}
