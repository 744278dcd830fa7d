// Command graph prints the graphs that the engine builds from a model file, one operator a line: outputs with types and
// shapes, operator, inputs and attributes.
//
//	go run ./tools/graph [-part unet|vae-decoder|vae-encoder|clip] [-block 16] [-lean] [-cuda f16] model.safetensors
package main

import (
	"flag"
	"fmt"
	"os"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

func main() {
	part := flag.String("part", "unet", "unet, vae-decoder, vae-encoder or clip")
	block := flag.Int("block", 16, "channel block of the processor's convolutions; 0 for plain ones")
	lean := flag.Bool("lean", false, "weights as they lie in the file")
	cuda := flag.String("cuda", "", "write the graph for CUDA in this type: f16, bf16 or f32")
	odd := flag.Bool("odd", false, "the U-Net for sizes that do not halve evenly")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	t := nn.Target{Compute: dtype.F32, Block: *block, Lean: *lean}
	switch *cuda {
	case "":
	case "f16":
		t = nn.Target{CUDA: true, Compute: dtype.F16}
	case "bf16":
		t = nn.Target{CUDA: true, Compute: dtype.BF16}
	case "f32":
		t = nn.Target{CUDA: true, Compute: dtype.F32}
	default:
		fmt.Fprintf(os.Stderr, "graph: unknown type %q\n", *cuda)
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *part, t, !*odd); err != nil {
		fmt.Fprintln(os.Stderr, "graph:", err)
		os.Exit(1)
	}
}

func run(path, part string, t nn.Target, even bool) error {
	src, err := weights.Open(path)
	if err != nil {
		return err
	}
	defer src.Close()
	f, err := models.Detect(src)
	if err != nil {
		return err
	}
	g, err := build(f, part, t, even)
	if err != nil {
		return err
	}
	return g.Print(os.Stdout)
}

func build(f *models.Found, part string, t nn.Target, even bool) (*onnx.Graph, error) {
	switch {
	case part == "unet" && f.UNet != nil:
		return models.UNetGraph(f.UNetScope(), *f.UNet, t, even)
	case part == "vae-decoder" && f.VAE != nil:
		return models.VAEDecoderGraph(f.VAEScope(), *f.VAE, t)
	case part == "vae-encoder" && f.VAE != nil:
		return models.VAEEncoderGraph(f.VAEScope(), *f.VAE, t)
	case part == "clip" && f.CLIP != nil:
		return models.CLIPTextGraph(f.CLIPScope(), *f.CLIP, t, -1, true)
	}
	return nil, fmt.Errorf("the file holds no %s", part)
}
