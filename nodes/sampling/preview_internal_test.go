package sampling

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"comfygo/engine"
	"comfygo/engine/family/sd15"
	"comfygo/engine/preview"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// listener records the reports of a run.
type listener struct {
	nodes.Host
	mu     sync.Mutex
	values []float64
	images int
	// frames are those of the latest animation.
	frames int
}

func (l *listener) Progress(value, _ float64, p *nodes.Preview) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, value)
	if p != nil && len(p.Data) > 0 {
		l.images++
		if p.Animation != nil {
			l.frames = bytes.Count(p.Animation, []byte("ANMF"))
		}
	}
}

// report plays a run of a few steps, each long enough for a preview to be due.
func report(ctx context.Context, t *testing.T, steps int, x *tensor.Tensor) *listener {
	t.Helper()
	return reportEach(ctx, t, steps, 600*time.Millisecond, x) // 50 times what the first preview is taken to cost, and more
}

// reportEach is report with steps that last as long as given.
func reportEach(ctx context.Context, t *testing.T, steps int, each time.Duration, x *tensor.Tensor) *listener {
	t.Helper()
	l := &listener{}
	decoders := preview.Decoders{Engine: engine.New(engine.Config{Log: slog.New(slog.DiscardHandler)})} // opens no library
	c := nodes.NewContext(ctx, nodes.Call{Host: l})
	r := &reporter{ctx: c, size: 64, maker: preview.New(preview.Settings{Method: preview.Auto}, sd15.Latent, decoders, c.Log)}
	for i := range steps {
		time.Sleep(each)
		r.step(es.Step{Index: i, Total: steps, Denoised: x})
	}
	r.close()
	return l
}

func TestEveryStepIsTold(t *testing.T) {
	t.Parallel()
	l := report(t.Context(), t, 3, tensor.New(1, 4, 8, 8))
	if l.images == 0 {
		t.Error("no image was made")
	}
	seen := map[float64]bool{}
	for i, v := range l.values {
		if seen[v] = true; i > 0 && v < l.values[i-1] {
			t.Errorf("progress goes back: %v", l.values)
		}
	}
	if !seen[3] {
		t.Errorf("the last step is missing: %v", l.values)
	}
}

// TestVideosMoveInPreviews: a step that lasts long enough for two frames of a video's latent gives an animation of two or more, beside the image. How
// many a step pays for is held in engine/preview.
func TestVideosMoveInPreviews(t *testing.T) {
	t.Parallel()
	x := tensor.New(1, 4, 6, 8, 8)
	for i := range x.Data {
		x.Data[i] = float32(i%(6*64)/64) - 3
	}
	if l := reportEach(t.Context(), t, 1, 1200*time.Millisecond, x); l.images != 1 || l.frames < 2 || l.frames > 6 {
		t.Errorf("%d images, an animation of %d frames, want 1 of 2 to 6", l.images, l.frames)
	}
}

func TestLatentsWithoutImageReportProgress(t *testing.T) {
	t.Parallel()
	l := report(t.Context(), t, 1, tensor.New(1, 3, 8, 8))
	if len(l.values) != 1 || l.values[0] != 1 || l.images != 0 {
		t.Errorf("told %v with %d images", l.values, l.images)
	}
}

func TestInterruptedRunsTellNoMore(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l := report(ctx, t, 1, tensor.New(1, 4, 8, 8)); len(l.values) != 0 {
		t.Errorf("told %v", l.values)
	}
}
