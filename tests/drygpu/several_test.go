//go:build drygpu && linux

package drygpu_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

func init() {
	scenes["placed"] = placed
	scenes["spread"] = spread
	scenes["jobs"] = jobs
}

// placed encodes, predicts and decodes, each on a GPU that a node would choose.
func placed(ctx context.Context, p *player) error {
	m, clip, vae, err := p.rt.LoadCheckpoint(p.Checkpoint)
	if err != nil {
		return err
	}
	at := func(option string) engine.Place {
		place, ok := p.rt.Place(option)
		if !ok {
			err = errors.Join(err, fmt.Errorf("there is no device %s", option))
		}
		return place
	}
	model, text, decoder := m.At(at("gpu:1")), clip.At(at("gpu:2")), vae.At(at("gpu:0"))
	if _, ok := p.rt.Place("gpu:3"); ok || err != nil {
		return fmt.Errorf("gpu:3 exists: %v, %w", ok, err)
	}
	if err := p.mark("text"); err != nil {
		return err
	}
	if _, err := text.Encode(ctx, "a lighthouse"); err != nil {
		return err
	}
	if err := p.predict(ctx, model, p.prefix); err != nil {
		return err
	}
	if err := p.mark("decode"); err != nil {
		return err
	}
	_, err = decoder.Decode(ctx, tensor.New(1, 4, p.Size/8, p.Size/8))
	return errors.Join(err, p.mark("end"))
}

// spread samples with both sides of the guidance on two GPUs.
func spread(ctx context.Context, p *player) error {
	m, err := p.rt.LoadModel(p.Checkpoint, 0)
	if err != nil {
		return err
	}
	m = m.Spread(2)
	cond, err := dryrun.Entry(ctx, m.Denoiser())
	if err != nil {
		return err
	}
	if err := p.mark("sample"); err != nil {
		return err
	}
	format := m.LatentFormat()
	_, err = sampling.Sample(ctx, sampling.Params{
		Network: m, Model: m.Sampling(), Format: format, Inputs: m.Inputs, Positive: []sampling.Cond{*cond}, Negative: []sampling.Cond{*cond}, CFG: 7, Steps: p.Steps,
		Sampler: "euler", Scheduler: "normal", Denoise: 1, Latent: tensor.New(1, format.Channels, p.Size/8, p.Size/8),
		Fits: func(shape []int, tokens int) bool { return shape[0] <= m.MaxRows(shape[1:], tokens) },
	})
	return errors.Join(err, p.mark("end"))
}

// jobs predicts on two GPUs at once.
func jobs(ctx context.Context, p *player) error {
	m, err := p.rt.LoadModel(p.Checkpoint, 0)
	if err != nil {
		return err
	}
	if err := p.mark("jobs"); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	p.before = meeting(len(errs))
	for i := range errs {
		place, ok := p.rt.Place(fmt.Sprint("gpu:", i))
		if !ok {
			return fmt.Errorf("there is no GPU %d", i)
		}
		wg.Go(func() { errs[i] = p.predict(ctx, m.At(place), fmt.Sprint("job", i, "-")) })
	}
	wg.Wait()
	return errors.Join(append(errs, p.mark("end"))...)
}

// TestPlaces puts each network on a GPU of its own: each GPU runs its network and holds its weights alone.
func TestPlaces(t *testing.T) {
	r, _ := dry(t, gpu{Count: 3}, scenario{Name: "placed", Checkpoint: model(t, "sd15"), UNet: dtype.F16, VAE: dtype.F16, Size: 256, Steps: 2})
	t.Logf("most memory %v", mib(r.memory))
	for gpu, most := range map[string][2]int64{"0": {90, 600}, "1": {1600, 1900}, "2": {100, 500}} {
		if got := r.memory[gpu] >> 20; got < most[0] || got > most[1] {
			t.Errorf("GPU %s has given %d MiB, want %d to %d", gpu, got, most[0], most[1])
		}
	}
}

// TestSpread samples with the two sides of the guidance on two GPUs, of four.
func TestSpread(t *testing.T) {
	r, _ := dry(t, gpu{Count: 4}, scenario{Name: "spread", Checkpoint: model(t, "sd15"), UNet: dtype.F16, Size: 256, Steps: 3})
	t.Logf("calls %v, most memory %v", r.gpus, mib(r.memory))
	if a, b := r.gpus["0"], r.gpus["1"]; a < 1000 || b < a/10*9 || b > a/9*10 || r.memory["1"] < 1600<<20 || r.memory["2"]+r.memory["3"] > 0 {
		t.Errorf("calls by GPU %v, most memory %v", r.gpus, mib(r.memory))
	}
}

// TestJobs runs two jobs in one process on two GPUs at once.
func TestJobs(t *testing.T) {
	r, _ := dry(t, gpu{Count: 2}, scenario{Name: "jobs", Checkpoint: model(t, "sd15"), UNet: dtype.F16, Size: 256, Steps: 20})
	changes := 0
	for i := 1; i < len(r.launched); i++ {
		if r.launched[i] != r.launched[i-1] {
			changes++
		}
	}
	t.Logf("calls %v, most memory %v; %d changes of the GPU in %d launches", r.gpus, mib(r.memory), changes, len(r.launched))
	if r.memory["0"] < 1600<<20 || r.memory["1"] < 1600<<20 || changes < 20 { // jobs that wait for each other would stop at the first step
		t.Errorf("most memory %v, %d changes of the GPU", mib(r.memory), changes)
	}
}

// meeting returns a function that waits until n goroutines have called it, again and again.
func meeting(n int) func() {
	var mu sync.Mutex
	gate, waiting := make(chan struct{}), 0
	return func() {
		mu.Lock()
		here := gate
		if waiting++; waiting == n {
			gate, waiting = make(chan struct{}), 0
			close(here)
		}
		mu.Unlock()
		<-here
	}
}

func mib(by map[string]int64) map[string]int64 {
	out := map[string]int64{}
	for gpu, n := range by {
		out[gpu] = n >> 20
	}
	return out
}
