package lumina_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// TestPixelsEqualUpstream compares a call of the model on pixels, for an image that the patch does not divide; torch's own error in float32 is
// about 1e-6.
func TestPixelsEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/pixels", "lumina")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"on pixels":           {Source: src, Family: "Z-Image on pixels", Type: sampling.Flow, Shift: 3},
		"without its decoder": {Source: src, Without: "dec_net.input_embedder"},
	})
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	if d.Latent().Channels != 3 || d.Latent().Downscale != 1 || d.Memory([]int{1, 3, 64, 64}, 77) <= 0 {
		t.Errorf("latents %+v, or no estimate of memory", d.Latent())
	}
	in, err := d.Inputs(&sampling.Cond{Tokens: golden.Normal("lumina/context", 2, 5, 16)}, sampling.Request{Format: d.Latent()})
	if err != nil {
		t.Fatal(err)
	}
	y, err := d.Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("lumina/x", 2, 3, 10, 8), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in}})
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "out", y, golden.Tolerance{RMSRel: 1e-5})
	if _, _, err := family.Open(family.Default, familytest.Without(src, "dec_net.input_embedder")).Diffusion(); err == nil || !strings.Contains(err.Error(), "network that makes pixels") {
		t.Errorf("without its decoder: %v", err)
	}
	familytest.CheckCUDA(t, src, 1)
}
