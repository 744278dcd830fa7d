package image

import (
	"math"
	"math/big"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// maxCoordinate bounds the coordinates of boxes and points, in pixels.
const maxCoordinate = 1 << 24

// number is a JSON number as float64; false for anything else. Booleans count as 0 and 1, as in Python.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	}
	return 0, false
}

// rect is a bounding box in pixels.
type rect struct{ x, y, width, height float64 }

// rectOf reads a bounding box; input names where it came from for errors.
func rectOf(input string, v any) (r rect, err error) {
	box, ok := v.(*pyjson.Object)
	if !ok {
		return r, nodes.Errorf("TypeError", "reading %s: a bounding box is a %s, want x, y, width and height", input, pyjson.TypeName(v))
	}
	for _, side := range []struct {
		key string
		to  *float64
	}{{"x", &r.x}, {"y", &r.y}, {"width", &r.width}, {"height", &r.height}} {
		v, there := box.Get(side.key)
		if !there {
			return r, nodes.Errorf("KeyError", "reading %s: a bounding box has no %s", input, side.key)
		}
		n, ok := number(v)
		if !ok {
			return r, nodes.Errorf("TypeError", "reading %s: %s of a bounding box is a %s, want a number", input, side.key, pyjson.TypeName(v))
		}
		if math.IsNaN(n) || math.Abs(n) > maxCoordinate {
			return r, nodes.Errorf("ValueError", "reading %s: %s of a bounding box is %g, want at most %d", input, side.key, n, maxCoordinate)
		}
		*side.to = n
	}
	return r, nil
}

// rectsOf reads a list of bounding boxes.
func rectsOf(input string, v any) ([]rect, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, nodes.Errorf("TypeError", "reading %s: a %s, want a list of bounding boxes", input, pyjson.TypeName(v))
	}
	out := make([]rect, len(list))
	for i, e := range list {
		var err error
		if out[i], err = rectOf(input, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}
