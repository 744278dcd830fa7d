package image

import (
	"math"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

// maxSide bounds the sides of a canvas and of layers on it, in pixels.
const maxSide = 16384

// layerItems are the layers of a stack in the order of z_index; those without an image are left out.
func layerItems(document *pyjson.Object) ([]*pyjson.Object, error) {
	if v, _ := document.Get("version"); v != nil {
		if n, ok := number(v); !ok || n != 1 {
			return nil, nodes.Errorf("ValueError", "compositing: the stack has the version %s, want 1", pyjson.Repr(v))
		}
	}
	v, _ := document.Get("layers")
	list, ok := v.([]any)
	if !ok && pyjson.Truthy(v) {
		return nil, nodes.Errorf("TypeError", "compositing: the layers are a %s, want a list", pyjson.TypeName(v))
	}
	var items []*pyjson.Object
	for _, e := range list {
		item, ok := e.(*pyjson.Object)
		if !ok {
			continue
		}
		if kind := gotten(item, "type", "raster"); kind != "raster" {
			return nil, nodes.Errorf("ValueError", "compositing: layers of the type %s are not supported", pyjson.Repr(kind))
		}
		image, _ := item.Get("image")
		if t, ok := image.(*tensor.Tensor); !ok || t == nil {
			continue
		}
		if blend, _ := item.Get("blend_mode"); blend != nil {
			name, _ := blend.(string)
			if _, ok := imaging.LayerModes[name]; !ok {
				return nil, nodes.Errorf("ValueError", "compositing: there is no blend mode %s", pyjson.Repr(blend))
			}
		}
		items = append(items, item)
	}
	slices.SortStableFunc(items, func(a, b *pyjson.Object) int { return wholeOf(a, "z_index", 0) - wholeOf(b, "z_index", 0) })
	return items, nil
}

// composition holds the positions and properties of layers on a canvas.
type composition struct {
	width, height int
	layers        []any
	inputs        []any // fingerprints of the layers that it was made with; nil where they are not known
	background    *pyjson.Object
	sequence      []int
}

// initialComposition places layers in the order of their stack.
func initialComposition(document *pyjson.Object, frames []layerFrame) *composition {
	s := &composition{width: 1, height: 1}
	for _, f := range frames {
		s.layers = append(s.layers, pyjson.NewObject(
			"visible", f.visible, "opacity", f.opacity, "blend", f.blend, "flipH", f.flipH, "flipV", f.flipV,
			"transform", pyjson.NewObject("x", int64(f.x), "y", int64(f.y), "w", int64(f.w), "h", int64(f.h), "rotation", f.rotation),
		))
		x, y, w, h := placedBounds(float64(f.x), float64(f.y), float64(f.w), float64(f.h), f.rotation)
		s.width, s.height = max(s.width, x+w), max(s.height, y+h)
	}
	if canvas, ok := canvasOf(document); ok {
		sides := canvas.(pyjson.Tuple)
		s.width, s.height = whole(sides[0], 0), whole(sides[1], 0)
	}
	return s
}

// compositionGiven reports whether the editor saved anything.
func compositionGiven(v any) bool {
	if text, ok := v.(string); ok {
		return text != "" && text != "{}"
	}
	o, ok := v.(*pyjson.Object)
	return ok && o.Len() > 0
}

// savedComposition reads the composition that the editor saved, an object or its JSON, or returns nil if it is invalid.
// The value is untrusted.
func savedComposition(v any) *composition {
	if text, ok := v.(string); ok {
		if pystr.Strip(text) == "" {
			return nil
		}
		parsed, err := pyjson.Unmarshal([]byte(text))
		if err != nil {
			return nil
		}
		v = parsed
	}
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nil
	}
	if version, _ := o.Get("version"); version != nil {
		if n, ok := number(version); !ok || n != 1 {
			return nil
		}
	}
	canvas := o.Object("canvas")
	w, okW := sideOf(canvas, "w")
	h, okH := sideOf(canvas, "h")
	list, _ := o.Get("layers")
	layers, _ := list.([]any)
	if !okW || !okH || len(layers) == 0 {
		return nil
	}
	s := &composition{width: w, height: h, layers: layers}
	inputs, _ := o.Get("inputs")
	if list, ok := inputs.([]any); ok && len(list) == len(layers) {
		s.inputs = list
	}
	if background := o.Object("background"); background != nil {
		s.background = background
	}
	order, _ := o.Get("order")
	s.sequence = permutation(order, len(layers))
	return s
}

