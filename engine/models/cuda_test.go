package models_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
	"comfygo/internal/recipe"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// TestCUDAGraphsHaveKernels writes the graphs of all families for CUDA, from files and for computing in float32, float16
// and bfloat16, for the target that the engine uses, and looks each operator up in the list of CUDA's kernels. That
// weights are asked to stay mapped, as they are by default, must change nothing.
func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	types := []dtype.DType{dtype.F32, dtype.F16, dtype.BF16}
	for _, name := range []string{"sd15-full", "sd15-small-inpaint", "controlnet-sd15", "vae-sd", "clip-l", "taesd", "esrgan-4x-old", "realesrgan-2x", "compact-2x"} {
		for _, stored := range types {
			t.Run(fmt.Sprint(name, " ", stored), func(t *testing.T) {
				t.Parallel()
				found, err := models.Detect(described(t, name, stored))
				if err != nil {
					t.Fatal(err)
				}
				for _, compute := range types {
					target, err := nn.TargetFor(nn.TargetOptions{CUDA: true, Compute: compute, Block: 16, MapWeights: true})
					if err != nil {
						t.Fatal(err)
					}
					written := parts(found)
					if len(written) == 0 {
						t.Fatal("the file holds no part that is known here")
					}
					for part, write := range written {
						g, err := write(target)
						if err != nil {
							t.Errorf("%s computing in %s: %v", part, compute, err)
							continue
						}
						cudakernels.Check(t, g)
					}
				}
			})
		}
	}
}

// described is the model of a manifest with all of its floating-point weights in one type, without their bytes.
func described(t *testing.T, name string, stored dtype.DType) *listed {
	t.Helper()
	m, err := recipe.Load(filepath.Join(filepath.Dir(golden.Path(t, "models/x")), name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	l := &listed{entries: map[string]weights.Entry{}}
	for _, x := range m.Tensors {
		e := weights.Entry{Name: x.Key, DType: x.DType, Shape: x.Shape}
		if e.DType.IsFloat() {
			e.DType = stored
		}
		e.TypeName = e.DType.String()
		if len(e.Shape) == 0 { // configuration, which is read when the model is detected
			e.Data = make([]byte, e.DType.Size())
		}
		l.names = append(l.names, e.Name)
		l.entries[e.Name] = e
	}
	slices.SortFunc(l.names, strings.Compare)
	return l
}

// parts are the graphs that can be written for what a file holds.
func parts(f *models.Found) map[string]func(nn.Target) (*onnx.Graph, error) {
	out := map[string]func(nn.Target) (*onnx.Graph, error){}
	add := func(more map[string]func(nn.Target) (*onnx.Graph, error)) { maps.Copy(out, more) }
	if f.UNet != nil {
		for _, even := range []bool{true, false} {
			add(map[string]func(nn.Target) (*onnx.Graph, error){
				fmt.Sprintf("unet even=%t", even): func(t nn.Target) (*onnx.Graph, error) {
					return models.UNetGraph(f.UNetScope(), *f.UNet, t, even)
				},
				fmt.Sprintf("controlled unet even=%t", even): func(t nn.Target) (*onnx.Graph, error) {
					return models.ControlledUNetGraph(f.UNetScope(), *f.UNet, t, even)
				},
			})
		}
	}
	if f.Control != nil {
		out["controlnet"] = func(t nn.Target) (*onnx.Graph, error) { return models.ControlGraph(f.ControlScope(), *f.Control, t) }
	}
	if f.VAE != nil {
		out["vae decoder"] = func(t nn.Target) (*onnx.Graph, error) { return models.VAEDecoderGraph(f.VAEScope(), *f.VAE, t) }
		out["vae encoder"] = func(t nn.Target) (*onnx.Graph, error) { return models.VAEEncoderGraph(f.VAEScope(), *f.VAE, t) }
	}
	if f.CLIP != nil {
		for _, layer := range []int{-1, 0, 10} {
			out[fmt.Sprintf("clip, layer %d", layer)] = func(t nn.Target) (*onnx.Graph, error) {
				return models.CLIPTextGraph(f.CLIPScope(), *f.CLIP, t, layer, layer == 0)
			}
		}
	}
	if f.Tiny != nil && f.Tiny.HasDecoder {
		out["taesd decoder"] = func(t nn.Target) (*onnx.Graph, error) { return models.TinyDecoderGraph(f.TinyDecoderScope(), t) }
	}
	if f.Tiny != nil && f.Tiny.HasEncoder {
		out["taesd encoder"] = func(t nn.Target) (*onnx.Graph, error) { return models.TinyEncoderGraph(f.TinyEncoderScope(), t) }
	}
	if f.Upscaler != nil {
		out["upscaler"] = func(t nn.Target) (*onnx.Graph, error) { return models.UpscalerGraph(f.UpscalerScope(), *f.Upscaler, t) }
	}
	return out
}
