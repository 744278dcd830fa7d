package image

import (
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

const moduleCompositor = "comfy_extras.nodes_compositor"

func init() {
	nodes.Register(&AddLayer{})
}

// AddLayer puts an image on a stack of layers.
type AddLayer struct {
	Image     *tensor.Tensor `in:"image" type:"IMAGE" tooltip:"Image of the layer. A batch makes several layers."`
	Layers    any            `in:"layers" type:"LAYERS" optional:"true" tooltip:"Stack to add the layer to; left out, a new stack begins."`
	Mask      *tensor.Tensor `in:"mask" type:"MASK" optional:"true" tooltip:"Transparency of the layer: 1 is transparent. An alpha channel of the image counts as well."`
	Name      string         `in:"name" optional:"true" default:"" tooltip:"Name of the layer in the editor."`
	X         int            `in:"x" optional:"true" default:"0" min:"-16384" max:"16384" tooltip:"Horizontal position on the canvas."`
	Y         int            `in:"y" optional:"true" default:"0" min:"-16384" max:"16384" tooltip:"Vertical position on the canvas."`
	Opacity   float64        `in:"opacity" optional:"true" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Opacity of the layer."`
	BlendMode string         `in:"blend_mode" options:"normal|multiply|screen|overlay|darken|lighten|color-dodge|color-burn|hard-light|soft-light|difference|exclusion|linear-dodge|linear-burn|vivid-light|pin-light|linear-light|hard-mix|subtract|divide|grain-extract|grain-merge|hue|saturation|color|luminosity" optional:"true" default:"normal" tooltip:"How the layer is blended with those below. On the lowest layer over a transparent background other modes than normal make it transparent."`
	Rotation  float64        `in:"rotation" optional:"true" default:"0.0" min:"-360.0" max:"360.0" step:"1.0" tooltip:"Rotation in degrees, clockwise."`
	Width     int            `in:"width" optional:"true" default:"0" min:"0" max:"16384" tooltip:"Width on the canvas; 0 is the image's own."`
	Height    int            `in:"height" optional:"true" default:"0" min:"0" max:"16384" tooltip:"Height on the canvas; 0 is the image's own."`
	ZIndex    int            `in:"z_index" optional:"true" default:"0" min:"-1000" max:"1000" tooltip:"Order of the layers; those of equal values stay in the order of the list."`
	FlipH     bool           `in:"flip_h" optional:"true" default:"false" tooltip:"Flips the layer horizontally."`
	FlipV     bool           `in:"flip_v" optional:"true" default:"false" tooltip:"Flips the layer vertically."`
}

// Spec implements nodes.Node.
func (*AddLayer) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AddLayer", DisplayName: "Add Layer", Category: "image",
		Module: moduleCompositor, V3: true,
		Outputs:      []nodes.Output{{Type: "LAYERS", Tooltip: "The stack with the new layer."}},
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *AddLayer) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	item := pyjson.NewObject("image", n.Image, "type", "raster", "x", int64(n.X), "y", int64(n.Y), "z_index", int64(n.ZIndex))
	for _, more := range []struct {
		set   bool
		key   string
		value any
	}{
		{n.Mask != nil, "mask", n.Mask},
		{n.Name != "", "name", n.Name},
		{n.Opacity != 1, "opacity", n.Opacity},
		{n.BlendMode != "normal", "blend_mode", n.BlendMode},
		{n.Rotation != 0, "rotation", n.Rotation * (math.Pi / 180)},
		{n.Width > 0, "w", int64(n.Width)},
		{n.Height > 0, "h", int64(n.Height)},
		{n.FlipH, "flip_h", true},
		{n.FlipV, "flip_v", true},
	} {
		if more.set {
			item.Set(more.key, more.value)
		}
	}
	previous, _ := n.Layers.(*pyjson.Object)
	v, _ := previous.Get("layers")
	items, _ := v.([]any)
	if len(items) >= maxLayers {
		return nodes.Result{}, nodes.Errorf("ValueError", "adding a layer: the stack has %d already", len(items))
	}
	document := pyjson.NewObject("version", int64(1), "layers", append(items[:len(items):len(items)], item))
	if canvas, ok := canvasOf(previous); ok {
		document.Set("canvas", canvas)
	}
	return nodes.Out(document), nil
}

// maxLayers bounds a stack.
const maxLayers = 1 << 12

// canvasOf returns the size of a stack's canvas, if it has one with positive sides.
func canvasOf(document *pyjson.Object) (any, bool) {
	v, _ := document.Get("canvas")
	var sides []any
	switch v := v.(type) {
	case []any:
		sides = v
	case pyjson.Tuple:
		sides = v
	}
	if len(sides) != 2 {
		return nil, false
	}
	for i, side := range sides {
		n, ok := nodes.Number(side)
		if _, isBool := side.(bool); !ok || isBool || n.Sign() <= 0 {
			return nil, false
		}
		f, _ := n.Float64()
		sides = append([]any(nil), sides...)
		sides[i] = int64(f)
	}
	return pyjson.Tuple(sides), true
}