// sideOf is a side of the canvas: a positive number or the text of one.
func sideOf(canvas *pyjson.Object, key string) (int, bool) {
	v, _ := canvas.Get(key)
	n, ok := number(v)
	if text, isText := v.(string); isText {
		n, ok = pyjson.ParseFloat(text)
	}
	if !ok || !(math.Abs(n) < maxCoordinate) {
		return 0, false
	}
	side := roundEven(n)
	return side, side > 0
}

// permutation reads an order of n layers, or returns nil if it is invalid.
func permutation(v any, n int) []int {
	list, _ := v.([]any)
	if len(list) != n {
		return nil
	}
	out, seen := make([]int, n), make([]bool, n)
	for i, e := range list {
		at, ok := e.(int64)
		if !ok || at < 0 || at >= int64(n) || seen[at] {
			return nil
		}
		out[i], seen[at] = int(at), true
	}
	return out
}

// madeWith reports whether the composition was made with layers of these fingerprints.
func (s *composition) madeWith(prints []any) bool {
	return s.inputs != nil && slices.Equal(s.inputs, prints)
}

// order are the layers from the lowest to the highest.
func (s *composition) order(n int) []int {
	if s.sequence == nil {
		out := make([]int, n)
		for i := range out {
			out[i] = i
		}
		return out
	}
	return slices.DeleteFunc(slices.Clone(s.sequence), func(i int) bool { return i >= n })
}

// fill colors the canvas, linear RGBA, with the background where it is visible.
func (s *composition) fill(canvas []float32) {
	if s.background == nil || !pyjson.Truthy(gotten(s.background, "visible", true)) {
		return
	}
	opacity := float32(min(max(finite(s.background, "opacity", 1), 0), 1))
	if opacity <= 0 {
		return
	}
	rgb := shortHexColor(gotten(s.background, "color", nil))
	for i := range canvas {
		if i%4 == 3 {
			canvas[i] = opacity
		} else {
			canvas[i] = imaging.SRGBToLinear(float32(rgb[i%4]) / 255)
		}
	}
}

