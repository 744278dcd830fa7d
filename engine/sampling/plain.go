package sampling

import "math"

// As returns a value of an entry in the type that its key has. Entries that come from a node in Python have whole numbers where others have fractions, and
// lists where others have areas and numbers of one kind.
func As[T any](v any) (T, bool) {
	t, ok := v.(T)
	if ok {
		return t, true
	}
	switch p := any(&t).(type) {
	case *float64:
		*p, ok = fraction(v)
	case *int:
		*p, ok = whole(v)
	case *[]float64:
		*p, ok = each(v, fraction)
	case *[]int:
		*p, ok = each(v, whole)
	case *Area:
		*p, ok = areaOf(v)
	}
	return t, ok
}

func fraction(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	}
	return 0, false
}

// whole takes whole numbers of at most 32 bits: all that entries have are sizes, places and counts.
func whole(v any) (int, bool) {
	f, ok := fraction(v)
	return int(f), ok && f == math.Trunc(f) && math.Abs(f) <= math.MaxInt32
}

func each[T any](v any, read func(any) (T, bool)) ([]T, bool) {
	list, ok := v.([]any)
	if !ok {
		return nil, false
	}
	out := make([]T, len(list))
	for i, e := range list {
		if out[i], ok = read(e); !ok {
			return nil, false
		}
	}
	return out, true
}

// percentage begins areas in shares of the image.
const percentage = "percentage"

// areaOf reads an area as upstream has it: sizes, then offsets, one of each for every axis.
func areaOf(v any) (a Area, ok bool) {
	list, ok := v.([]any)
	if ok && len(list) > 0 && list[0] == percentage {
		a.Percent, list = true, list[1:]
	}
	if !ok || len(list) == 0 || len(list)%2 != 0 {
		return a, false
	}
	numbers, ok := each(any(list), fraction)
	if !ok {
		return a, false
	}
	a.Size, a.Offset = numbers[:len(list)/2], numbers[len(list)/2:]
	return a, true
}

// Listed is the area as upstream has it, which As reads.
func (a Area) Listed() []any {
	out := make([]any, 0, 1+len(a.Size)+len(a.Offset))
	if a.Percent {
		out = append(out, percentage)
	}
	for _, numbers := range [][]float64{a.Size, a.Offset} {
		for _, n := range numbers {
			if a.Percent {
				out = append(out, n)
			} else {
				out = append(out, int64(n))
			}
		}
	}
	return out
}
