package sampling

import (
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
}

func (l *listener) Progress(value, _ float64, p *nodes.Preview) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.values = append(l.values, value)
	if p != nil && len(p.Data) > 0 {
		l.images++
	}
}

// report plays a run of a few steps, each long enough for a preview to be due.
func report(ctx context.Context, t *testing.T, steps int, x *tensor.Tensor) *listener {
	t.Helper()
	l := &listener{}
	decoders := preview.Decoders{Engine: engine.New(engine.Config{Log: slog.New(slog.DiscardHandler)})} // opens no library
	c := nodes.NewContext(ctx, nodes.Call{Host: l})
	r := &reporter{ctx: c, size: 64, maker: preview.New(preview.Settings{Method: preview.Auto}, sd15.Latent, decoders, c.Log)}
	for i := range steps {
		time.Sleep(600 * time.Millisecond) // 50 times what the first preview is taken to cost
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
