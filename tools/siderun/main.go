// Command siderun measures this program and ComfyUI over the same API workflows from outside, in turn, each on one
// CPU, and prints medians and ratios.
//
//	go run ./tools/fullsize -o MODELS
//	go run ./tools/siderun -models MODELS -comfyui DIR -python DIR/venv/bin/python -only sdxl-512,sd15,lora
//
// In each round every program is started anew, runs one scenario and is stopped. CPU seconds come from /proc/PID/stat of
// the server process, peak memory is its VmHWM. Linux only. docs/development/measuring.md describes the scenarios.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"comfygo/internal/measure"
)

// forms are the LoRA files of the goldens, one of each form.
const forms = "lora-kohya.safetensors,lora-locon.safetensors,lora-dora.safetensors,lora-loha.safetensors,lora-lokr.safetensors,lora-glora.safetensors,lora-oft.safetensors,lora-boft.safetensors,lora-diff.safetensors"

// options are the command line.
type options struct {
	server, baseline, comfyui, python string
	serverFlags, comfyuiFlags         string
	models, only, node                string
	sdxl, sd15, loras, forms, patches string
	size, steps, frames, rounds, cpu  int
	timeout                           time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "siderun:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("siderun", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "bin/comfygo", "this program")
	f.StringVar(&o.serverFlags, "flags", "", "further flags of this program, separated by blanks")
	f.StringVar(&o.baseline, "baseline", "", "another build of this program to compare with, started with the same flags")
	f.StringVar(&o.comfyui, "comfyui", "", "ComfyUI's `folder`; empty leaves it out")
	f.StringVar(&o.python, "python", "python3", "the Python that runs ComfyUI")
	f.StringVar(&o.comfyuiFlags, "comfyui-flags", fastest, "ComfyUI's flags: its fastest form in float32")
	f.StringVar(&o.node, "node", "", "`file` of a custom node for ComfyUI")
	f.StringVar(&o.models, "models", "", "models `folder` with checkpoints/ and loras/")
	f.StringVar(&o.only, "only", "", "scenarios to run, separated by commas; all when empty")
	f.StringVar(&o.sdxl, "sdxl", "sdxl-full.safetensors", "SDXL checkpoint")
	f.StringVar(&o.sd15, "sd15", "sd15-full.safetensors", "Stable Diffusion 1.5 checkpoint")
	f.StringVar(&o.loras, "loras", "sdxl-lora-a.safetensors,sdxl-lora-b.safetensors", "two LoRA files for the SDXL checkpoint")
	f.StringVar(&o.forms, "forms", forms, "LoRA files for the Stable Diffusion 1.5 checkpoint")
	f.StringVar(&o.patches, "patches", "", "classes of the scenario patches, separated by commas; all when empty")
	f.IntVar(&o.size, "size", 0, "image size in place of each scenario's own, for trying it out")
	f.IntVar(&o.steps, "steps", 3, "sampler steps; all but the first are measured")
	f.IntVar(&o.frames, "frames", 17, "frames of the scenarios that decode videos")
	f.IntVar(&o.rounds, "rounds", 3, "rounds to take medians of")
	f.IntVar(&o.cpu, "cpu", runtime.NumCPU()-1, "number of the CPU that the servers run on; -1 leaves them free")
	f.DurationVar(&o.timeout, "timeout", 3*time.Hour, "give up after this time")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case o.models == "":
		return o, errors.New("name the models folder with -models")
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.frames < 1:
		return o, errors.New("decoding a video takes a frame at least")
	case o.rounds < 1 || o.steps < 2:
		return o, errors.New("measuring takes a round and two steps at least")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	chosen, err := o.scenarios()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s\n%s, medians of %d\n", measure.CPU(), time.Now().UTC().Format("2006-01-02 15:04 MST"), o.rounds)
	for _, s := range chosen {
		t := newTable(s, o.sides())
		for round := range o.rounds {
			for _, side := range o.sides() {
				fmt.Fprintf(log, "%s: round %d of %d: %s\n", s.name, round+1, o.rounds, side.name)
				f, err := o.measure(ctx, side, s)
				if context.Cause(ctx) != nil {
					return errors.Join(context.Cause(ctx), t.print(out))
				}
				t.add(side.name, f, err)
			}
		}
		if err := t.print(out); err != nil {
			return err
		}
	}
	return nil
}

// measure starts a server, runs a scenario on it and stops it.
func (o options) measure(ctx context.Context, side side, s scenario) (f figures, err error) {
	base, err := os.MkdirTemp("", "comfygo-siderun-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(base)) }()
	if err := os.Mkdir(filepath.Join(base, "custom_nodes"), 0o755); err != nil { // ComfyUI does not start without it
		return nil, err
	}
	for _, file := range s.files {
		if err := o.lend(base, file); err != nil {
			return nil, err
		}
	}
	if o.node != "" {
		node, err := os.ReadFile(o.node)
		if err == nil {
			err = os.WriteFile(filepath.Join(base, "custom_nodes", filepath.Base(o.node)), node, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("copying the custom node: %w", err)
		}
	}
	server, err := o.start(ctx, side, base)
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopErr := server.Stop(30 * time.Second); err == nil && stopErr != nil && !side.interruptible {
			err = stopErr
		}
	}()
	if f, err = s.run(ctx, server); err != nil {
		return nil, err
	}
	end, err := server.Usage()
	if err != nil {
		return nil, err
	}
	f["peak memory, MiB"] = float64(end.PeakRSS) / (1 << 20)
	return f, nil
}

// lend links a model file below the base folder, under its name.
func (o options) lend(base, file string) error {
	from, err := filepath.Abs(filepath.Join(o.models, filepath.FromSlash(file)))
	if err != nil {
		return err
	}
	if _, err := os.Stat(from); err != nil {
		return fmt.Errorf("looking for a model: %w", err)
	}
	to := filepath.Join(base, "models", filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.Symlink(from, to)
}

// scenarios returns those that -only names.
func (o options) scenarios() ([]scenario, error) {
	all := o.all()
	if o.only == "" {
		return all, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(o.only, ",") {
		found := false
		for _, s := range all {
			if s.name == strings.TrimSpace(name) {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no scenario %q", name)
		}
	}
	return chosen, nil
}
