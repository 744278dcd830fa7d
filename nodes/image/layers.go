package image

import (
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LayersFromBoundingBoxes{})
}

// LayersFromBoundingBoxes makes a layer of every image of a batch.
type LayersFromBoundingBoxes struct {
	Image         *tensor.Tensor `in:"image" type:"IMAGE" tooltip:"Images of the layers."`
	Bboxes        any            `in:"bboxes" type:"BOUNDING_BOX,ARRAY,STRING" tooltip:"Position and size of each image: bounding boxes in pixels, prompt elements in thousandths of canvas_width and canvas_height, or JSON of either. Images without a box lie at the origin. name or desc, z_index and content_rect of the metadata count as well."`
	Mask          *tensor.Tensor `in:"mask" type:"MASK" optional:"true" tooltip:"Transparency of each image: 1 is transparent."`
	Layers        any            `in:"layers" type:"LAYERS" optional:"true" tooltip:"Stack to add the layers to; left out, a new stack begins."`
	CropToContent bool           `in:"crop_to_content" optional:"true" default:"true" tooltip:"Cuts images to content_rect of their box's metadata, without changing where the content lies."`
	CanvasWidth   int            `in:"canvas_width" optional:"true" default:"0" min:"0" max:"16384" tooltip:"Width of the canvas; 0 follows from the layers."`
	CanvasHeight  int            `in:"canvas_height" optional:"true" default:"0" min:"0" max:"16384" tooltip:"Height of the canvas; 0 follows from the layers."`
}

// Spec implements nodes.Node.
func (*LayersFromBoundingBoxes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LayersFromBoundingBoxes", DisplayName: "Layers From Bounding Boxes", Category: "image",
		Module: moduleCompositor, V3: true,
		Outputs:      []nodes.Output{{Type: "LAYERS", Tooltip: "The stack, for Create Layered Image."}},
		Experimental: true,
		Description:  "Makes a stack of layers of a batch of images, each at the place of its bounding box.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LayersFromBoundingBoxes) Run(*nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) {
		return nodes.Result{}, errNoImage("image")
	}
	boxes, err := n.boxes()
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Mask != nil && !isMask(n.Mask) {
		return nodes.Result{}, errNoImage("mask")
	}
	previous, _ := n.Layers.(*pyjson.Object)
	v, _ := previous.Get("layers")
	before, _ := v.([]any)
	if len(before)+n.Image.Shape[0] > maxLayers {
		return nodes.Result{}, nodes.Errorf("ValueError", "adding layers: a stack has at most %d", maxLayers)
	}
	next := 0
	for i, e := range before {
		item, ok := e.(*pyjson.Object)
		if !ok {
			return nodes.Result{}, nodes.Errorf("AttributeError", "adding layers: layer %d of the stack is a %s", i, pyjson.TypeName(e))
		}
		if z := wholeOf(item, "z_index", 0); i == 0 || z >= next {
			next = z + 1
		}
	}
	items := append(make([]any, 0, len(before)+n.Image.Shape[0]), before...)
	for i := range n.Image.Shape[0] {
		var box *pyjson.Object
		if i < len(boxes) {
			box = boxes[i]
		}
		item, err := n.layer(i, box, next+i)
		if err != nil {
			return nodes.Result{}, err
		}
		items = append(items, item)
	}
	document := pyjson.NewObject("version", int64(1), "layers", items)
	if n.CanvasWidth > 0 && n.CanvasHeight > 0 {
		document.Set("canvas", pyjson.Tuple{int64(n.CanvasWidth), int64(n.CanvasHeight)})
	} else if canvas, ok := canvasOf(previous); ok {
		document.Set("canvas", canvas)
	}
	return nodes.Out(document), nil
}

