package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"comfygo/internal/apiclient"
)

// target is one server under measurement.
type target struct {
	*apiclient.Process
	client *apiclient.Client
	base   string
	start  time.Duration // until the first answer
}

// launch starts a program on a folder of its own with the given number of model files. close must be called.
func launch(ctx context.Context, program string, models int, flags ...string) (t *target, err error) {
	base, err := os.MkdirTemp("", "comfygo-httpbench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(base))
		}
	}()
	if err := fill(filepath.Join(base, "models"), models); err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := apiclient.Start(ctx, nil, program, append([]string{"--port", "0", "--base-directory", base}, flags...)...)
	if err != nil {
		return nil, err
	}
	t = &target{Process: p, base: base, client: &apiclient.Client{Base: p.URL}}
	if err := t.client.Get(ctx, "/object_info", nil); err != nil {
		return nil, errors.Join(err, p.Stop(10*time.Second))
	}
	t.start = time.Since(began)
	return t, nil
}

// fill makes empty model files of four kinds in twenty folders of each.
func fill(models string, n int) error {
	kinds := []string{"checkpoints", "loras", "vae", "controlnet"}
	for i := range n {
		dir := filepath.Join(models, kinds[i%len(kinds)], fmt.Sprint("folder", i/len(kinds)%20))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("model-%05d.safetensors", i)), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) close() error {
	return errors.Join(t.Stop(30*time.Second), os.RemoveAll(t.base))
}

// cpu returns the time that the server's threads have used so far, in nanoseconds as the scheduler counts them: /proc/PID/stat counts in
// hundredths of a second. The Go runtime keeps its threads, so no thread's time is lost.
func (t *target) cpu() (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", t.PID()))
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for _, path := range tasks {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a thread that has just ended
		}
		first, _, _ := strings.Cut(string(text), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading %s: %w", path, err)
		}
		sum += time.Duration(ns)
	}
	if sum > 0 {
		return sum, nil
	}
	u, err := t.Usage() // a kernel without schedstat
	return u.CPU, err
}

// rounds is how often everything is measured. Others at work on the machine make a round dearer (caches, the sharing of a core) and never
// cheaper: the lowest figure is the server's own.
const rounds = 5

// cost is the server's cost of one repetition, in milliseconds of CPU time.
type cost struct{ lowest, median float64 }

// each measures n repetitions in rounds. A tenth of them goes before, to warm up.
func (t *target) each(n int, do func(n int) error) (cost, error) {
	if err := do(max(1, n/10)); err != nil {
		return cost{}, err
	}
	var all []float64
	for range rounds {
		n := max(1, n/rounds)
		before, err := t.cpu()
		if err != nil {
			return cost{}, err
		}
		if err := do(n); err != nil {
			return cost{}, err
		}
		after, err := t.cpu()
		if err != nil {
			return cost{}, err
		}
		all = append(all, (after-before).Seconds()*1000/float64(n))
	}
	return cost{slices.Min(all), median(all)}, nil
}

// measureStart measures the start to the first answer and the memory of an idle server.
func measureStart(ctx context.Context, o options, r *report) error {
	var times []float64
	var rss int64
	const starts = 3
	for range starts {
		t, err := launch(ctx, o.server, o.models)
		if err != nil {
			return err
		}
		times = append(times, t.start.Seconds())
		time.Sleep(time.Second) // what the start left to do
		u, err := t.Usage()
		if err = errors.Join(err, t.close()); err != nil {
			return err
		}
		rss = max(rss, u.RSS)
	}
	const mib = 1 << 20
	r.add(row{name: fmt.Sprintf("start to GET /object_info answered, %d model files", o.models), unit: "s", value: median(times), limit: 0.3, comfyui: 15.4, shared: true})
	r.add(row{name: "idle memory", unit: "MiB", value: float64(rss) / mib, limit: 60, comfyui: 884})
	return nil
}
