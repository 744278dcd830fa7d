package nodes

import (
	"maps"
	"slices"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes/pyjson"
)

// Show writes a value of any link as Python's str does upstream, where latents are dictionaries, a conditioning is a list
// of pairs and noise levels are a tensor. edge is how many elements at each edge of a large tensor are written.
func Show(v any, edge int) string { return pyjson.Str(shown(v, edge)) }

// written is text that stands for itself within a list or a dictionary.
type written string

// String implements fmt.Stringer.
func (w written) String() string { return string(w) }

// shown turns a value into one that pyjson prints as upstream prints it.
func shown(v any, edge int) any {
	switch v := v.(type) {
	case *tensor.Tensor:
		return written(v.Text(edge))
	case []float32:
		levels := tensor.Tensor{Data: v, Shape: []int{len(v)}}
		return written(levels.Text(edge))
	case engine.Latent:
		return shownLatent(v, edge)
	case engine.Conditioning:
		entries := make([]any, len(v))
		for i, c := range v {
			entries[i] = shownCond(c, edge)
		}
		return entries
	case []any:
		items := make([]any, len(v))
		for i, e := range v {
			items[i] = shown(e, edge)
		}
		return items
	case *pyjson.Object:
		if v == nil {
			return nil
		}
		o := pyjson.NewObject()
		for k, e := range v.All() {
			o.Set(k, shown(e, edge))
		}
		return o
	}
	return v
}

// shownLatent has upstream's keys.
func shownLatent(l engine.Latent, edge int) *pyjson.Object {
	o := pyjson.NewObject("samples", parts(l.Samples, l.Along, edge))
	if l.DownscaleRatio > 0 {
		o.Set("downscale_ratio_spacial", l.DownscaleRatio)
	}
	if l.NoiseMask != nil {
		o.Set("noise_mask", parts(l.NoiseMask, l.AlongMasks, edge))
	}
	if l.BatchIndex != nil {
		o.Set("batch_index", l.BatchIndex)
	}
	return o
}

// parts writes a tensor, or with others along the nested one that they make up.
func parts(first *tensor.Tensor, along []*tensor.Tensor, edge int) written {
	text := first.Text(edge)
	if len(along) == 0 {
		return written(text)
	}
	for _, t := range along {
		text += ", " + t.Text(edge)
	}
	return written("NestedTensor([" + text + "])")
}

// shownCond is the pair of the encoding and everything else by name; Go's maps have no order, so it is that of the names.
func shownCond(c engine.Cond, edge int) []any {
	o := pyjson.NewObject()
	if c.Pooled != nil {
		o.Set("pooled_output", shown(c.Pooled, edge))
	}
	for _, k := range slices.Sorted(maps.Keys(c.Values)) {
		o.Set(k, shown(c.Values[k], edge))
	}
	return []any{shown(c.Tokens, edge), o}
}
