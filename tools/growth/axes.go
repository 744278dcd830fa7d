package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"comfygo/internal/apiclient"
	"comfygo/internal/measure"
)

// axes is everything that is varied.
var axes = []axis{
	{"pixels", "pixels", []string{"a step, CPU s", "decoding, CPU s", "peak, MiB"}, []int{64 * 64, 128 * 128, 256 * 256, 512 * 512}, func(ctx context.Context, o options, n int) ([]float64, error) {
		side := 64
		for side*side < n {
			side *= 2
		}
		return o.sample(ctx, prompt{size: side}, func(r measure.Run) []float64 {
			return []float64{r.Step.CPU.Seconds(), r.Node("VAEDecode").CPU.Seconds()}
		})
	}},
	{"batch", "images of 128x128", []string{"a step, CPU s", "decoding, CPU s", "peak, MiB"}, []int{1, 2, 4, 8, 16}, func(ctx context.Context, o options, n int) ([]float64, error) {
		return o.sample(ctx, prompt{size: 128, batch: n}, func(r measure.Run) []float64 {
			return []float64{r.Step.CPU.Seconds(), r.Node("VAEDecode").CPU.Seconds()}
		})
	}},
	{"steps", "steps", []string{"the prompt, CPU s", "peak, MiB"}, []int{5, 10, 20, 40, 80}, func(ctx context.Context, o options, n int) ([]float64, error) {
		return o.sample(ctx, prompt{steps: n}, whole)
	}},
	{"chunks", "chunks of 75 tokens in a prompt", []string{"encoding, CPU s", "a step, CPU s", "peak, MiB"}, []int{1, 2, 4, 8, 16}, func(ctx context.Context, o options, n int) ([]float64, error) {
		return o.sample(ctx, prompt{chunks: n, steps: 8}, func(r measure.Run) []float64 {
			return []float64{r.Node("CLIPTextEncode").CPU.Seconds(), r.Step.CPU.Seconds()}
		})
	}},
	{"loras", "LoRA files", []string{"the prompt, CPU s", "a step, CPU s", "peak, MiB"}, []int{0, 1, 2, 5, 10, 20}, func(ctx context.Context, o options, n int) ([]float64, error) {
		return o.sample(ctx, prompt{loras: n, steps: 8}, func(r measure.Run) []float64 {
			return []float64{r.All.CPU.Seconds(), r.Step.CPU.Seconds()}
		})
	}},
	{"controlnets", "ControlNets", []string{"the prompt, CPU s", "a step, CPU s", "peak, MiB"}, []int{0, 1, 2, 4}, func(ctx context.Context, o options, n int) ([]float64, error) {
		return o.sample(ctx, prompt{controls: n, steps: 8}, func(r measure.Run) []float64 {
			return []float64{r.All.CPU.Seconds(), r.Step.CPU.Seconds()}
		})
	}},
	{"jobs", "waiting jobs", []string{"accepting all, CPU s", "listing the queue, CPU ms", "resident, MiB"}, []int{300, 1000, 3000, 10000}, jobs},
	{"sockets", "sockets", []string{"a broadcast, CPU ms", "resident, MiB"}, []int{30, 100, 300, 1000}, sockets},
	{"files", "model files", []string{"the first GET /object_info, CPU ms", "later ones, CPU ms", "resident, MiB"}, []int{100, 1000, 10000, 100000}, files},
}

func whole(r measure.Run) []float64 { return []float64{r.All.CPU.Seconds()} }

const mib = 1 << 20

// serve starts a server over a folder that fill has filled, and stops it after use.
func (o options) serve(ctx context.Context, fill func(models string) error, use func(*apiclient.Process) error) (err error) {
	base, err := os.MkdirTemp("", "comfygo-growth-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(base)) }()
	if err := fill(filepath.Join(base, "models")); err != nil {
		return err
	}
	command := []string{o.server, "--port", "0", "--base-directory", base}
	if o.cpu >= 0 {
		command = append([]string{"taskset", "-c", fmt.Sprint(o.cpu)}, command...)
	}
	server, err := apiclient.Start(ctx, nil, command[0], command[1:]...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(time.Minute)) }()
	return use(server)
}

