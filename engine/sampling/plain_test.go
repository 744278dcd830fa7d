package sampling_test

import (
	"reflect"
	"testing"

	"comfygo/engine/sampling"
)

// TestPlainValues has values of entries as a node in Python gives them.
func TestPlainValues(t *testing.T) {
	t.Parallel()
	share := sampling.Area{Size: []float64{0.5, 1}, Offset: []float64{0.25, 0}, Percent: true}
	cells := sampling.Area{Size: []float64{4, 8}, Offset: []float64{2, 0}}
	for name, c := range map[string]struct {
		read func(v any) (any, bool)
		from any
		want any // nil: refused
	}{
		"an area in cells":     {as[sampling.Area], cells.Listed(), cells},
		"an area in shares":    {as[sampling.Area], share.Listed(), share},
		"an area of its type":  {as[sampling.Area], share, share},
		"an odd area":          {as[sampling.Area], []any{int64(1), int64(2), int64(3)}, nil},
		"an empty area":        {as[sampling.Area], []any{"percentage"}, nil},
		"an area of texts":     {as[sampling.Area], []any{"a", "b"}, nil},
		"a whole strength":     {as[float64], int64(1), 1.0},
		"a width":              {as[int], int64(512), 512},
		"a width as a float":   {as[int], 512.0, 512},
		"half a pixel":         {as[int], 0.5, nil},
		"a giant width":        {as[int], 1e300, nil},
		"a text for a number":  {as[float64], "1", nil},
		"a truth for a number": {as[float64], true, nil},
		"angles":               {as[[]float64], []any{int64(1), 0.5}, []float64{1, 0.5}},
		"counts":               {as[[]int], []any{int64(3)}, []int{3}},
		"a number for counts":  {as[[]int], int64(3), nil},
	} {
		got, ok := c.read(c.from)
		if ok != (c.want != nil) || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %t, want %v", name, got, ok, c.want)
		}
	}
}

func as[T any](v any) (any, bool) { return sampling.As[T](v) }
