// Command activations measures the memory that networks take beside their weights: the highest anonymous memory of a run on
// the CPU less what the process held before it, for sizes and batches. The weights are zeros in sparse files, of the shapes
// that a manifest of the goldens or a file gives.
//
//	go run ./tools/activations [-part diffusion|decode|encode|text] [-type stable_diffusion] [-sizes 32x32,64x96] [-rows 1,2] [-tokens 77,256] [-frames 1] MANIFEST|FILE …
//
// It prints one JSON object a run, as engine/family/census/testdata/memory.jsonl keeps them; "estimate" is what the family says. With
// -dry it prints the estimates alone.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"comfygo/engine/safetensors"
	"comfygo/internal/recipe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "activations:", err)
		os.Exit(1)
	}
}

// measurement is one run of a part of a file.
type measurement struct {
	// Model names the manifest or the file.
	Model string `json:"model"`
	// Part is "diffusion", "decode", "encode" or "text".
	Part string `json:"part"`
	// Shape is that of the latent as the network reads it, of the pixels for "encode". Tokens are those of the text.
	Shape  []int `json:"shape"`
	Tokens int   `json:"tokens,omitempty"`
	// Peak is the measured memory, Estimate the family's estimate, in bytes.
	Peak     int64 `json:"peak"`
	Estimate int64 `json:"estimate,omitempty"`
}

type options struct {
	sizes, rows, tokens, frames string
	part, kind, only            string
	threads                     int
	dry                         bool
}

func run(ctx context.Context, args []string) error {
	var o options
	fs := flag.NewFlagSet("activations", flag.ContinueOnError)
	fs.StringVar(&o.sizes, "sizes", "64x64,96x64", "heights and widths of latents, in cells")
	fs.StringVar(&o.rows, "rows", "1,2", "rows of a batch")
	fs.StringVar(&o.tokens, "tokens", "77,512", "lengths of text encodings")
	fs.StringVar(&o.frames, "frames", "1", "frames of latents of videos")
	fs.StringVar(&o.part, "part", "diffusion", "diffusion, decode, encode or text")
	fs.StringVar(&o.kind, "type", "stable_diffusion", "type of text encoders, as CLIPLoader names it")
	fs.IntVar(&o.threads, "threads", 2, "threads of one operator")
	fs.BoolVar(&o.dry, "dry", false, "print the estimates without running anything")
	fs.StringVar(&o.only, "case", "", "measure this one run in this process (JSON)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("name manifests or files of weights")
	}
	if o.only != "" {
		var m measurement
		if err := json.Unmarshal([]byte(o.only), &m); err != nil {
			return fmt.Errorf("reading -case: %w", err)
		}
		return measure(ctx, o, fs.Arg(0), m)
	}
	for _, path := range fs.Args() {
		if err := measureAll(ctx, o, path); err != nil {
			fmt.Fprintln(os.Stderr, "activations:", err)
		}
	}
	return ctx.Err()
}

// measureAll measures a file, each run in a process of its own: memory that one run leaves behind would count for the next.
func measureAll(ctx context.Context, o options, path string) error {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".json.gz"), ".safetensors")
	if strings.HasSuffix(path, ".json.gz") {
		dir, err := os.MkdirTemp("", "activations")
		if err != nil {
			return fmt.Errorf("making a folder for weights: %w", err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // of the temporary files
		if path, err = sparse(path, dir); err != nil {
			return err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	for _, m := range o.cases(name) {
		raw, err := json.Marshal(m)
		if err != nil {
			return fmt.Errorf("describing a run: %w", err)
		}
		cmd := exec.CommandContext(ctx, self, "-threads", strconv.Itoa(o.threads), "-dry="+strconv.FormatBool(o.dry), "-type", o.kind, "-case", string(raw), path)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("measuring %s: %w", raw, err)
		}
	}
	return nil
}

// cases lists the runs that the options select.
func (o options) cases(name string) []measurement {
	var out []measurement
	tokens := numbers(o.tokens)
	switch o.part {
	case "diffusion":
	case "text":
		o.sizes, o.rows, o.frames = "1x1", "1", "1"
	default:
		tokens = []int{0}
	}
	for _, size := range strings.Split(o.sizes, ",") {
		h, w, _ := strings.Cut(size, "x")
		for _, rows := range numbers(o.rows) {
			for _, frames := range numbers(o.frames) {
				for _, t := range tokens {
					out = append(out, measurement{Model: name, Part: o.part, Tokens: t, Shape: append([]int{rows, 0, frames}, append(numbers(h), numbers(w)...)...)})
				}
			}
		}
	}
	return out
}

func numbers(list string) []int {
	var out []int
	for _, s := range strings.Split(list, ",") {
		if n, err := strconv.Atoi(s); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// sparse writes a file of zeros for a manifest, which takes no disk space.
func sparse(manifest, dir string) (string, error) {
	m, err := recipe.Load(manifest)
	if err != nil {
		return "", err
	}
	var specs []safetensors.Spec
	var total int64
	for _, t := range m.Tensors {
		specs = append(specs, safetensors.Spec{Name: t.Key, DType: t.DType, Shape: t.Shape})
		n := int64(t.DType.Size())
		for _, d := range t.Shape {
			n *= int64(d)
		}
		total += n
	}
	path := filepath.Join(dir, m.Name+".safetensors")
	w, err := safetensors.Create(path, m.Metadata, specs)
	if err != nil {
		return "", err
	}
	defer w.Abort() // without effect after Commit
	if err := w.Skip(total); err != nil {
		return "", err
	}
	return path, w.Commit()
}