func (n *LayersFromBoundingBoxes) boxes() ([]*pyjson.Object, error) {
	v := n.Bboxes
	if text, ok := v.(string); ok {
		if parsed, err := pyjson.Unmarshal([]byte(text)); err == nil {
			v = parsed
		}
	}
	probe, ok := v.([]any)
	if !ok {
		probe = []any{v}
	} else if len(probe) > 0 {
		if first, ok := probe[0].([]any); ok {
			probe = first
		}
	}
	for _, e := range probe {
		o, _ := e.(*pyjson.Object)
		edges, _ := o.Get("bbox")
		_, isList := edges.([]any)
		_, isTuple := edges.(pyjson.Tuple)
		if (isList || isTuple) && (n.CanvasWidth <= 0 || n.CanvasHeight <= 0) {
			return nil, nodes.Errorf("ValueError", "placing layers: elements need canvas_width and canvas_height")
		}
	}
	return boxesFrom(n.Bboxes, n.CanvasWidth, n.CanvasHeight)
}

// layer is the item for image i.
func (n *LayersFromBoundingBoxes) layer(i int, box *pyjson.Object, z int) (*pyjson.Object, error) {
	frame, meta := n.Image.Slice(i, i+1), box.Object("metadata")
	mask := maskFrame(n.Mask, i)
	x, y := wholeOf(box, "x", 0), wholeOf(box, "y", 0)
	left, top, width, height, cropped := 0, 0, 0, 0, false
	if n.CropToContent {
		left, top, width, height, cropped = contentRect(meta, frame.Shape[2], frame.Shape[1])
	}
	if cropped {
		var err error
		if frame, err = imaging.Crop(frame, 1, top, top+height, left, left+width); err != nil {
			return nil, err
		}
		if mask != nil {
			bottom, right := min(top+height, mask.Shape[1]), min(left+width, mask.Shape[2])
			if top >= bottom || left >= right {
				return nil, nodes.Errorf("ValueError", "placing layers: content_rect of image %d lies beyond its mask", i)
			}
			if mask, err = imaging.Crop(mask, 1, top, bottom, left, right); err != nil {
				return nil, err
			}
		}
		x, y = x+left, y+top
	}
	item := pyjson.NewObject("image", frame, "type", "raster", "x", int64(x), "y", int64(y), "z_index", int64(wholeOf(meta, "z_index", z)))
	if w, h := wholeOf(box, "width", 0), wholeOf(box, "height", 0); !cropped {
		if w > 0 {
			item.Set("w", int64(w))
		}
		if h > 0 {
			item.Set("h", int64(h))
		}
	}
	if mask != nil {
		item.Set("mask", mask)
	}
	for _, key := range []string{"name", "desc"} {
		if name, _ := meta.Get(key); name != "" {
			if text, ok := name.(string); ok {
				item.Set("name", text)
				break
			}
		}
	}
	return item, nil
}

// contentRect is the part of an image of w by h that its box's metadata names.
func contentRect(meta *pyjson.Object, w, h int) (left, top, width, height int, ok bool) {
	v, _ := meta.Get("content_rect")
	list, _ := v.([]any)
	if t, isTuple := v.(pyjson.Tuple); isTuple {
		list = t
	}
	if len(list) != 4 {
		return 0, 0, 0, 0, false
	}
	left, top = min(max(whole(list[0], 0), 0), w), min(max(whole(list[1], 0), 0), h)
	width, height = min(max(whole(list[2], 0), 0), w-left), min(max(whole(list[3], 0), 0), h-top)
	return left, top, width, height, width > 0 && height > 0
}

// maskFrame is the mask of image i: the only one, or its own, or nil.
func maskFrame(mask *tensor.Tensor, i int) *tensor.Tensor {
	switch {
	case !isMask(mask):
		return nil
	case mask.Shape[0] == 1:
		return mask
	case i < mask.Shape[0]:
		return mask.Slice(i, i+1)
	}
	return nil
}

// whole returns a number without its fraction, clamped to maxCoordinate, or another value if it is
// not a number.
func whole(v any, otherwise int) int {
	n, ok := number(v)
	if _, isBool := v.(bool); !ok || isBool || n != n {
		return otherwise
	}
	return int(min(max(n, -maxCoordinate), maxCoordinate))
}

func wholeOf(o *pyjson.Object, key string, otherwise int) int {
	v, _ := o.Get(key)
	return whole(v, otherwise)
}
