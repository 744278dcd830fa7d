//go:build drygpu && linux

package drygpu_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
)

// TestFluxBlock holds the launches of a single block of Flux.
func TestFluxBlock(t *testing.T) {
	for _, compute := range []dtype.DType{dtype.BF16, dtype.F16} {
		for sm, kind := range map[int]string{80: "flash", 90: "cudnn"} {
			launched := func(blocks int) int {
				path := manifest(t, "flux-dev-small", compute, func(key string) []string {
					rest, is := strings.CutPrefix(key, "single_blocks.1.")
					if !is {
						return []string{key}
					}
					var keys []string
					for i := 1; i < blocks; i++ {
						keys = append(keys, fmt.Sprintf("single_blocks.%d.%s", i, rest))
					}
					return keys
				})
				r, _ := dry(t, gpu{SM: sm}, scenario{Name: "steps", Checkpoint: path, UNet: compute, Size: 256, Steps: 3})
				s := r.sections["step2"]
				if got := s.attention(); !slices.Equal(got, []string{kind}) {
					t.Errorf("%s, compute capability %d: attention %v, want %s", compute, sm, got, kind)
				}
				return s.launches
			}
			block := (launched(6) - launched(3)) / 3
			t.Logf("%s, compute capability %d: %d launches", compute, sm, block)
			most := 18
			if compute == dtype.BF16 && sm < 90 {
				most = 19 // FlashAttention in bfloat16 is ONNX's Attention, which takes more launches than MultiHeadAttention
			}
			if block > most || block < 10 {
				t.Errorf("%s, compute capability %d: a single block takes %d launches, want at most %d", compute, sm, block, most)
			}
		}
	}
}
