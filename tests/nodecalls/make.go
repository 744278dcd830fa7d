package nodecalls

import (
	"math"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// Make makes a value from what record.py stores of it.
func Make(t *testing.T, v any) any {
	t.Helper()
	return made(t, Options{}, v)
}

// made is Make with the recipes of cases.py and the folders that calls of other classes see.
func made(t *testing.T, o Options, v any) any {
	t.Helper()
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = made(t, o, e)
		}
		return list
	case *pyjson.Object:
		kind := v.String("$")
		if kind == "" {
			object := pyjson.NewObject()
			for k, e := range v.All() {
				object.Set(k, made(t, o, e))
			}
			return object
		}
		if f, ok := o.Makers[kind]; ok {
			return f(v, func(e any) any { return made(t, o, e) })
		}
		return recipe(t, o, kind, v)
	}
	return v
}

func recipe(t *testing.T, o Options, kind string, v *pyjson.Object) any {
	t.Helper()
	switch kind {
	case "rnd":
		seed := uint32(int64(float(mustGet(v, "seed"))))
		return Random(seed, float(mustGet(v, "lo")), float(mustGet(v, "hi")), ints(mustGet(v, "shape"))...)
	case "img":
		return filled(v, func(u float64) float32 { return float32(math.Floor(u*256)) / 255 })
	case "smooth":
		return Smooth(ints(mustGet(v, "shape")), int(float(mustGet(v, "seed"))))
	case "const":
		out := tensor.New(ints(mustGet(v, "shape"))...)
		for i := range out.Data {
			out.Data[i] = float32(float(mustGet(v, "value")))
		}
		return out
	case "values":
		out := tensor.New(ints(mustGet(v, "shape"))...)
		for i, e := range mustGet(v, "data").([]any) {
			out.Data[i] = float32(float(e))
		}
		return out
	case "float":
		return float(mustGet(v, "value"))
	case "vision":
		return family.ImageEncoding{Last: Make(t, mustGet(v, "last")).(*tensor.Tensor)}
	case "audio":
		return &media.Audio{Waveform: made(t, o, mustGet(v, "waveform")).(*tensor.Tensor), SampleRate: int(float(mustGet(v, "sample_rate")))}
	case "latent":
		return makeLatent(t, v)
	case "cond":
		return makeConditioning(t, v)
	case "call":
		r, err := call(t, o, v.String("class"), v.Object("in"))
		if err != nil {
			t.Fatalf("making an input by %s: %v", v.String("class"), err)
		}
		return r.Values[int(float(mustGet(v, "slot")))]
	}
	t.Fatalf("unknown recipe %s", kind)
	return nil
}

// Uniform returns count values in 0…1 that record.py's uniform makes as well.
func Uniform(count int, seed uint32) []float64 {
	out := make([]float64, count)
	for i := range out {
		x := uint32(i)*0x9E3779B1 + seed*0x85EBCA77
		x ^= x >> 15
		x *= 0x2C1B3C6D
		x ^= x >> 12
		x *= 0x297A2D39
		x ^= x >> 15
		out[i] = float64(x>>8) / (1 << 24)
	}
	return out
}

// Random returns the tensor of record.py's rnd: values in lo…hi.
func Random(seed uint32, lo, hi float64, shape ...int) *tensor.Tensor {
	out := tensor.New(shape...)
	for i, u := range Uniform(len(out.Data), seed) {
		out.Data[i] = float32(lo + float64((hi-lo)*u))
	}
	return out
}

func filled(v *pyjson.Object, f func(u float64) float32) *tensor.Tensor {
	out := tensor.New(ints(mustGet(v, "shape"))...)
	for i, u := range Uniform(len(out.Data), uint32(int64(float(mustGet(v, "seed"))))) {
		out.Data[i] = f(u)
	}
	return out
}

// Smooth returns an image [B,H,W,C] of soft gradients and a disc.
func Smooth(shape []int, seed int) *tensor.Tensor {
	out := tensor.New(shape...)
	b, h, w, c := shape[0], shape[1], shape[2], shape[3]
	i := 0
	for n := range b {
		for y := range h {
			for x := range w {
				dx, dy, r := float64(x)-float64(w)/2, float64(y)-float64(h)/2, float64(min(w, h))/3
				for k := range c {
					v := float64(x*(k+1)+y*(3-k%3)+7*seed+5*n) / (4 * float64(w+h))
					if float64(dx*dx)+float64(dy*dy) < r*r {
						v = 1 - v
					}
					out.Data[i] = float32(v - math.Floor(v))
					i++
				}
			}
		}
	}
	return out
}

func makeLatent(t *testing.T, v *pyjson.Object) engine.Latent {
	t.Helper()
	l := engine.Latent{Samples: Make(t, mustGet(v, "samples")).(*tensor.Tensor)}
	for key, e := range v.Object("more").All() {
		switch key {
		case "noise_mask":
			l.NoiseMask = Make(t, e).(*tensor.Tensor)
		case "batch_index":
			l.BatchIndex = ints(e)
		default:
			t.Fatalf("a latent with %s", key)
		}
	}
	return l
}

func makeConditioning(t *testing.T, v *pyjson.Object) engine.Conditioning {
	t.Helper()
	c := engine.Conditioning{}
	for _, e := range mustGet(v, "entries").([]any) {
		pair := e.([]any)
		entry := engine.Cond{Tokens: Make(t, pair[0]).(*tensor.Tensor), Values: map[string]any{}}
		for key, value := range Make(t, pair[1]).(*pyjson.Object).All() {
			if key == "pooled_output" {
				entry.Pooled, _ = value.(*tensor.Tensor)
				continue
			}
			entry.Values[key] = value
		}
		c = append(c, entry)
	}
	return c
}

func ints(v any) []int {
	var out []int
	for _, e := range v.([]any) {
		out = append(out, int(float(e)))
	}
	return out
}

func float(v any) float64 {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case float64:
		return v
	case string:
		switch v {
		case "nan":
			return math.NaN()
		case "inf":
			return math.Inf(1)
		case "-inf":
			return math.Inf(-1)
		}
	}
	return 0
}
