// Command fullsize writes a Stable Diffusion XL checkpoint of full size and LoRA files for it, with pseudo-random weights,
// for measurements of speed and memory. The checkpoint is fp16 and has 6.9 GB.
//
//	go run ./tools/fullsize -o DIR
//
// writes DIR/checkpoints/sdxl-full.safetensors and DIR/loras/sdxl-lora-a.safetensors and -b. Files that are there already
// are kept. The numbers have the scale of trained weights, so that activations stay finite; the images are noise.
//
//	go run ./tools/fullsize -o DIR -zeros flux-dev-fp8,t5xxl-fp8 [-depth N] [-text WIDTH]
//
// writes models of full width whose weights are zeros instead: holes, which take no room on a disk, but all of the work and
// the memory. -depth leaves out all blocks but the first N of each kind; -text is the width of the text encoding that the model reads, such as 768
// for CLIP-L. The names are those of the table transformers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/internal/recipe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fullsize:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("fullsize", flag.ContinueOnError)
	dir := fs.String("o", "", "models `folder` to write to")
	rank := fs.Int("rank", 16, "rank of the LoRA files")
	empty := fs.String("zeros", "", "write these `models` of zeros instead, separated by commas: "+strings.Join(slices.Sorted(maps.Keys(transformers)), ", "))
	var r reduced
	fs.IntVar(&r.depth, "depth", 0, "blocks of each kind of models of zeros; 0 for all")
	fs.IntVar(&r.text, "text", 0, "width of the text encoding of models of zeros; 0 for the model's own")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *dir == "" || fs.NArg() > 0 || *rank < 1 {
		return errors.New("name the models folder with -o; the rank of a LoRA is at least 1")
	}
	if *empty != "" {
		return writeZeros(*dir, strings.Split(*empty, ","), r, out)
	}
	unet := diffusionModel()
	for _, m := range []*recipe.Manifest{
		manifest("checkpoints", "sdxl-full", unet.tensors, clipL().tensors, clipG().tensors, vae().tensors),
		manifest("loras", "sdxl-lora-a", unet.lora(*rank)),
		manifest("loras", "sdxl-lora-b", unet.lora(*rank)),
	} {
		path := filepath.Join(*dir, filepath.FromSlash(m.File()))
		if _, err := os.Stat(path); err == nil {
			fmt.Fprintln(out, path, "is there already")
			continue
		}
		if _, err := m.Make(ctx, *dir); err != nil {
			return err
		}
		st, err := os.Stat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  %d tensors, %d bytes\n", path, len(m.Tensors), st.Size())
	}
	return nil
}

func writeZeros(dir string, names []string, r reduced, out io.Writer) error {
	for _, name := range names {
		model, ok := transformers[name]
		if !ok {
			return fmt.Errorf("there is no model %q of zeros", name)
		}
		z := model(r)
		path, size, err := z.write(dir)
		if err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
		fmt.Fprintf(out, "%s  %d tensors, %d bytes\n", path, len(z.tensors), size)
	}
	return nil
}

func manifest(folder, name string, parts ...[]recipe.Tensor) *recipe.Manifest {
	m := &recipe.Manifest{Name: name, Salt: name, Folder: folder}
	for _, p := range parts {
		m.Tensors = append(m.Tensors, p...)
	}
	return m
}
