// Package sam3 has the classes that find objects in images by SAM 3 and follow them through videos: comfy_extras.nodes_sam3.
package sam3

import (
	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

const (
	module   = "comfy_extras.nodes_sam3"
	category = "image/detection"
	// trackType is the type of links with tracked objects: an object with packed_masks [frames, objects, side, side/8] (eight pixels of a row to a
	// byte, the first in the lowest bit; None without objects), n_frames, scores and orig_size.
	trackType = "SAM3_TRACK_DATA"
)

// segmenter returns the model of an input.
func segmenter(m *engine.Model) (*engine.Segmenter, error) {
	if m == nil {
		return nil, nodes.Errorf("AttributeError", "the input model is empty: load a checkpoint of SAM 3")
	}
	s, err := m.Segmenter()
	if err != nil {
		return nil, nodes.Errorf("AttributeError", "%w", err)
	}
	return s, nil
}

// channels are the first three channels of images [B,H,W,C] as [B,3,H,W]; an error for images without them.
func channels(input string, t *tensor.Tensor) (*tensor.Tensor, error) {
	const rgb = 3
	if t == nil || len(t.Shape) != 4 || len(t.Data) == 0 {
		return nil, nodes.Errorf("ValueError", "the input %s is no image", input)
	}
	b, h, w, c := t.Dim(0), t.Dim(1), t.Dim(2), t.Dim(3)
	if c < rgb {
		return nil, nodes.Errorf("RuntimeError", "the input %s has %d channels, the model reads images of 3", input, c)
	}
	out := tensor.New(b, rgb, h, w)
	for i := range b * h * w {
		for k := range rgb {
			out.Data[(i/(h*w)*rgb+k)*h*w+i%(h*w)] = t.Data[i*c+k]
		}
	}
	return out, nil
}

// resized are masks or images [B,C,H,W] in another size, by linear interpolation.
func resized(t *tensor.Tensor, width, height int) (*tensor.Tensor, error) {
	return imaging.Upscale(t, width, height, "bilinear", "")
}

// above sets values to one where they are above zero, and to zero elsewhere.
func above(t *tensor.Tensor) *tensor.Tensor {
	for i, v := range t.Data {
		t.Data[i] = 0
		if v > 0 {
			t.Data[i] = 1
		}
	}
	return t
}

// texts are the texts of a conditioning; an error for entries without an encoding.
func texts(c engine.Conditioning) ([]family.SegmentText, error) {
	list := c.SegmentTexts()
	for _, t := range list {
		if t.Hidden == nil {
			return nil, nodes.Errorf("AttributeError", "the input conditioning has no text encoding: connect CLIPTextEncode with the CLIP of the SAM 3 checkpoint")
		}
	}
	return list, nil
}

// tracks are tracked objects of a link.
type tracks struct {
	packed        *tensor.Tensor // nil without objects
	frames        int
	height, width int
	scores        []float64
}

// tracksOf reads the value of a link.
func tracksOf(v any) (*tracks, error) {
	const input = "track_data"
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nil, nodes.Errorf("TypeError", "reading %s: it is a %s, want the tracks of SAM3_VideoTrack", input, pyjson.TypeName(v))
	}
	t := &tracks{}
	size, _ := o.Get("orig_size")
	sides, _ := size.([]any)
	if tuple, ok := size.(pyjson.Tuple); ok {
		sides = tuple
	}
	if len(sides) == 2 {
		h, _ := sides[0].(int64)
		w, _ := sides[1].(int64)
		t.height, t.width = int(h), int(w)
	}
	const most = 1 << 20
	if t.height < 1 || t.width < 1 || t.height > most || t.width > most {
		return nil, nodes.Errorf("KeyError", "reading %s: the tracks have no orig_size", input)
	}
	masks, there := o.Get("packed_masks")
	if !there {
		return nil, nodes.Errorf("KeyError", "reading %s: the tracks have no packed_masks", input)
	}
	if masks == nil {
		frames, _ := o.Get("n_frames")
		n, ok := frames.(int64)
		if !ok || n < 0 || n > most {
			return nil, nodes.Errorf("KeyError", "reading %s: n_frames is %s", input, pyjson.Repr(frames))
		}
		t.frames = int(n)
		return t, nil
	}
	packed, ok := masks.(*tensor.Tensor)
	if !ok || len(packed.Shape) != 4 || len(packed.Data) == 0 {
		return nil, nodes.Errorf("ValueError", "reading %s: packed_masks is no tensor [frames, objects, height, width/8]", input)
	}
	t.packed, t.frames = packed, packed.Dim(0)
	scores, _ := o.Get("scores")
	list, _ := scores.([]any)
	for _, s := range list {
		f, ok := s.(float64)
		if n, isInt := s.(int64); isInt {
			f, ok = float64(n), true
		}
		if !ok {
			return nil, nodes.Errorf("TypeError", "reading %s: a score is %s, want a number", input, pyjson.Repr(s))
		}
		t.scores = append(t.scores, f)
	}
	return t, nil
}

// objects is the number of objects.
func (t *tracks) objects() int {
	if t.packed == nil {
		return 0
	}
	return t.packed.Dim(1)
}

// mask is the union [h,w] of objects in a frame, of ones and zeros.
func (t *tracks) mask(frame int, objects ...int) *tensor.Tensor {
	h, bytes := t.packed.Dim(2), t.packed.Dim(3)
	out := tensor.New(h, 8*bytes)
	for _, o := range objects {
		for i, v := range t.packed.Index(frame).Index(o).Data {
			for bit := range 8 {
				if uint8(v)>>bit&1 != 0 {
					out.Data[8*i+bit] = 1
				}
			}
		}
	}
	return out
}
