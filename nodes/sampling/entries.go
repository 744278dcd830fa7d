package sampling

import (
	"fmt"
	"maps"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// entries reads a conditioning. Values that the sampler itself reads are removed from those for the model. It fails for
// values of another type than their key has and for entries that need features the sampler lacks.
func entries(input string, c engine.Conditioning) ([]es.Cond, error) {
	out := make([]es.Cond, len(c))
	for i, from := range c {
		to := es.Cond{Tokens: from.Tokens, Pooled: from.Pooled}
		r := reader{values: maps.Clone(from.Values)}
		to.Area = pointer[es.Area](&r, es.KeyArea)
		to.Strength = pointer[float64](&r, es.KeyStrength)
		to.MaskStrength = pointer[float64](&r, es.KeyMaskStrength)
		to.StartPercent = pointer[float64](&r, es.KeyStart)
		to.EndPercent = pointer[float64](&r, es.KeyEnd)
		to.Mask = value[*tensor.Tensor](&r, es.KeyMask)
		to.MaskBounds = value[bool](&r, es.KeyMaskBounds)
		to.Default = value[bool](&r, es.KeyDefault)
		to.StartPercent, to.EndPercent = within(&r, to.StartPercent, to.EndPercent)
		if hooks := value[interface{ Weights() es.WeightHooks }](&r, es.KeyHooks); hooks != nil {
			to.Hooks = hooks.Weights()
		}
		c, forAll := value[*engine.Control](&r, es.KeyControl), value[bool](&r, es.KeyControlForAll)
		if c != nil {
			to.Control, to.ControlForAll = c, forAll
		}
		if r.err != nil {
			return nil, fmt.Errorf("sampling: entry %d of %s: %w", i, input, r.err)
		}
		to.Values = r.values
		out[i] = to
	}
	return out, nil
}

// within limits the time of an entry to that of its text encoding, where hooks give each part of the run one of its own.
func within(r *reader, start, end *float64) (first, last *float64) {
	from, to := pointer[float64](r, es.KeyClipStart), pointer[float64](r, es.KeyClipEnd)
	if from != nil && (start == nil || *from > *start) {
		start = from
	}
	if to != nil && (end == nil || *to < *end) {
		end = to
	}
	return start, end
}

// reader takes values out of an entry and keeps the first error.
type reader struct {
	values map[string]any
	err    error
}

// value takes a value by key out of the entry, or the zero value for a key that is not set.
func value[T any](r *reader, key string) T {
	if p := pointer[T](r, key); p != nil {
		return *p
	}
	var zero T
	return zero
}

// pointer takes a value by key out of the entry, or nil for a key that is not set.
func pointer[T any](r *reader, key string) *T {
	v, ok := r.values[key]
	delete(r.values, key)
	if !ok || v == nil {
		return nil
	}
	t, ok := es.As[T](v)
	if !ok {
		if r.err == nil {
			r.err = fmt.Errorf("its %s is of type %T", key, v)
		}
		return nil
	}
	return &t
}
