package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ImageCompositor{})
}

// ImageCompositor composites a stack of layers.
type ImageCompositor struct {
	Layers     any `in:"layers" type:"LAYERS" tooltip:"Stack of layers, made by Add Layer. Layers are ordered by z_index, and every image of a batch is a layer of its own. Without a canvas in the stack the size is that of all layers."`
	Compositor any `in:"compositor" type:"COMPOSITOR" default:"{}" socketless:"true" tooltip:"Composition saved by the layer editor. It is used while the layers are those that it was made with."`
}

// Spec implements nodes.Node.
func (*ImageCompositor) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageCompositor", DisplayName: "Create Layered Image", Category: "image",
		Module: moduleCompositor, V3: true,
		Outputs: []nodes.Output{
			{Type: "IMAGE", Tooltip: "The composite; with an alpha channel where it is not opaque."},
			{Type: "MASK", Tooltip: "Transparency of the composite: 1 is transparent."},
		},
		OutputNode:            true,
		HasIntermediateOutput: true,
		Experimental:          true,
		SearchAliases:         []string{"compositor", "composite", "layer", "layers", "layer editor", "psd"},
		Uses:                  nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: the canvas is part of the stack or of the saved composition.
func (*ImageCompositor) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node. A saved composition that was made with other layers is ignored, and the client is
// notified.
func (n *ImageCompositor) Run(ctx *nodes.Context) (nodes.Result, error) {
	document, _ := n.Layers.(*pyjson.Object)
	frames, err := layerFrames(document)
	if err != nil {
		return nodes.Result{}, err
	}
	references, prints, entries := []any{}, []any{}, []any{}
	text, err := pngText(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	for i, f := range frames {
		shown, err := f.shown()
		if err != nil {
			return nodes.Result{}, fmt.Errorf("layer %d: %w", i, err)
		}
		files, err := Preview(ctx, shown, "", text)
		if err != nil {
			return nodes.Result{}, fmt.Errorf("saving layer %d: %w", i, err)
		}
		references = append(references, files...)
		prints = append(prints, f.fingerprint())
		entries = append(entries, f.entry())
	}
	state := savedComposition(n.Compositor)
	replay := state != nil && len(frames) > 0 && state.madeWith(prints)
	if !replay {
		state = initialComposition(document, frames)
	}
	out, err := state.composite(ctx, frames)
	if err != nil {
		return nodes.Result{}, err
	}
	out, mask := opaqueOrNot(out)
	r, err := previewed(ctx, out, out, mask)
	if err != nil {
		return nodes.Result{}, err
	}
	r = r.AddUI("compositor_layers", references).AddUI("compositor_inputs", prints).AddUI("compositor_bboxes", entries)
	if !replay && compositionGiven(n.Compositor) {
		r = r.AddUI("compositor_state_stale", []any{true})
	}
	return r, nil
}

// layerFrame is one layer: an image with its transparency and its place.
type layerFrame struct {
	image      *tensor.Tensor // [1,H,W,C]
	alpha      *tensor.Tensor // [1,H,W]; nil where it is opaque
	name       any
	x, y, w, h int
	rotation   float64 // radians, clockwise
	opacity    any
	blend      any
	visible    bool
	flipH      bool
	flipV      bool
}

// maxFrames bounds the layers of a composite.
const maxFrames = 50

// layerFrames takes the layers of a stack in the order of z_index.
func layerFrames(document *pyjson.Object) ([]layerFrame, error) {
	items, err := layerItems(document)
	if err != nil {
		return nil, err
	}
	var frames []layerFrame
	for i, item := range items {
		v, _ := item.Get("image")
		image := v.(*tensor.Tensor)
		if !isImage(image) || image.Shape[3] < 3 {
			return nil, nodes.Errorf("ValueError", "compositing: the image of layer %d has the shape %v, want [batch, height, width, 3 or 4 channels]", i, image.Shape)
		}
		if len(frames)+image.Shape[0] > maxFrames {
			return nil, nodes.Errorf("ValueError", "compositing: there are more than %d layers", maxFrames)
		}
		v, _ = item.Get("mask")
		mask, _ := v.(*tensor.Tensor)
		for k := range image.Shape[0] {
			f := layerFrame{image: image.Slice(k, k+1), x: wholeOf(item, "x", 0), y: wholeOf(item, "y", 0), w: wholeOf(item, "w", 0), h: wholeOf(item, "h", 0)}
			if f.w <= 0 {
				f.w = image.Shape[2]
			}
			if f.h <= 0 {
				f.h = image.Shape[1]
			}
			if f.name, _ = item.Get("name"); pyjson.TypeName(f.name) != "str" {
				f.name = nil
			}
			rotation, _ := item.Get("rotation")
			if _, isBool := rotation.(bool); !isBool {
				f.rotation, _ = number(rotation)
			}
			if math.IsNaN(f.rotation) || math.IsInf(f.rotation, 0) {
				return nil, nodes.Errorf("ValueError", "compositing: the rotation of layer %d is %g", i, f.rotation)
			}
			f.opacity, f.blend = gotten(item, "opacity", 1.0), gotten(item, "blend_mode", "normal")
			f.visible = pyjson.Truthy(gotten(item, "visible", true))
			f.flipH, f.flipV = pyjson.Truthy(gotten(item, "flip_h", false)), pyjson.Truthy(gotten(item, "flip_v", false))
			if f.alpha, err = layerAlpha(f.image, maskFrame(mask, k)); err != nil {
				return nil, err
			}
			frames = append(frames, f)
		}
	}
	return frames, nil
}

// layerAlpha combines an image's alpha with a mask's, or returns nil if there is neither.
func layerAlpha(image, mask *tensor.Tensor) (*tensor.Tensor, error) {
	var alpha *tensor.Tensor
	h, w, c := image.Shape[1], image.Shape[2], image.Shape[3]
	if c == 4 {
		alpha = tensor.New(1, h, w)
		for i := range alpha.Data {
			alpha.Data[i] = image.Data[4*i+3]
		}
	}
	if mask == nil {
		return alpha, nil
	}
	if mask.Shape[1] != h || mask.Shape[2] != w {
		var err error
		if mask, err = imaging.ResizeMask(mask, h, w); err != nil {
			return nil, err
		}
	}
	out := tensor.New(1, h, w)
	for i, v := range mask.Data {
		if out.Data[i] = unit(1 - v); alpha != nil {
			out.Data[i] *= alpha.Data[i]
		}
	}
	return out, nil
}

// shown is the layer's own image with its transparency.
func (f *layerFrame) shown() (*tensor.Tensor, error) {
	if f.alpha == nil {
		return imaging.WithChannels(f.image, 3, 0), nil
	}
	if err := imaging.CheckSize("a layer", f.image.Shape[1], f.image.Shape[2], 4); err != nil {
		return nil, err
	}
	out := imaging.WithChannels(imaging.WithChannels(f.image, 3, 0), 4, 0)
	for i, v := range f.alpha.Data {
		out.Data[4*i+3] = v
	}
	return out, nil
}

// bitmap returns the layer in 8 bits, RGBA, or RGB if it is opaque.
func (f *layerFrame) bitmap(channels int) []byte {
	n, c := f.image.Shape[1]*f.image.Shape[2], f.image.Shape[3]
	out := make([]byte, n*channels)
	for i := range n {
		for k := range channels {
			v := float32(1)
			switch {
			case k < 3:
				v = f.image.Data[i*c+k]
			case f.alpha != nil:
				v = f.alpha.Data[i]
			}
			out[i*channels+k] = nearestByte(v)
		}
	}
	return out
}

// nearestByte is a value in 0…1 in 8 bits, rounded; halves to the even one.
func nearestByte(v float32) byte {
	return byte(min(max(math.RoundToEven(float64(v*255)), 0), 255))
}

// fingerprint identifies layers, as the editor stores it with a composition.
func (f *layerFrame) fingerprint() string {
	digest := sha256.New()
	shape := pyjson.Tuple{}
	for _, d := range f.image.Shape {
		shape = append(shape, int64(d))
	}
	_, _ = digest.Write([]byte(pyjson.Repr(shape)))
	_, _ = digest.Write(f.bitmap(3))
	if f.alpha != nil {
		alpha := make([]byte, len(f.alpha.Data))
		for i, v := range f.alpha.Data {
			alpha[i] = nearestByte(v)
		}
		_, _ = digest.Write(alpha)
	}
	_, _ = digest.Write([]byte(pyjson.Repr(pyjson.Tuple{int64(f.x), int64(f.y), int64(f.w), int64(f.h), f.rotation, f.opacity, f.blend, f.visible, f.flipH, f.flipV})))
	const letters = 16
	return hex.EncodeToString(digest.Sum(nil))[:letters]
}

// entry is the layer as the editor takes it.
func (f *layerFrame) entry() *pyjson.Object {
	opacity, blend := f.opacity, f.blend
	if _, ok := number(opacity); !ok {
		opacity = 1.0
	}
	if _, ok := blend.(string); !ok {
		blend = "normal"
	}
	return pyjson.NewObject("x", int64(f.x), "y", int64(f.y), "width", int64(f.w), "height", int64(f.h), "rotation", f.rotation,
		"name", f.name, "visible", f.visible, "opacity", opacity, "blend", blend, "flipH", f.flipH, "flipV", f.flipV)
}

// opaqueOrNot takes the alpha channel off a composite [1,H,W,4] that is opaque, and returns the transparency.
func opaqueOrNot(out *tensor.Tensor) (image, mask *tensor.Tensor) {
	mask = tensor.New(out.Shape[:3]...)
	if out.Shape[3] != 4 {
		return out, mask
	}
	const solid = 1 - 1e-3
	opaque := true
	for i := range mask.Data {
		alpha := out.Data[4*i+3]
		opaque = opaque && alpha >= solid
		mask.Data[i] = unit(1 - alpha)
	}
	if opaque {
		clear(mask.Data)
		return imaging.WithChannels(out, 3, 0), mask
	}
	return out, mask
}

// composite lays the layers over one another, [1,H,W,4].
func (s *composition) composite(ctx context.Context, frames []layerFrame) (*tensor.Tensor, error) {
	if len(frames) == 0 {
		const side = 64
		return tensor.New(1, side, side, 3), nil
	}
	if s.width > maxSide || s.height > maxSide || s.width < 1 || s.height < 1 {
		return nil, nodes.Errorf("ValueError", "compositing: the canvas is %dx%d, want at most %d a side", s.width, s.height, maxSide)
	}
	if err := imaging.CheckSize("a composite", s.height, s.width, 8); err != nil {
		return nil, err
	}
	out := tensor.New(1, s.height, s.width, 4)
	s.fill(out.Data)
	for _, i := range s.order(len(frames)) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := s.lay(out, &frames[i], s.params(i, &frames[i])); err != nil {
			return nil, fmt.Errorf("compositing layer %d: %w", i, err)
		}
	}
	for i, v := range out.Data {
		if out.Data[i] = unit(v); i%4 != 3 {
			out.Data[i] = imaging.LinearToSRGB(out.Data[i])
		}
	}
	return out, nil
}
