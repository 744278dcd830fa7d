package image

import (
	"math"

	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

// boxesFrom reads the value of a bboxes input: a bounding box or an element of a prompt, lists of them, a list of such lists (only
// the first counts), or JSON of any. The boxes are in pixels; elements are in thousandths of width and height.
func boxesFrom(v any, width, height int) ([]*pyjson.Object, error) {
	if text, ok := v.(string); ok {
		if pystr.Strip(text) == "" {
			return nil, nil
		}
		parsed, err := pyjson.Unmarshal([]byte(text))
		if err != nil {
			return nil, nodes.Errorf("ValueError", "reading bboxes: the text is no JSON: %w", err)
		}
		v = parsed
	}
	switch v := v.(type) {
	case nil:
		return nil, nil
	case *pyjson.Object:
		return boxesOfKind(v, []any{v}, width, height)
	case []any:
		if len(v) == 0 {
			return nil, nil
		}
		if first, ok := v[0].([]any); ok {
			return plainBoxes(first), nil
		}
		if first, ok := v[0].(*pyjson.Object); ok {
			return boxesOfKind(first, v, width, height)
		}
		return nil, nodes.Errorf("ValueError", "reading bboxes: the list has a %s, want bounding boxes or elements", pyjson.TypeName(v[0]))
	}
	return nil, nodes.Errorf("ValueError", "reading bboxes: a %s, want bounding boxes, elements or their JSON", pyjson.TypeName(v))
}

// boxesOfKind reads a list that begins with first.
func boxesOfKind(first *pyjson.Object, list []any, width, height int) ([]*pyjson.Object, error) {
	if _, ok := elementBox(first); ok {
		return elementBoxes(list, width, height)
	}
	for _, key := range []string{"x", "y", "width", "height"} {
		if !first.Has(key) {
			return nil, nodes.Errorf("ValueError", "reading bboxes: want bounding boxes with x, y, width and height, or elements with a bbox")
		}
	}
	return plainBoxes(list), nil
}

// plainBoxes are the bounding boxes of a list with nothing but what belongs to them.
func plainBoxes(list []any) []*pyjson.Object {
	var out []*pyjson.Object
	for _, e := range list {
		box, ok := e.(*pyjson.Object)
		if !ok {
			continue
		}
		plain := pyjson.NewObject()
		for _, key := range []string{"x", "y", "width", "height"} {
			v, there := box.Get(key)
			if !there {
				v = int64(0)
			}
			plain.Set(key, v)
		}
		if meta := box.Object("metadata"); meta != nil {
			plain.Set("metadata", meta)
		}
		out = append(out, plain)
	}
	return out
}

// elementBox is the bbox of an element: upper, left, lower and right edge.
func elementBox(o *pyjson.Object) ([]any, bool) {
	v, _ := o.Get("bbox")
	list, ok := v.([]any)
	if t, isTuple := v.(pyjson.Tuple); isTuple {
		list, ok = t, true
	}
	return list, ok && len(list) == 4
}

// elementBoxes are the bounding boxes of elements, with type, text, description and palette as metadata.
func elementBoxes(list []any, width, height int) ([]*pyjson.Object, error) {
	var out []*pyjson.Object
	for _, e := range list {
		element, ok := e.(*pyjson.Object)
		if !ok {
			continue
		}
		edges, ok := elementBox(element)
		if !ok {
			return nil, nodes.Errorf("ValueError", "reading bboxes: an element has no bbox [top, left, bottom, right]")
		}
		var at [4]float64
		for i, edge := range edges {
			n, ok := number(edge)
			if text, isText := edge.(string); isText {
				n, ok = pyjson.ParseFloat(text)
			}
			if !ok || math.IsNaN(n) || math.Abs(n) > maxCoordinate {
				return nil, nodes.Errorf("ValueError", "reading bboxes: bbox of an element has %s, want four numbers of at most %d", pyjson.Repr(edge), maxCoordinate)
			}
			at[i] = n / 1000
		}
		top, left, bottom, right := at[0], at[1], at[2], at[3]
		kind, text := "obj", any("")
		if t, _ := element.Get("type"); t == "text" {
			kind, text = "text", gotten(element, "text", "")
		}
		palette := gotten(element, "color_palette", []any{})
		if !pyjson.Truthy(palette) {
			palette = []any{}
		}
		w, h := float64(width), float64(height)
		out = append(out, pyjson.NewObject(
			"x", rounded(min(left, right)*w), "y", rounded(min(top, bottom)*h),
			"width", rounded(math.Abs(right-left)*w), "height", rounded(math.Abs(bottom-top)*h),
			"metadata", pyjson.NewObject("type", kind, "text", text, "desc", gotten(element, "desc", ""), "palette", palette),
		))
	}
	return out, nil
}

func rounded(v float64) int64 { return int64(math.RoundToEven(v)) }

// gotten returns the value of a key, or another one if it is missing.
func gotten(o *pyjson.Object, key string, otherwise any) any {
	if v, ok := o.Get(key); ok {
		return v
	}
	return otherwise
}
