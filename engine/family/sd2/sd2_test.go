package sd2_test

import (
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/lotus"
	_ "comfygo/engine/family/sd2"
	"comfygo/engine/weights"
)

// wider is a U-Net whose first layer reads more channels.
type wider struct {
	weights.Source
	channels int
}

func (w wider) Lookup(name string) (weights.Entry, bool) {
	e, ok := w.Source.Lookup(name)
	if strings.HasSuffix(name, "input_blocks.0.0.weight") {
		e.Shape = slices.Clone(e.Shape)
		e.Shape[1] = w.channels
	}
	return e, ok
}

// TestVariants: the inpainting model is read; of the depth model, which upstream reads and fails to run, the error says what it is.
func TestVariants(t *testing.T) {
	t.Parallel()
	for channels, want := range map[int]string{4: "", 9: "", 5: "it is the depth model", 7: "no known variant"} {
		src := wider{familytest.Without(familytest.Manifest(t, "lotus-small", dtype.Invalid), "label_emb"), channels}
		_, _, err := family.Open(family.Default, src).Diffusion()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d channels: %v, want %q", channels, err, want)
		}
	}
}
