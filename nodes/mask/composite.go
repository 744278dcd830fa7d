package mask

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LatentCompositeMasked{})
	nodes.Register(&ImageCompositeMasked{})
	nodes.Register(&MaskComposite{})
}

// LatentCompositeMasked composites latents over others with a mask.
type LatentCompositeMasked struct {
	Destination engine.Latent  `in:"destination" type:"LATENT"`
	Source      engine.Latent  `in:"source" type:"LATENT"`
	X           int            `in:"x" default:"0" min:"0" max:"16384" step:"8"`
	Y           int            `in:"y" default:"0" min:"0" max:"16384" step:"8"`
	Resize      bool           `in:"resize_source" default:"false"`
	Mask        *tensor.Tensor `in:"mask" type:"MASK" optional:"true"`
}

// Spec implements nodes.Node.
func (*LatentCompositeMasked) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LatentCompositeMasked", DisplayName: "Latent Composite Masked", Category: "model/latent", Module: module, V3: true,
		SearchAliases: []string{"overlay latent", "layer latent", "paste latent", "inpaint latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesNothing,
	}
}

func (*LatentCompositeMasked) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LatentCompositeMasked) Run(*nodes.Context) (nodes.Result, error) {
	dst, src := n.Destination.Samples, n.Source.Samples
	if !isImage(dst) || !isImage(src) {
		return nodes.Result{}, nodes.Errorf("ValueError", "the inputs destination and source are not both latents of images")
	}
	var err error
	if n.Resize {
		if src, err = imaging.Upscale(src, dst.Shape[3], dst.Shape[2], "bilinear", "disabled"); err != nil {
			return nodes.Result{}, fmt.Errorf("composing latents: %w", err)
		}
	}
	const ratio = 8
	out := n.Destination
	if out.Samples, err = imaging.Composite(dst, src, n.Mask, floorDiv(n.Y, ratio), floorDiv(n.X, ratio), false); err != nil {
		return nodes.Result{}, fmt.Errorf("composing latents: %w", err)
	}
	return nodes.Out(out), nil
}

func floorDiv(a, b int) int { return int(math.Floor(float64(a) / float64(b))) }

// ImageCompositeMasked composites images over others with a mask.
type ImageCompositeMasked struct {
	Destination *tensor.Tensor `in:"destination" type:"IMAGE"`
	Source      *tensor.Tensor `in:"source" type:"IMAGE"`
	X           int            `in:"x" default:"0" min:"0" max:"16384" step:"1"`
	Y           int            `in:"y" default:"0" min:"0" max:"16384" step:"1"`
	Resize      bool           `in:"resize_source" default:"false"`
	Mask        *tensor.Tensor `in:"mask" type:"MASK" optional:"true"`
}

// Spec implements nodes.Node.
func (*ImageCompositeMasked) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageCompositeMasked", DisplayName: "Image Composite Masked", Category: "image/compositing", Module: module, V3: true,
		SearchAliases: []string{"overlay", "layer", "paste image", "images composition"}, Outputs: nodes.Outputs("IMAGE"),
		Uses: nodes.UsesNothing,
	}
}

func (*ImageCompositeMasked) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run gives the source the number of channels of the destination; a missing alpha is opaque.
func (n *ImageCompositeMasked) Run(*nodes.Context) (nodes.Result, error) {
	dst, src := n.Destination, n.Source
	if !isImage(dst) || !isImage(src) {
		return nodes.Result{}, errNoImage("destination or source")
	}
	src = imaging.WithChannels(src, dst.Shape[3], 1)
	var err error
	if n.Resize {
		if src, err = imaging.UpscaleImage(src, dst.Shape[2], dst.Shape[1], "bilinear", "disabled"); err != nil {
			return nodes.Result{}, fmt.Errorf("composing images: %w", err)
		}
	}
	out, err := imaging.Composite(dst, src, n.Mask, n.Y, n.X, true)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("composing images: %w", err)
	}
	return nodes.Out(out), nil
}

// MaskComposite combines two masks where they overlap.
type MaskComposite struct {
	Destination *tensor.Tensor `in:"destination" type:"MASK"`
	Source      *tensor.Tensor `in:"source" type:"MASK"`
	X           int            `in:"x" default:"0" min:"0" max:"16384" step:"1"`
	Y           int            `in:"y" default:"0" min:"0" max:"16384" step:"1"`
	Operation   string         `in:"operation" options:"multiply|add|subtract|and|or|xor"`
}

// Spec implements nodes.Node.
func (*MaskComposite) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MaskComposite", DisplayName: "Combine Masks", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"combine masks", "blend masks", "layer masks", "masks composition"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*MaskComposite) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// on reports whether a value counts as marked for and, or, xor.
func on(v float32) bool { return math.RoundToEven(float64(v)) != 0 }

func asMask(b bool) float32 {
	if b {
		return 1
	}
	return 0
}

// operations combine rows of equal length into the first one.
var operations = map[string]func(to, from []float32){
	"multiply": func(to, from []float32) {
		for i, v := range from {
			to[i] *= v
		}
	},
	"add": func(to, from []float32) {
		for i, v := range from {
			to[i] += v
		}
	},
	"subtract": func(to, from []float32) {
		for i, v := range from {
			to[i] -= v
		}
	},
	"and": marked(func(a, b bool) bool { return a && b }),
	"or":  marked(func(a, b bool) bool { return a || b }),
	"xor": marked(func(a, b bool) bool { return a != b }),
}

// marked combines what counts as marked.
func marked(f func(a, b bool) bool) func(to, from []float32) {
	return func(to, from []float32) {
		for i, v := range from {
			to[i] = asMask(f(on(to[i]), on(v)))
		}
	}
}

// limits are as many zeros and ones as a row has values.
func limits(width int) (zeros, ones []float32) {
	zeros, ones = make([]float32, width), make([]float32, width)
	for i := range ones {
		ones[i] = 1
	}
	return zeros, ones
}

// Run cuts what of the source sticks out, and everything to 0…1.
func (n *MaskComposite) Run(*nodes.Context) (nodes.Result, error) {
	dst, err := flat("destination", n.Destination)
	if err != nil {
		return nodes.Result{}, err
	}
	src, err := flat("source", n.Source)
	if err != nil {
		return nodes.Result{}, err
	}
	apply, ok := operations[n.Operation]
	if !ok {
		return nodes.Result{}, nodes.Errorf("ValueError", "combining masks: unknown operation %q", n.Operation)
	}
	if src.Shape[0] != dst.Shape[0] && src.Shape[0] != 1 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "combining masks: a batch of %d does not fit one of %d", src.Shape[0], dst.Shape[0])
	}
	if n.X < 0 || n.Y < 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "combining masks: the offset %d, %d is negative", n.X, n.Y)
	}
	out := dst.Clone()
	width := max(0, min(src.Shape[2], dst.Shape[2]-n.X))
	zeros, ones := limits(dst.Shape[2])
	for b := range dst.Shape[0] {
		to, from := out.Index(b).Data, src.Index(min(b, src.Shape[0]-1)).Data
		for y := range dst.Shape[1] { // row by row, so that each is in the cache for the second pass
			row := to[y*dst.Shape[2]:][:dst.Shape[2]]
			if at := y - n.Y; width > 0 && at >= 0 && at < src.Shape[1] {
				apply(row[n.X:][:width], from[at*src.Shape[2]:][:width])
			}
			vec.Max(row, row, zeros)
			vec.Min(row, row, ones)
		}
	}
	return nodes.Out(out), nil
}
