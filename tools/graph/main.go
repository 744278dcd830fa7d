// Command graph prints the graphs that the engine builds from a model file, one operator a line: outputs with types and
// shapes, operator, inputs and attributes.
//
//	go run ./tools/graph [-part diffusion|vae-decoder|vae-encoder|text] [-block 16] [-lean] [-cuda f16] model.safetensors
package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

type options struct {
	part          string
	width, height int
	tokens, text  int
}

func main() {
	var o options
	t := engine.TargetOptions{Prepared: true}
	flag.StringVar(&o.part, "part", "diffusion", "diffusion, vae-decoder, vae-encoder or text")
	flag.IntVar(&o.width, "width", 512, "image width in pixels")
	flag.IntVar(&o.height, "height", 512, "image height in pixels")
	flag.IntVar(&o.tokens, "tokens", 77, "number of text tokens")
	flag.IntVar(&o.text, "text", 768, "width of the text encoding")
	flag.IntVar(&t.Block, "block", 16, "channel block of the CPU's convolutions; 0 for plain ones")
	flag.BoolVar(&t.Lean, "lean", false, "keep weights as they are in the file")
	cuda := flag.String("cuda", "", "write the graph for CUDA in this type: f16, bf16 or f32")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if *cuda != "" {
		types := map[string]dtype.DType{"f16": dtype.F16, "bf16": dtype.BF16, "f32": dtype.F32}
		t.Device.Kind, t.Compute = ort.CUDA, types[*cuda]
		if t.Compute == dtype.Invalid {
			fmt.Fprintf(os.Stderr, "graph: unknown type %q\n", *cuda)
			os.Exit(2)
		}
	}
	if err := run(flag.Arg(0), o, t); err != nil {
		fmt.Fprintln(os.Stderr, "graph:", err)
		os.Exit(1)
	}
}

func run(path string, o options, t engine.TargetOptions) error {
	src, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	target, err := engine.Target(t)
	if err != nil {
		return err
	}
	r := &dryrun.Runner{Spec: family.Spec{Target: target}}
	if err := build(context.Background(), family.Open(family.Default, src), o, r); err != nil {
		return err
	}
	for _, g := range r.Graphs {
		if err := g.Print(os.Stdout); err != nil {
			return err
		}
	}
	return nil
}

// build has a part of the file run with zeros: the runner keeps the graphs.
func build(ctx context.Context, f *family.File, o options, r *dryrun.Runner) error {
	switch o.part {
	case "diffusion":
		d, _, err := f.Diffusion()
		if err != nil {
			return err
		}
		format := d.Latent()
		shape := []int{1, format.Channels, o.height / format.Downscale, o.width / format.Downscale}
		if format.Video {
			shape = []int{1, format.Channels, 1, o.height / format.Downscale, o.width / format.Downscale}
		}
		c := &sampling.Cond{Tokens: tensor.New(1, o.tokens, o.text), Pooled: tensor.New(1, 1280)}
		in, err := d.Inputs(c, sampling.Request{Shape: shape, Latent: tensor.New(shape...), Format: format})
		if err != nil {
			return err
		}
		_, err = d.Predict(ctx, r, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}})
		return err
	case "vae-decoder", "vae-encoder":
		v, err := f.VAE()
		if err != nil {
			return err
		}
		if v == nil {
			return fmt.Errorf("the file holds no VAE")
		}
		info := v.Info()
		if o.part == "vae-encoder" {
			_, err = v.Encode(ctx, r, tensor.New(1, 3, o.height, o.width))
			return err
		}
		shape := []int{1, info.Channels, o.height / info.Downscale, o.width / info.Downscale}
		if info.Video {
			shape = []int{1, info.Channels, 1, o.height / info.Downscale, o.width / info.Downscale}
		}
		_, err = v.Decode(ctx, r, tensor.New(shape...))
		return err
	case "text":
		e, err := f.Text()
		if err != nil {
			return err
		}
		tokens, err := e.Tokenize("a tree", family.TokenizeOptions{})
		if err != nil {
			return err
		}
		_, err = e.Encode(ctx, r, tokens, family.EncodeOptions{})
		return err
	}
	return fmt.Errorf("there is no part %q", o.part)
}