// shortHexColor reads #RRGGBB or #RGB; anything else is white.
func shortHexColor(v any) [3]uint8 {
	white := [3]uint8{255, 255, 255}
	text, _ := v.(string)
	digits := pystr.Strip(text)
	if len(digits) != 4 && len(digits) != 7 || digits[0] != '#' {
		return white
	}
	digits = digits[1:]
	var out [3]uint8
	for i := range out {
		pair := digits[i : i+1]
		if pair += pair; len(digits) == 6 {
			pair = digits[2*i : 2*i+2]
		}
		high, low := hexDigit(pair[0]), hexDigit(pair[1])
		if high < 0 || low < 0 {
			return white
		}
		out[i] = uint8(16*high + low)
	}
	return out
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// finite returns a number of an object, or another one if it is missing.
func finite(o *pyjson.Object, key string, otherwise float64) float64 {
	v, _ := o.Get(key)
	n, ok := number(v)
	if !ok || math.IsNaN(n) || math.IsInf(n, 0) {
		return otherwise
	}
	return n
}

// layerParams are the placement and properties of a layer, within bounds.
type layerParams struct {
	visible      bool
	opacity      float32
	mode         imaging.LayerMode
	x, y, w, h   float64
	rotation     float64
	flipH, flipV bool
}

func (s *composition) params(i int, f *layerFrame) layerParams {
	var entry *pyjson.Object
	if i < len(s.layers) {
		entry, _ = s.layers[i].(*pyjson.Object)
	}
	transform := entry.Object("transform")
	side := func(key string, natural int) float64 {
		if v := finite(transform, key, float64(natural)); v > 0 {
			return min(v, maxSide)
		}
		return float64(natural)
	}
	blend, _ := gotten(entry, "blend", "normal").(string)
	mode, ok := imaging.LayerModes[blend]
	if !ok {
		mode = imaging.LayerModes["normal"]
	}
	return layerParams{
		visible: pyjson.Truthy(gotten(entry, "visible", true)),
		opacity: float32(min(max(finite(entry, "opacity", 1), 0), 1)),
		mode:    mode,
		x:       min(max(finite(transform, "x", 0), -maxSide), maxSide),
		y:       min(max(finite(transform, "y", 0), -maxSide), maxSide),
		w:       side("w", f.image.Shape[2]), h: side("h", f.image.Shape[1]),
		rotation: finite(transform, "rotation", 0),
		flipH:    pyjson.Truthy(gotten(entry, "flipH", false)), flipV: pyjson.Truthy(gotten(entry, "flipV", false)),
	}
}

// lay blends a layer into the canvas.
func (*composition) lay(canvas *tensor.Tensor, f *layerFrame, p layerParams) error {
	if !p.visible {
		return nil
	}
	x, y, w, h := placedBounds(p.x, p.y, p.w, p.h, p.rotation)
	height, width := canvas.Shape[1], canvas.Shape[2]
	x0, y0, x1, y1 := max(x, 0), max(y, 0), min(x+w, width), min(y+h, height)
	if x0 >= x1 || y0 >= y1 {
		return nil
	}
	pix, pw, ph, err := p.bitmap(f)
	if err != nil {
		return err
	}
	var linear [256]float32
	for i := range linear {
		linear[i] = imaging.SRGBToLinear(float32(i) / 255)
	}
	left, top := x+floorHalf(w-pw), y+floorHalf(h-ph)
	for cy := y0; cy < y1; cy++ {
		for cx := x0; cx < x1; cx++ {
			var layer [4]float32
			if sx, sy := cx-left, cy-top; sx >= 0 && sy >= 0 && sx < pw && sy < ph {
				b := pix[(sy*pw+sx)*4:][:4]
				layer = [4]float32{linear[b[0]], linear[b[1]], linear[b[2]], float32(b[3]) / 255}
			}
			to := canvas.Data[(cy*width+cx)*4:][:4]
			out := p.mode.Blend([4]float32(to), layer, p.opacity)
			copy(to, out[:])
		}
	}
	return nil
}

// floorHalf is half of n, rounded down.
func floorHalf(n int) int { return n >> 1 }

// bitmap is the layer in 8 bits, RGBA, flipped, scaled and turned.
func (p layerParams) bitmap(f *layerFrame) (pix []byte, w, h int, err error) {
	const channels = 4
	w, h = f.image.Shape[2], f.image.Shape[1]
	targetW, targetH := max(1, roundEven(p.w)), max(1, roundEven(p.h))
	degrees := -p.rotation * (180 / math.Pi)
	turnedW, turnedH := targetW, targetH
	if p.rotation != 0 {
		turnedW, turnedH = imaging.RotatedSize(targetW, targetH, math.Mod(degrees, 360))
	}
	for _, size := range [][2]int{{w, h}, {targetW, max(h, targetH)}, {turnedW, turnedH}} {
		if err := imaging.CheckSize("a layer", size[0], size[1], 2); err != nil {
			return nil, 0, 0, err
		}
	}
	pix = flipped(f.bitmap(channels), w, h, p.flipH, p.flipV)
	if w != targetW || h != targetH {
		if pix, err = imaging.Resize8(pix, w, h, channels, targetW, targetH, imaging.Lanczos); err != nil {
			return nil, 0, 0, err
		}
		w, h = targetW, targetH
	}
	if p.rotation != 0 {
		pix, w, h = imaging.Rotate8(pix, w, h, degrees)
	}
	return pix, w, h, nil
}

// flipped mirrors an RGBA image.
func flipped(pix []byte, w, h int, horizontal, vertical bool) []byte {
	if !horizontal && !vertical {
		return pix
	}
	out := make([]byte, len(pix))
	for y := range h {
		sy := y
		if vertical {
			sy = h - 1 - y
		}
		for x := range w {
			sx := x
			if horizontal {
				sx = w - 1 - x
			}
			copy(out[(y*w+x)*4:][:4], pix[(sy*w+sx)*4:])
		}
	}
	return out
}

// placedBounds is the box around a rectangle that is turned about its middle by radians.
func placedBounds(x, y, w, h, rotation float64) (left, top, width, height int) {
	sin, cos := math.Sincos(rotation)
	cx, cy := x+w/2, y+h/2
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, corner := range [4][2]float64{{-w / 2, -h / 2}, {w / 2, -h / 2}, {w / 2, h / 2}, {-w / 2, h / 2}} {
		px := cx + float64(corner[0]*cos) - float64(corner[1]*sin)
		py := cy + float64(corner[0]*sin) + float64(corner[1]*cos)
		x0, x1, y0, y1 = min(x0, px), max(x1, px), min(y0, py), max(y1, py)
	}
	left, top = int(math.Floor(x0)), int(math.Floor(y0))
	return left, top, max(1, int(math.Ceil(x1))-left), max(1, int(math.Ceil(y1))-top)
}
