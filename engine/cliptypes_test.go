package engine_test

import (
	"slices"
	"strings"
	"testing"
)

// TestCLIPTypes checks that each type is listed once, also one that several schemes have.
func TestCLIPTypes(t *testing.T) {
	t.Parallel()
	types := shared.CLIPTypes()
	sorted := slices.Sorted(slices.Values(types))
	if len(slices.Compact(slices.Clone(sorted))) != len(types) {
		t.Errorf("types are listed twice: %s", strings.Join(types, ", "))
	}
	for _, want := range []string{"stable_diffusion", "sd3", "flux", "flux2", "lumina2", "qwen_image", "hidream"} {
		if !slices.Contains(types, want) {
			t.Errorf("%s is not among %s", want, strings.Join(types, ", "))
		}
	}
}
