package dataset

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/pickle"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// pickledLatent is a latent as ComfyUI's dictionary.
func pickledLatent(l engine.Latent) (*pickle.Dict, error) {
	if l.Samples == nil {
		return nil, nodes.Errorf("KeyError", "it has no samples")
	}
	if len(l.Along)+len(l.AlongMasks) > 0 {
		return nil, nodes.Errorf("TypeError", "it has several parts, such as video and audio, which torch.load cannot read: save them apart")
	}
	if l.Sparse != nil {
		return nil, nodes.Errorf("TypeError", "its values lie in cells of a volume, which the file has no place for: save the mesh that they are decoded to")
	}
	d := &pickle.Dict{}
	d.Set("samples", l.Samples)
	if l.NoiseMask != nil {
		d.Set("noise_mask", l.NoiseMask)
	}
	if l.BatchIndex != nil {
		list := make([]any, len(l.BatchIndex))
		for i, n := range l.BatchIndex {
			list[i] = int64(n)
		}
		d.Set("batch_index", list)
	}
	if l.DownscaleRatio > 0 {
		d.Set("downscale_ratio_spacial", int64(l.DownscaleRatio))
	}
	if l.TemporalRatio > 0 {
		d.Set("downscale_ratio_temporal", int64(l.TemporalRatio))
	}
	if l.Type != "" {
		d.Set("type", l.Type)
	}
	return d, nil
}

// pickledConditioning is a conditioning as ComfyUI's list of pairs.
func pickledConditioning(c engine.Conditioning) ([]any, error) {
	out := make([]any, len(c))
	for i, entry := range c {
		if entry.Tokens == nil {
			return nil, nodes.Errorf("TypeError", "entry %d has no encoding", i)
		}
		d := &pickle.Dict{}
		if entry.Pooled != nil {
			d.Set("pooled_output", entry.Pooled)
		}
		for _, key := range slices.Sorted(maps.Keys(entry.Values)) {
			v, err := pickled(entry.Values[key])
			if err != nil {
				return nil, fmt.Errorf("the value %s: %w", key, err)
			}
			d.Set(key, v)
		}
		out[i] = []any{entry.Tokens, d}
	}
	return out, nil
}

// pickled is a value of a conditioning as Python has it. Models, hooks and other objects have no form there.
func pickled(v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *big.Int, *tensor.Tensor:
		return v, nil
	case int:
		return int64(v), nil
	case float32:
		return float64(v), nil
	case nodes.Plain:
		return pickled(v.Plain())
	case sampling.Area:
		return pickledArea(v), nil
	case []any:
		return pickledList(v)
	case pyjson.Tuple:
		list, err := pickledList(v)
		return pickle.Tuple(list), err
	case []int:
		list := make([]any, len(v))
		for i, n := range v {
			list[i] = int64(n)
		}
		return list, nil
	case []*tensor.Tensor:
		list := make([]any, len(v))
		for i, t := range v {
			list[i] = t
		}
		return list, nil
	case *pyjson.Object:
		d := &pickle.Dict{}
		for key, e := range v.All() {
			value, err := pickled(e)
			if err != nil {
				return nil, err
			}
			d.Set(key, value)
		}
		return d, nil
	}
	return nil, nodes.Errorf("TypeError", "a %T cannot be saved, and torch.load would not read it: make the dataset without it", v)
}

