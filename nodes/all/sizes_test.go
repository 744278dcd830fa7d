package all_test

import (
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
)

// TestClassesSayTheirSizes: without Sizes, the pixels of a job are not known before it runs, and a role with a limit
// cannot use the class.
func TestClassesSayTheirSizes(t *testing.T) {
	t.Parallel()
	nodes.Default().Walk(func(c *nodes.Class) bool {
		if strings.HasPrefix(c.Name, "Test") || strings.HasPrefix(c.Name, "Stub") { // upstream's classes for black-box tests
			return true
		}
		if _, says := c.Sizer(); c.GivesImages() && !says {
			t.Errorf("%s gives on images and has no method Sizes (nodes.Sizer)", c.Name)
		}
		return true
	})
}

// unrunnable are classes of the test below that need more than images and defaults.
var unrunnable = []string{"ImageStitch", "BatchImagesNode", "BatchMasksNode", "BatchLatentsNode", "LTXVPreprocess", "ResizeImageMaskNode"}

// ratios are the pixels per latent value of classes for which they are not 8, as an upper bound.
var ratios = map[string]int{"EmptyChromaRadianceLatentImage": 1, "EmptyHiDreamO1LatentImage": 1, "StableCascade_EmptyLatentImage": 4, "SD_4XUpscale_Conditioning": 4}

// TestSizesHold runs every class that needs nothing but images, masks, latents and values, with two images of 64x64
// and the defaults, and holds what comes out against what the class says.
func TestSizesHold(t *testing.T) {
	t.Parallel()
	const count, side, ratio = 2, 64, 8
	ran := 0
	nodes.Default().Walk(func(c *nodes.Class) bool {
		sizer, says := c.Sizer()
		values, given := pyjson.NewObject(), pyjson.NewObject()
		s := &nodes.Sizing{Inputs: given, Linked: map[string]nodes.Images{}, Class: c}
		come := nodes.Images{Count: count, Width: side, Height: side, Lists: 1, Exact: true}
		if !says || c.OutputNode || c.InputIsList || slices.Contains(unrunnable, c.Name) {
			return true
		}
		for _, in := range c.Inputs() {
			var v any
			switch in.Type {
			case "IMAGE":
				v = tensor.New(count, side, side, 3)
			case "MASK":
				v = tensor.New(count, side, side)
			case "LATENT":
				v = engine.Latent{Samples: tensor.New(count, 4, side/ratio, side/ratio)}
			case "INT", "FLOAT", "BOOLEAN":
				if in.Default == nil {
					return true
				}
				values.Set(in.Name, in.Default)
				given.Set(in.Name, in.Default)
				continue
			default:
				choices := in.Choices(nodes.Env{})
				if len(choices) == 0 {
					if in.Optional {
						continue
					}
					return true // needs a model, a file or a template
				}
				values.Set(in.Name, choices[0])
				given.Set(in.Name, choices[0])
				continue
			}
			values.Set(in.Name, v)
			given.Set(in.Name, []any{"1", int64(0)})
			s.Linked[in.Name] = come
			s.Links = append(s.Links, come)
			s.In = come
		}
		s.In.Lists = 1
		node, err := c.Bind(values, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := node.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err != nil {
			t.Logf("%s cannot be run with the defaults: %v", c.Name, err)
			return true
		}
		ran++
		said := sizer.Sizes(s)
		for i, v := range r.Values {
			pixels := ratio
			if own, ok := ratios[c.Name]; ok {
				pixels = own
			}
			n, w, h := sizeOf(v, pixels)
			if n > said.Count || w > said.Width || h > said.Height {
				t.Errorf("%s: output %d has %g images of %gx%g, and Sizes says %g of %gx%g", c.Name, i, n, w, h, said.Count, said.Width, said.Height)
			}
			if said.Exact && n > 0 && (w != said.Width || h != said.Height) {
				t.Errorf("%s: output %d is %gx%g, and Sizes says that it is just %gx%g", c.Name, i, w, h, said.Width, said.Height)
			}
		}
		return true
	})
	if ran < 40 {
		t.Errorf("%d classes were run, at least 40 can be", ran)
	}
}

// sizeOf is how many images a value holds and how large they are, in pixels.
func sizeOf(v any, ratio int) (count, width, height float64) {
	var shape []int
	switch v := v.(type) {
	case *tensor.Tensor:
		shape = v.Shape
	case engine.Latent:
		shape = v.Samples.Shape
		if len(shape) < 4 || v.Type == "audio" {
			return 0, 0, 0
		}
		return float64(shape[0]), float64(shape[len(shape)-1] * ratio), float64(shape[len(shape)-2] * ratio)
	}
	if len(shape) < 3 {
		return 0, 0, 0
	}
	return float64(shape[0]), float64(shape[2]), float64(shape[1])
}
