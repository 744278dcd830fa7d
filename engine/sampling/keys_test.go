package sampling_test

import (
	"slices"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// TestUnread lists the values of a watched entry that were not read.
func TestUnread(t *testing.T) {
	t.Parallel()
	mask := tensor.New(1, 2)
	c := &sampling.Cond{Values: map[string]any{
		sampling.KeyGuidance: 3.5, sampling.KeyReferences: []any{}, sampling.KeyWidth: 8, sampling.KeyAttentionMask: mask, sampling.KeyConcatMask: nil, "siglip": mask,
	}}
	w := c.Watched()
	if _, err := sampling.Value[float64](w, sampling.KeyGuidance); err != nil {
		t.Fatal(err)
	}
	if _, err := sampling.References(w, sampling.LatentFormat{}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Unread(), []string{"siglip", sampling.KeyWidth}; !slices.Equal(got, want) {
		t.Errorf("unread are %q, want %q", got, want)
	}
}
