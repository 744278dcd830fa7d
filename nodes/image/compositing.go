package image

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

const moduleCompositing = "comfy_extras.nodes_compositing"

func init() {
	nodes.Register(&PorterDuffImageComposite{})
	nodes.Register(&SplitImageWithAlpha{})
	nodes.Register(&JoinImageWithAlpha{})
}

// porterDuff holds the operators (Porter and Duff 1984, with the usual blend modes beside them). s and d are colours
// already multiplied by their alphas sa and da; the result is colour and alpha, the colour multiplied too.
var porterDuff = map[string]func(s, d, sa, da float32) (c, a float32){
	"ADD":   func(s, d, sa, da float32) (float32, float32) { return unit(s + d), unit(sa + da) },
	"CLEAR": func(_, _, _, _ float32) (float32, float32) { return 0, 0 },
	"DARKEN": func(s, d, sa, da float32) (float32, float32) {
		return (1-da)*s + (1-sa)*d + min(s, d), sa + da - sa*da
	},
	"DST":      func(_, d, _, da float32) (float32, float32) { return d, da },
	"DST_ATOP": func(s, d, sa, da float32) (float32, float32) { return sa*d + (1-da)*s, sa },
	"DST_IN":   func(_, d, sa, da float32) (float32, float32) { return d * sa, sa * da },
	"DST_OUT":  func(_, d, sa, da float32) (float32, float32) { return (1 - sa) * d, (1 - sa) * da },
	"DST_OVER": func(s, d, sa, da float32) (float32, float32) { return d + (1-da)*s, da + (1-da)*sa },
	"LIGHTEN": func(s, d, sa, da float32) (float32, float32) {
		return (1-da)*s + (1-sa)*d + max(s, d), sa + da - sa*da
	},
	"MULTIPLY": func(s, d, sa, da float32) (float32, float32) { return s * d, sa * da },
	"OVERLAY": func(s, d, sa, da float32) (float32, float32) {
		if 2*d < da {
			return 2 * s * d, sa + da - sa*da
		}
		return sa*da - 2*(da-s)*(sa-d), sa + da - sa*da
	},
	"SCREEN":   func(s, d, sa, da float32) (float32, float32) { return s + d - s*d, sa + da - sa*da },
	"SRC":      func(s, _, sa, _ float32) (float32, float32) { return s, sa },
	"SRC_ATOP": func(s, d, sa, da float32) (float32, float32) { return da*s + (1-sa)*d, da },
	"SRC_IN":   func(s, _, sa, da float32) (float32, float32) { return s * da, sa * da },
	"SRC_OUT":  func(s, _, sa, da float32) (float32, float32) { return (1 - da) * s, (1 - da) * sa },
	"SRC_OVER": func(s, d, sa, da float32) (float32, float32) { return s + (1-sa)*d, sa + (1-sa)*da },
	"XOR": func(s, d, sa, da float32) (float32, float32) {
		return (1-da)*s + (1-sa)*d, (1-da)*sa + (1-sa)*da
	},
}

func unit(v float32) float32 { return min(max(v, 0), 1) }

// PorterDuffImageComposite composes two images with masks as their transparency.
type PorterDuffImageComposite struct {
	Source           *tensor.Tensor `in:"source" type:"IMAGE"`
	SourceAlpha      *tensor.Tensor `in:"source_alpha" type:"MASK"`
	Destination      *tensor.Tensor `in:"destination" type:"IMAGE"`
	DestinationAlpha *tensor.Tensor `in:"destination_alpha" type:"MASK"`
	Mode             string         `in:"mode" options:"ADD|CLEAR|DARKEN|DST|DST_ATOP|DST_IN|DST_OUT|DST_OVER|LIGHTEN|MULTIPLY|OVERLAY|SCREEN|SRC|SRC_ATOP|SRC_IN|SRC_OUT|SRC_OVER|XOR" default:"DST"`
}

// Spec implements nodes.Node.
func (*PorterDuffImageComposite) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PorterDuffImageComposite", DisplayName: "Porter-Duff Image Composite", Category: "image/compositing",
		Module: moduleCompositing, V3: true, Outputs: nodes.Outputs("IMAGE", "MASK"),
		SearchAliases: []string{"alpha composite", "blend modes", "layer blend", "transparency blend"},
		Uses:          nodes.UsesNothing,
	}
}

