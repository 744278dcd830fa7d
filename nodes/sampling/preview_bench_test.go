package sampling_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comfygo/engine"
	"comfygo/engine/family/sd15"
	"comfygo/engine/preview"
	"comfygo/engine/safetensors"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/nodes/sampling"
	"comfygo/tests/golden"
	"comfygo/tests/usage"
)

// watcher counts the images that a run reports.
type watcher struct {
	nodes.Host
	images atomic.Int64
}

func (w *watcher) Progress(_, _ float64, p *nodes.Preview) {
	if p != nil && len(p.Data) > 0 {
		w.images.Add(1)
	}
}

// Hidden says that the run has no inputs besides those of the node.
func (w *watcher) Hidden(string) any { return nil }

// tinyDecoder makes folders whose vae_approx holds the decoder of the golden TAESD.
func tinyDecoder(b *testing.B) *folders.Folders {
	b.Helper()
	src, err := weights.Open(golden.Checkpoint(b, "taesd"))
	if err != nil {
		b.Fatal(err)
	}
	defer src.Close()
	var tensors []safetensors.Tensor
	for _, name := range src.Names() {
		if rest, ok := strings.CutPrefix(name, "taesd_decoder."); ok {
			e, _ := src.Lookup(name)
			tensors = append(tensors, safetensors.Tensor{Name: rest, DType: e.DType, Shape: e.Shape, Data: e.Data})
		}
	}
	base := b.TempDir()
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(base, "models", "vae_approx")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := safetensors.Save(filepath.Join(dir, "taesd_decoder.safetensors"), nil, tensors); err != nil {
		b.Fatal(err)
	}
	return f
}

// BenchmarkPreviews compares runs of Stable Diffusion 1.5 at 256x256 without previews to runs with them, alternately. The cost
// of a method is reported in percent of the CPU time and of the wall-clock time; other work on the machine shows in the
// second.
func BenchmarkPreviews(b *testing.B) {
	const steps = 8
	model, clip, _, err := runtime.LoadCheckpoint(golden.Checkpoint(b, "sd15-full"))
	if err != nil {
		b.Fatal(err)
	}
	prompt, err := clip.Encode(b.Context(), "a lighthouse")
	if err != nil {
		b.Fatal(err)
	}
	at := tinyDecoder(b)
	methods := []string{preview.None, preview.LatentToRGB, preview.TAESD}
	cpu, wall, images := map[string]time.Duration{}, map[string]time.Duration{}, map[string]int64{}
	run := func(method string) {
		w := &watcher{}
		ctx := nodes.NewContext(context.WithoutCancel(b.Context()), nodes.Call{
			ID: "1", PromptID: "bench", Host: w, Log: slog.New(slog.DiscardHandler),
			Services: nodes.Services{Folders: at, Engine: runtime, Preview: preview.Settings{Method: method, Size: 512}},
		})
		k := &sampling.KSampler{
			Model: model, Seed: 1, Steps: steps, CFG: 7, Sampler: "euler", Scheduler: "normal", Positive: prompt, Negative: prompt,
			Latent: engine.Latent{Samples: tensor.New(1, 4, 32, 32), DownscaleRatio: 8}, Denoise: 1,
		}
		start, used := time.Now(), usage.CPU()
		if _, err := k.Run(ctx); err != nil {
			b.Fatal(err)
		}
		wall[method] += time.Since(start)
		cpu[method] += usage.CPU() - used
		images[method] += w.images.Load()
	}
	for _, m := range methods { // what is made once
		run(m)
	}
	clear(cpu)
	clear(wall)
	clear(images)
	for b.Loop() {
		for _, m := range methods {
			run(m)
		}
	}
	more := func(of map[string]time.Duration, method string) float64 {
		return 100 * (float64(of[method])/float64(of[preview.None]) - 1)
	}
	b.ReportMetric(wall[preview.None].Seconds()/float64(b.N)/steps, "s/step")
	for _, m := range methods[1:] {
		b.ReportMetric(more(cpu, m), m+"-cpu-%")
		b.ReportMetric(more(wall, m), m+"-wall-%")
		b.ReportMetric(float64(images[m])/float64(b.N), m+"-images")
	}
}

// BenchmarkPreviewImage measures what one image costs the CPU, from the latent to the bytes that are sent.
func BenchmarkPreviewImage(b *testing.B) {
	at := tinyDecoder(b)
	find := func(start string) (string, bool) { return at.Find("vae_approx", start+".safetensors") }
	for _, c := range []struct {
		name, method string
		format       es.LatentFormat
		shape        []int
	}{
		{"latent2rgb/512", preview.LatentToRGB, sd15.Latent, []int{1, 4, 64, 64}},
		{"latent2rgb/1024", preview.LatentToRGB, sd15.Latent, []int{1, 4, 128, 128}},
		{"taesd/256", preview.TAESD, sd15.Latent, []int{1, 4, 32, 32}},
		{"taesd/512", preview.TAESD, sd15.Latent, []int{1, 4, 64, 64}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := preview.New(preview.Settings{Method: c.method, Size: 512}, c.format, preview.Decoders{Engine: runtime, Find: find}, slog.New(slog.DiscardHandler))
			x := tensor.New(c.shape...)
			es.NewGenerator(1).Randn(x.Data)
			makeImage := func() {
				img, err := m.Image(b.Context(), x)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := (&nodes.Preview{Format: "JPEG", Image: img, MaxSize: 512}).Encode(); err != nil {
					b.Fatal(err)
				}
			}
			makeImage() // the decoder is made once
			b.ReportAllocs()
			used := usage.CPU()
			for b.Loop() {
				makeImage()
			}
			b.ReportMetric((usage.CPU()-used).Seconds()*1000/float64(b.N), "cpu-ms/image")
		})
	}
}
