// Command graph prints the graphs that the engine builds from a model file, one operator a line: outputs with types and
// shapes, operator, inputs and attributes.
//
//	go run ./tools/graph [-part unet|vae-decoder|vae-encoder|clip] [-block 16] [-lean] [-cuda f16] model.safetensors
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

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
	compute, known := dtype.Parse(strings.ToUpper(*cuda))
	if *cuda != "" && !known {
		fmt.Fprintf(os.Stderr, "graph: unknown type %q\n", *cuda)
		os.Exit(2)
	}
	t, err := nn.TargetFor(nn.TargetOptions{CUDA: *cuda != "", Compute: compute, Block: *block, MapWeights: *lean})
	if err != nil {
		fmt.Fprintln(os.Stderr, "graph:", err)
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