func (*PorterDuffImageComposite) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run resizes everything to the size of the destination (bicubic, cut to its proportions) and limits the batches to
// the shortest one.
func (n *PorterDuffImageComposite) Run(*nodes.Context) (nodes.Result, error) {
	apply, ok := porterDuff[n.Mode]
	if !ok {
		return nodes.Result{}, nodes.Errorf("KeyError", "composing images: unknown mode %q", n.Mode)
	}
	if !isImage(n.Source) || !isImage(n.Destination) || !isMask(n.SourceAlpha) || !isMask(n.DestinationAlpha) {
		return nodes.Result{}, errNoImage("source, destination or one of their masks")
	}
	dst := n.Destination
	if n.Source.Shape[3] != dst.Shape[3] {
		return nodes.Result{}, nodes.Errorf("AssertionError", "composing images: %d channels do not fit %d", n.Source.Shape[3], dst.Shape[3])
	}
	count := min(n.Source.Shape[0], dst.Shape[0], n.SourceAlpha.Shape[0], n.DestinationAlpha.Shape[0])
	src, err := fitted(n.Source, dst)
	if err != nil {
		return nodes.Result{}, err
	}
	sm, err := fittedMask(n.SourceAlpha, dst)
	if err != nil {
		return nodes.Result{}, err
	}
	dm, err := fittedMask(n.DestinationAlpha, dst)
	if err != nil {
		return nodes.Result{}, err
	}
	out, mask := tensor.New(count, dst.Shape[1], dst.Shape[2], dst.Shape[3]), tensor.New(count, dst.Shape[1], dst.Shape[2])
	channels := dst.Shape[3]
	for i := range mask.Data {
		sa, da := 1-sm.Data[i], 1-dm.Data[i]
		for c := range channels {
			at := i*channels + c
			colour, alpha := apply(src.Data[at]*sa, dst.Data[at]*da, sa, da)
			const least = 1e-5
			if alpha > least {
				out.Data[at] = unit(colour / alpha)
			}
			mask.Data[i] = 1 - alpha
		}
	}
	return nodes.Out(out, mask), nil
}

func isMask(t *tensor.Tensor) bool { return t != nil && len(t.Shape) == 3 && len(t.Data) > 0 }

func fitted(t, like *tensor.Tensor) (*tensor.Tensor, error) {
	if t.Shape[1] == like.Shape[1] && t.Shape[2] == like.Shape[2] {
		return t, nil
	}
	out, err := imaging.UpscaleImage(t, like.Shape[2], like.Shape[1], "bicubic", "center")
	if err != nil {
		return nil, fmt.Errorf("composing images: %w", err)
	}
	return out, nil
}

func fittedMask(m, like *tensor.Tensor) (*tensor.Tensor, error) {
	t, err := m.Reshape(m.Shape[0], m.Shape[1], m.Shape[2], 1)
	if err != nil {
		return nil, err
	}
	return fitted(t, like)
}

// SplitImageWithAlpha takes transparency off images.
type SplitImageWithAlpha struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*SplitImageWithAlpha) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplitImageWithAlpha", DisplayName: "Split Image with Alpha", Category: "image/compositing",
		Module: moduleCompositing, V3: true, Outputs: nodes.Outputs("IMAGE", "MASK"),
		SearchAliases: []string{"extract alpha", "separate transparency", "remove alpha"},
		Uses:          nodes.UsesNothing,
	}
}

func (*SplitImageWithAlpha) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run returns the colours and the transparency; images without alpha are opaque.
func (n *SplitImageWithAlpha) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	mask := tensor.New(n.Image.Shape[:3]...)
	channels := n.Image.Shape[3]
	if channels > 3 {
		for i := range mask.Data {
			mask.Data[i] = 1 - n.Image.Data[i*channels+3]
		}
	}
	return nodes.Out(imaging.WithChannels(n.Image, min(channels, 3), 0), mask), nil
}

// JoinImageWithAlpha makes images transparent according to a mask.
type JoinImageWithAlpha struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
	Alpha *tensor.Tensor `in:"alpha" type:"MASK"`
}

// Spec implements nodes.Node.
func (*JoinImageWithAlpha) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "JoinImageWithAlpha", DisplayName: "Join Image with Alpha", Category: "image/compositing",
		Module: moduleCompositing, V3: true, Outputs: nodes.Outputs("IMAGE"),
		SearchAliases: []string{"add transparency", "apply alpha", "composite alpha", "RGBA"},
		Uses:          nodes.UsesNothing,
	}
}

func (*JoinImageWithAlpha) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run repeats the shorter of the two batches.
func (n *JoinImageWithAlpha) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) || n.Image.Shape[3] < 3 || n.Alpha == nil {
		return nodes.Result{}, errNoImage("image or alpha")
	}
	mask, err := imaging.ResizeMask(n.Alpha, n.Image.Shape[1], n.Image.Shape[2])
	if err != nil {
		return nodes.Result{}, err
	}
	count := max(n.Image.Shape[0], n.Alpha.Shape[0])
	if mask, err = imaging.RepeatBatch(mask, count); err != nil {
		return nodes.Result{}, err
	}
	img, err := imaging.RepeatBatch(n.Image, count)
	if err != nil {
		return nodes.Result{}, err
	}
	out := imaging.WithChannels(imaging.WithChannels(img, 3, 0), 4, 0)
	for i, m := range mask.Data {
		out.Data[4*i+3] = 1 - m
	}
	return nodes.Out(out), nil
}