func pickledList(list []any) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = pickled(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// percentage begins areas in fractions of the image.
const percentage = "percentage"

// pickledArea has the sizes before the offsets; cells are whole numbers.
func pickledArea(a sampling.Area) pickle.Tuple {
	var t pickle.Tuple
	if a.Percent {
		t = append(t, percentage)
	}
	for _, v := range slices.Concat(a.Size, a.Offset) {
		if a.Percent {
			t = append(t, v)
		} else {
			t = append(t, int64(v))
		}
	}
	return t
}

// unpickler makes latents and conditionings from the content of a file.
type unpickler struct {
	// reserve sets memory aside for tensors: a small file may name one storage many times.
	reserve func(what string, bytes int64) error
	dropped []string // keys that have no meaning here, each once
}

func (r *unpickler) drop(key string) {
	if !slices.Contains(r.dropped, key) {
		r.dropped = append(r.dropped, key)
	}
}

// tensor reads a tensor as float32.
func (r *unpickler) tensor(v any) (*tensor.Tensor, error) {
	e, ok := v.(weights.Entry)
	if !ok {
		return nil, fmt.Errorf("a %T where a tensor belongs", v)
	}
	if err := imaging.CheckSize("a tensor of the dataset", e.Shape...); err != nil {
		return nil, err
	}
	if err := r.reserve("a tensor of the dataset", 4*int64(tensor.Count(e.Shape))); err != nil {
		return nil, err
	}
	t := tensor.New(e.Shape...)
	return t, weights.ToFloat32(t.Data, e)
}

func (r *unpickler) latent(v any) (l engine.Latent, err error) {
	d, ok := v.(*pickle.Dict)
	if !ok {
		return l, fmt.Errorf("a latent is a %T, want a dict", v)
	}
	for i, k := range d.Keys {
		key, _ := k.(string)
		switch value := d.Values[i]; key {
		case "samples":
			l.Samples, err = r.tensor(value)
		case "noise_mask":
			l.NoiseMask, err = r.tensor(value)
		case "batch_index":
			list, _ := value.([]any)
			for _, n := range list {
				whole, ok := n.(int64)
				if !ok {
					return l, fmt.Errorf("batch_index has a %T", n)
				}
				l.BatchIndex = append(l.BatchIndex, int(whole))
			}
		case "downscale_ratio_spacial":
			n, _ := value.(int64)
			l.DownscaleRatio = int(n)
		case "downscale_ratio_temporal":
			n, _ := value.(int64)
			l.TemporalRatio = int(n)
		case "type":
			l.Type, _ = value.(string)
		default:
			r.drop(fmt.Sprint(k))
		}
		if err != nil {
			return l, fmt.Errorf("%s of a latent: %w", key, err)
		}
	}
	if l.Samples == nil {
		return l, fmt.Errorf("a latent has no samples")
	}
	return l, nil
}

func (r *unpickler) conditioning(v any) (engine.Conditioning, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("a conditioning is a %T, want a list", v)
	}
	out := make(engine.Conditioning, len(list))
	for i, e := range list {
		pair, ok := e.([]any)
		if t, isTuple := e.(pickle.Tuple); isTuple {
			pair, ok = t, true
		}
		if !ok || len(pair) != 2 {
			return nil, fmt.Errorf("an entry of a conditioning is no pair of a tensor and a dict")
		}
		d, ok := pair[1].(*pickle.Dict)
		if !ok {
			return nil, fmt.Errorf("an entry of a conditioning is no pair of a tensor and a dict")
		}
		c := engine.Cond{Values: map[string]any{}}
		var err error
		if c.Tokens, err = r.tensor(pair[0]); err != nil {
			return nil, fmt.Errorf("the encoding of a conditioning: %w", err)
		}
		for k, key := range d.Keys {
			if err := r.value(&c, key, d.Values[k]); err != nil {
				return nil, err
			}
		}
		out[i] = c
	}
	return out, nil
}

// value sets one value of an entry.
func (r *unpickler) value(c *engine.Cond, k, v any) (err error) {
	key, ok := k.(string)
	if !ok {
		r.drop(fmt.Sprint(k))
		return nil
	}
	if key == "pooled_output" {
		if v != nil {
			c.Pooled, err = r.tensor(v)
		}
	} else if area, isTuple := v.(pickle.Tuple); key == "area" && isTuple {
		c.Values[key], err = areaOf(area)
	} else {
		c.Values[key], err = r.plain(v)
	}
	if err != nil {
		return fmt.Errorf("%s of a conditioning: %w", key, err)
	}
	return nil
}

func areaOf(t pickle.Tuple) (a sampling.Area, err error) {
	if len(t) > 0 && t[0] == percentage {
		a.Percent, t = true, t[1:]
	}
	if len(t)%2 != 0 {
		return a, fmt.Errorf("it has %d numbers", len(t))
	}
	for i, v := range t {
		n, ok := v.(float64)
		if whole, isInt := v.(int64); isInt {
			n, ok = float64(whole), true
		}
		if !ok {
			return a, fmt.Errorf("it has a %T", v)
		}
		if i < len(t)/2 {
			a.Size = append(a.Size, n)
		} else {
			a.Offset = append(a.Offset, n)
		}
	}
	return a, nil
}

// plain is a value as nodes have it.
func (r *unpickler) plain(v any) (any, error) {
	switch v := v.(type) {
	case weights.Entry:
		return r.tensor(v)
	case []any:
		return r.plainList(v)
	case pickle.Tuple:
		list, err := r.plainList(v)
		return pyjson.Tuple(list), err
	case *pickle.Dict:
		o := pyjson.NewObject()
		for i, key := range v.Keys {
			e, err := r.plain(v.Values[i])
			if err != nil {
				return nil, err
			}
			o.Set(fmt.Sprint(key), e)
		}
		return o, nil
	}
	return v, nil
}

func (r *unpickler) plainList(list []any) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = r.plain(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}
