package nodecalls

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/golden"
)

// comparison collects what differs between a result and its recording.
type comparison struct {
	tolerance   float64
	described   func(v any) (any, bool)
	differences []string
}

func (k *comparison) differ(path, format string, args ...any) {
	k.differences = append(k.differences, path+": "+fmt.Sprintf(format, args...))
}

// value compares one value. Structs are first turned into the lists and objects that upstream has.
func (k *comparison) value(path string, got, want any) {
	got = k.plain(got)
	switch w := want.(type) {
	case nil, bool, string:
		if got != want {
			k.differ(path, "%s, want %s", pyjson.Repr(got), pyjson.Repr(want))
		}
	case []any:
		k.list(path, got, w)
	case *pyjson.Object:
		switch kind := w.String("$"); kind {
		case "tensor":
			k.tensor(path, got, w)
		case "int", "float":
			k.number(path, got, kind, w.String("value"))
		case "dict":
			k.dict(path, got, w)
		case "nested":
			k.list(path, got, mustGet(w, "parts").([]any))
		default:
			k.differ(path, "the recording has a %s that record.py does not describe", w.String("type"))
		}
	}
}

func (k *comparison) list(path string, got any, want []any) {
	list, ok := got.([]any)
	if !ok {
		k.differ(path, "a %T, want a list", got)
		return
	}
	if len(list) != len(want) {
		k.differ(path, "%d elements, want %d", len(list), len(want))
		return
	}
	for i, w := range want {
		k.value(fmt.Sprintf("%s[%d]", path, i), list[i], w)
	}
}

func (k *comparison) dict(path string, got any, want *pyjson.Object) {
	o, ok := got.(*pyjson.Object)
	if !ok {
		k.differ(path, "a %T, want a dictionary", got)
		return
	}
	keys, values := mustGet(want, "keys").([]any), mustGet(want, "values").([]any)
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = keyName(key)
		v, there := o.Get(names[i])
		if !there {
			k.differ(path, "lacks %s", names[i])
			continue
		}
		k.value(path+"."+names[i], v, values[i])
	}
	for _, name := range o.Keys() {
		if !slices.Contains(names, name) {
			k.differ(path, "%s is too much", name)
		}
	}
}

func keyName(key any) string {
	if o, ok := key.(*pyjson.Object); ok {
		return o.String("value")
	}
	return pyjson.Str(key)
}

func (k *comparison) number(path string, got any, kind, want string) {
	if kind == "int" {
		n, ok := new(big.Int), false
		switch g := got.(type) {
		case int64:
			n, ok = big.NewInt(g), true
		case *big.Int:
			n, ok = g, true
		}
		if !ok || n.String() != want {
			k.differ(path, "%v (%T), want the integer %s", got, got, want)
		}
		return
	}
	w, err := strconv.ParseFloat(want, 64)
	g, ok := got.(float64)
	if err != nil || !ok || g != w && !(math.IsNaN(g) && math.IsNaN(w)) && math.Abs(g-w) > k.tolerance {
		k.differ(path, "%v (%T), want the float %s", got, got, want)
	}
}

func (k *comparison) tensor(path string, got any, want *pyjson.Object) {
	if v, isView := got.(*tensor.View); isView {
		got = v.Dense()
	}
	g, ok := got.(*tensor.Tensor)
	if !ok || g == nil {
		k.differ(path, "a %T, want a tensor", got)
		return
	}
	if shape := ints(mustGet(want, "shape")); !slices.Equal(g.Shape, shape) {
		k.differ(path, "shape %v, want %v", g.Shape, shape)
		return
	}
	data, err := base64.StdEncoding.DecodeString(want.String("data"))
	if err != nil {
		k.differ(path, "reading the recording: %v", err)
		return
	}
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	have := golden.Strided(g.Data, int(float(mustGet(want, "step"))))
	if len(have) != len(values) {
		k.differ(path, "%d values, want %d", len(have), len(values))
		return
	}
	if d := golden.Difference(have, values); d.MaxAbs > k.tolerance {
		k.differ(path, "%v; allowed max_abs %g", d, k.tolerance)
	}
}

// plain turns a value of a link into lists, objects, numbers and tensors.
func (k *comparison) plain(v any) any {
	if k.described != nil {
		if d, ok := k.described(v); ok {
			return d
		}
	}
	switch v := v.(type) {
	case nil, bool, string, int64, float64, *big.Int, []any, *pyjson.Object, *tensor.Tensor:
		return v
	case nodes.Plain:
		return v.Plain()
	case family.ImageEncoding:
		return pyjson.NewObject("last", v.Last)
	case engine.Latent:
		return plainLatent(v)
	case engine.Conditioning:
		list := make([]any, len(v))
		for i, c := range v {
			list[i] = plainCond(c)
		}
		return list
	case engine.Cond:
		return plainCond(v)
	case sampling.Area:
		return slices.Concat(anys(v.Size), anys(v.Offset))
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Int, reflect.Int32, reflect.Int16, reflect.Int8:
		return rv.Int()
	case reflect.Uint, reflect.Uint32, reflect.Uint64, reflect.Uint8, reflect.Uint16:
		return new(big.Int).SetUint64(rv.Uint())
	case reflect.Float32:
		return rv.Float()
	case reflect.Slice, reflect.Array:
		list := make([]any, rv.Len())
		for i := range list {
			list[i] = rv.Index(i).Interface()
		}
		return list
	}
	return v
}

func anys(list []float64) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

func plainCond(c engine.Cond) []any {
	o := pyjson.NewObject()
	if c.Pooled != nil {
		o.Set("pooled_output", c.Pooled)
	}
	for key, v := range c.Values {
		o.Set(key, v)
	}
	return []any{c.Tokens, o}
}

func plainLatent(l engine.Latent) *pyjson.Object {
	o := pyjson.NewObject("samples", parts(l.Samples, l.Along))
	if l.Type != "" {
		o.Set("type", l.Type)
	}
	if l.DownscaleRatio > 0 {
		o.Set("downscale_ratio_spacial", l.DownscaleRatio)
	}
	if l.TemporalRatio > 0 {
		o.Set("downscale_ratio_temporal", l.TemporalRatio)
	}
	if l.NoiseMask != nil {
		o.Set("noise_mask", parts(l.NoiseMask, l.AlongMasks))
	}
	if l.BatchIndex != nil {
		o.Set("batch_index", l.BatchIndex)
	}
	return o
}

func parts(first *tensor.Tensor, others []*tensor.Tensor) any {
	if len(others) == 0 {
		return first
	}
	list := []any{first}
	for _, t := range others {
		list = append(list, t)
	}
	return list
}
