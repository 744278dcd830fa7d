package wan_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"weak"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// counting is a runner that knows which results are still in use.
type counting struct {
	familytest.Runner
	results []result
	// most is the highest number of bytes of results in use at the start of a run.
	most int64
	runs int
}

type result struct {
	data  weak.Pointer[float32]
	bytes int64
}

// Run implements family.Runner.
func (c *counting) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	runtime.GC()
	var used int64
	left := c.results[:0]
	for _, r := range c.results {
		if r.data.Value() != nil {
			used += r.bytes
			left = append(left, r)
		}
	}
	c.results, c.most = left, max(c.most, used)
	c.runs++
	out, err := c.Runner.Run(ctx, g, in, outputs...)
	for _, t := range out {
		c.results = append(c.results, result{weak.Make(&t.Data[0]), int64(4 * t.Len())})
	}
	return out, err
}

// TestDecoderHoldsStates counts the results of layers that are in use while videos are decoded. Of a convolution over time these
// are the two frames before, and beside them there are the frame that is handed on and the ones that wait: less than all
// states once more. It is the same for any number of frames, and an image keeps nothing.
func TestDecoderHoldsStates(t *testing.T) {
	t.Parallel()
	_, src := recorded(t, "vae")
	const rows, cols = 6, 4
	held := func(latents int) int64 {
		c := &counting{}
		v := open(t, src)
		if err := v.(family.Streamed).DecodeStream(t.Context(), c, golden.Normal("wan/z3", 1, 16, latents, rows, cols), func(*tensor.Tensor) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if c.runs < latents*8 {
			t.Fatalf("%d runs", c.runs)
		}
		return c.most
	}
	image, short, long := held(1), held(3), held(4)
	if long != short {
		t.Errorf("%d bytes are in use for 3 latents, %d for 4", short, long)
	}
	if limit := states(src, rows, cols); short < limit/2 || short > 2*limit {
		t.Errorf("%d bytes are in use for 3 latents, where states take %d", short, limit)
	}
	if image > short/4 {
		t.Errorf("%d bytes are in use for an image, %d for a video", image, short)
	}
}

// states is the number of bytes of the states of a decoder: two input frames of each convolution over time, two output frames of the last
// one.
func states(src weights.Source, rows, cols int) int64 {
	bytes, cells := 0, rows*cols
	count := func(names ...string) {
		for _, name := range names {
			if e, ok := src.Lookup(name + ".weight"); ok {
				bytes += 2 * 4 * e.Shape[1] * cells
			}
		}
	}
	count("decoder.conv1", "decoder.middle.0.residual.2", "decoder.middle.0.residual.6", "decoder.middle.2.residual.2", "decoder.middle.2.residual.6")
	for i := 0; ; i++ {
		layer := fmt.Sprintf("decoder.upsamples.%d.", i)
		_, larger := src.Lookup(layer + "resample.1.weight")
		_, residual := src.Lookup(layer + "residual.2.weight")
		if !larger && !residual {
			break
		}
		count(layer+"residual.2", layer+"residual.6", layer+"time_conv")
		if larger {
			cells *= 4
		}
	}
	return int64(bytes + 2*4*3*cells)
}
