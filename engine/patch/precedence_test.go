package patch_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
)

// TestProbeAndPerturb: in the layer that a probe looks at, attention is not replaced by its values, in either order of the patches; in
// other layers of the block it is.
func TestProbeAndPerturb(t *testing.T) {
	t.Parallel()
	perturb, probe := patch.Perturb{Block: patch.MiddleBlock}, patch.Probe{Seen: &patch.Attended{}}
	for _, list := range []patch.GraphPatches{{perturb, probe}, {probe, perturb}} {
		for layer, want := range map[int]bool{0: true, 1: false} {
			attended := false
			_, err := onnx.Build("test", func(g *onnx.Graph) error {
				b := &nn.Builder{Graph: g, Target: nn.Target{Compute: dtype.F32}}
				x := g.Input("x", dtype.F32, onnx.Dims(1, 3, 4)...)
				y := list.Attend(b, patch.SelfAttention, patch.Site{Block: patch.MiddleBlock, Layer: layer, Heads: 2}, x, x, x, func(q, _, _ *onnx.Value) *onnx.Value {
					attended = true
					return b.Relu(q)
				})
				g.Output("y", y)
				return nil
			})
			if err != nil || attended != want {
				t.Errorf("%T first, layer %d: attention %t, %v", list[0], layer, attended, err)
			}
		}
	}
}