// lend links a model file below the models folder, under a name; as a copy it is another file, which shares no memory with the first.
func (o options) lend(models, folder, file, name string, copied bool) error {
	from, err := filepath.Abs(filepath.Join(o.models, folder, file))
	if err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("looking for a model: %w", err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Join(models, folder), 0o750); err != nil {
		return err
	}
	to := filepath.Join(models, folder, name)
	if !copied {
		return os.Symlink(from, to)
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// sample runs a prompt on a fresh server; the peak of its memory follows the figures.
func (o options) sample(ctx context.Context, p prompt, figures func(measure.Run) []float64) (out []float64, err error) {
	p.checkpoint = o.checkpoint
	fill := func(models string) error {
		err := o.lend(models, "checkpoints", o.checkpoint, o.checkpoint, false)
		for i := range p.loras {
			err = errors.Join(err, o.lend(models, "loras", o.lora, numbered(i), true))
		}
		for i := range p.controls {
			err = errors.Join(err, o.lend(models, "controlnet", o.controlnet, numbered(i), true))
		}
		return err
	}
	err = o.serve(ctx, fill, func(server *apiclient.Process) error {
		r, err := measure.Prompt(ctx, server, p.workflow())
		if err != nil {
			return err
		}
		u, err := server.Usage()
		out = append(figures(r), float64(u.PeakRSS)/mib)
		return err
	})
	return out, err
}

func numbered(i int) string { return fmt.Sprintf("file-%02d.safetensors", i) }

// prompt makes a text-to-image workflow.
type prompt struct {
	checkpoint                                  string
	size, batch, steps, chunks, loras, controls int
}

// workflow is text to image with classifier-free guidance and decoding. Zeros stand for 64x64, one image, three steps and one chunk.
func (p prompt) workflow() measure.Workflow {
	link := func(id string, output int) []any { return []any{id, output} }
	size, batch, steps := max(p.size, 64), max(p.batch, 1), p.steps
	if steps == 0 {
		steps = 3
	}
	const sentence = 75 // "cat" is one token
	text := strings.Repeat("cat ", sentence*max(p.chunks, 1)-1)
	w := measure.Workflow{"1": {Class: "CheckpointLoaderSimple", Inputs: map[string]any{"ckpt_name": p.checkpoint}}}
	model, clip := link("1", 0), link("1", 1)
	for i := range p.loras {
		id := fmt.Sprint("lora", i)
		w[id] = measure.Node{Class: "LoraLoader", Inputs: map[string]any{
			"model": model, "clip": clip, "lora_name": numbered(i), "strength_model": 0.1, "strength_clip": 0.1,
		}}
		model, clip = link(id, 0), link(id, 1)
	}
	w["2"] = measure.Node{Class: "CLIPTextEncode", Inputs: map[string]any{"text": text, "clip": clip}}
	w["3"] = measure.Node{Class: "CLIPTextEncode", Inputs: map[string]any{"text": "blurry", "clip": clip}}
	positive, negative := link("2", 0), link("3", 0)
	if p.controls > 0 {
		w["hint"] = measure.Node{Class: "EmptyImage", Inputs: map[string]any{"width": size, "height": size, "batch_size": 1, "color": 0x808080}}
	}
	for i := range p.controls {
		id := fmt.Sprint("control", i)
		w[id+"file"] = measure.Node{Class: "ControlNetLoader", Inputs: map[string]any{"control_net_name": numbered(i)}}
		w[id] = measure.Node{Class: "ControlNetApplyAdvanced", Inputs: map[string]any{
			"positive": positive, "negative": negative, "control_net": link(id+"file", 0), "image": link("hint", 0),
			"strength": 0.5, "start_percent": 0.0, "end_percent": 1.0,
		}}
		positive, negative = link(id, 0), link(id, 1)
	}
	w["4"] = measure.Node{Class: "EmptyLatentImage", Inputs: map[string]any{"width": size, "height": size, "batch_size": batch}}
	w["5"] = measure.Node{Class: "KSampler", Inputs: map[string]any{
		"model": model, "positive": positive, "negative": negative, "latent_image": link("4", 0),
		"seed": 1, "steps": steps, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
	}}
	w["6"] = measure.Node{Class: "VAEDecode", Inputs: map[string]any{"samples": link("5", 0), "vae": link("1", 2)}}
	w["7"] = measure.Node{Class: "PreviewImage", Inputs: map[string]any{"images": link("6", 0)}}
	return w
}

// small is a workflow without models; each number makes another.
func small(n int) measure.Workflow {
	return measure.Workflow{
		"1": {Class: "EmptyImage", Inputs: map[string]any{"width": 64, "height": 64, "batch_size": 1, "color": n % (1 << 24)}},
		"2": {Class: "PreviewImage", Inputs: map[string]any{"images": []any{"1", 0}}},
	}
}

func nothing(models string) error { return os.MkdirAll(models, 0o750) }

// spent is the CPU time in seconds that the server takes while f runs.
func spent(server *apiclient.Process, f func() error) (float64, error) {
	before, err := server.Usage()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := server.Usage()
	return (after.CPU - before.CPU).Seconds(), err
}

// repeated is the CPU time in milliseconds of a request, of n in turn.
func repeated(ctx context.Context, server *apiclient.Process, path string, n int) (float64, error) {
	client := &apiclient.Client{Base: server.URL}
	s, err := spent(server, func() error {
		for range n {
			if _, err := client.Do(ctx, http.MethodGet, path, "", nil); err != nil {
				return err
			}
		}
		return nil
	})
	return s * 1000 / float64(n), err
}

// jobs fills the queue of a server that is paused.
func jobs(ctx context.Context, o options, n int) (out []float64, err error) {
	err = o.serve(ctx, nothing, func(server *apiclient.Process) error {
		client := &apiclient.Client{Base: server.URL}
		if err := client.Post(ctx, "/api/v1/queue/pause", nil, nil); err != nil {
			return err
		}
		accepting, err := spent(server, func() error {
			for i := range n {
				if _, err := client.Queue(ctx, small(i), ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		u, err := server.Usage()
		if err != nil {
			return err
		}
		listing, err := repeated(ctx, server, "/queue", 20)
		out = []float64{accepting, listing, float64(u.RSS) / mib}
		return err
	})
	return out, err
}

// sockets has clients listen while prompts are queued in a queue that is paused: each is a message to all.
func sockets(ctx context.Context, o options, n int) (out []float64, err error) {
	err = o.serve(ctx, nothing, func(server *apiclient.Process) (err error) {
		client := &apiclient.Client{Base: server.URL}
		if err := client.Post(ctx, "/api/v1/queue/pause", nil, nil); err != nil {
			return err
		}
		var readers sync.WaitGroup
		var open []*apiclient.Socket
		ctx, leave := context.WithCancel(ctx)
		defer readers.Wait()
		defer leave() // ends the readers
		heard, lost := make(chan struct{}, n), make(chan error, n)
		for i := range n {
			s, err := client.Dial(ctx, fmt.Sprint("growth-", i))
			if err != nil {
				return fmt.Errorf("opening socket %d: %w", i, err)
			}
			open = append(open, s)
			if _, err := s.Next(ctx); err != nil { // the greeting
				return err
			}
		}
		for _, s := range open {
			readers.Go(func() {
				for {
					if _, err := s.Next(ctx); err != nil {
						if ctx.Err() == nil {
							lost <- err
						}
						return
					}
					select {
					case heard <- struct{}{}:
					case <-ctx.Done():
						return
					}
				}
			})
		}
		const broadcasts = 20
		took, err := spent(server, func() error {
			for i := range broadcasts {
				if _, err := client.Queue(ctx, small(i), ""); err != nil {
					return err
				}
				for k := range n {
					select {
					case <-heard:
					case err := <-lost:
						return fmt.Errorf("a socket ended: %w", err)
					case <-time.After(30 * time.Second):
						return fmt.Errorf("broadcast %d reached %d of %d sockets within 30 s", i+1, k, n)
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		u, err := server.Usage()
		out = []float64{took * 1000 / broadcasts, float64(u.RSS) / mib}
		return err
	})
	return out, err
}

// files lists model files.
func files(ctx context.Context, o options, n int) (out []float64, err error) {
	fill := func(models string) error {
		kinds := []string{"checkpoints", "loras", "vae", "controlnet"}
		for i := range n {
			dir := filepath.Join(models, kinds[i%len(kinds)], fmt.Sprint("folder", i/len(kinds)%20))
			if err := os.MkdirAll(dir, 0o750); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("model-%06d.safetensors", i)), nil, 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	err = o.serve(ctx, fill, func(server *apiclient.Process) error {
		first, err := repeated(ctx, server, "/object_info", 1)
		if err != nil {
			return err
		}
		later, err := repeated(ctx, server, "/object_info", 50)
		if err != nil {
			return err
		}
		u, err := server.Usage()
		out = []float64{first, later, float64(u.RSS) / mib}
		return err
	})
	return out, err
}
