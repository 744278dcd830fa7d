package engine

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/lowrank"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// Extraction configures the output of ExtractLoRA.
type Extraction struct {
	// Rank is the number of terms of the low-rank form; a weight has at most the length of its smaller side.
	Rank int
	// Whole stores the weights unchanged.
	Whole bool
	// Biases stores biases, too, and with them the weights of norms.
	Biases bool
	// Progress is called as weights are finished; it may be nil.
	Progress func(done, all int)
}

// ExtractLoRA returns a LoRA file whose adapters add the weights of a diffusion model and of text encoders, either of which may
// be nil: of models that are differences of others. Elements are float16. Matrices and convolutions are stored as the terms of
// their largest singular values, clamped to the quantile 0.99 of their numbers as upstream does (nodes_lora_extract.py).
// The client is warned about weights that cannot be stored.
func (rt *Runtime) ExtractLoRA(ctx context.Context, m *Model, c *CLIP, o Extraction) (*Tensors, error) {
	x := extractor{Extraction: o, to: &Tensors{}}
	if m != nil {
		src, err := patchedWith(m.loras, diffusionPart, m.net.Weights())
		if err != nil {
			return nil, fmt.Errorf("extracting a LoRA from the diffusion model: %w", err)
		}
		x.add(diffusionPart, src)
	}
	if c != nil {
		for _, key := range slices.Sorted(maps.Keys(c.parts)) {
			src, err := patchedWith(c.loras, textPrefix(key), c.parts[key].net.Weights())
			if err != nil {
				return nil, fmt.Errorf("extracting a LoRA from the text encoder %s: %w", key, err)
			}
			x.add(savedText+textPrefix(key), src)
		}
	}
	for i, w := range x.work {
		if err := x.extract(ctx, w); err != nil {
			return nil, err
		}
		if o.Progress != nil {
			o.Progress(i+1, len(x.work))
		}
	}
	if len(x.left) > 0 {
		warning.Add(ctx, fmt.Sprintf("extracting a LoRA: %d weights are left out, such as %s", len(x.left), x.left[0]))
	}
	return x.to, nil
}

type extractor struct {
	Extraction
	to   *Tensors
	work []extracted
	left []string // weights that cannot be extracted, with reasons
}

// extracted is a tensor to extract: name is its name in the file without the suffix of its kind.
type extracted struct {
	name  string
	bias  bool
	entry weights.Entry
}

func (x *extractor) add(prefix string, src weights.Source) {
	for _, n := range src.Names() {
		e, ok := src.Lookup(n)
		if !ok || !e.DType.IsFloat() && !e.Computed() {
			continue
		}
		if base, is := strings.CutSuffix(n, ".weight"); is {
			x.work = append(x.work, extracted{name: prefix + base, entry: e})
		} else if base, is := strings.CutSuffix(n, ".bias"); is && x.Biases {
			x.work = append(x.work, extracted{name: prefix + base, bias: true, entry: e})
		}
	}
}

func (x *extractor) save(name string, e weights.Entry) {
	x.to.list = append(x.to.list, weights.Saved{Name: name, Entry: e, DType: dtype.F16})
}

func (x *extractor) extract(ctx context.Context, w extracted) error {
	shape := w.entry.Shape
	switch {
	case w.bias:
		x.save(w.name+".diff_b", w.entry)
	case x.Whole:
		x.save(w.name+".diff", w.entry)
	case len(shape) < 2:
		if x.Biases {
			x.save(w.name+".diff", w.entry)
		}
	case len(shape) != 2 && len(shape) != 4:
		x.left = append(x.left, fmt.Sprintf("%s: it has %d dimensions", w.name, len(shape)))
	default:
		return x.lowRank(ctx, w)
	}
	return nil
}

// lowRank adds the two factors of a weight.
func (x *extractor) lowRank(ctx context.Context, w extracted) error {
	values, err := weights.Float32s(w.entry)
	if err != nil {
		return fmt.Errorf("extracting a LoRA: %w", err)
	}
	rows, inner := w.entry.Shape[0], w.entry.Shape[1:]
	cols := 1
	for _, d := range inner {
		cols *= d
	}
	rank := min(x.Rank, rows, inner[0])
	f, err := lowrank.Decompose(ctx, values, rows, cols, rank)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		x.left = append(x.left, fmt.Sprintf("%s: %v", w.name, err))
		return nil
	}
	clampToQuantile(0.99, f.Left, f.Right)
	up, down := []int{rows, rank}, []int{rank, cols}
	if len(inner) == 3 {
		up, down = append(up, 1, 1), append([]int{rank}, inner...)
	}
	for _, part := range []struct {
		name   string
		values []float32
		shape  []int
	}{{w.name + ".lora_up.weight", f.Left, up}, {w.name + ".lora_down.weight", f.Right, down}} {
		e := weights.Entry{Name: part.name, DType: dtype.F16, Shape: part.shape, Data: make([]byte, 2*len(part.values))}
		if err := weights.FromFloat32(e.Data, part.values, dtype.F16); err != nil {
			return fmt.Errorf("extracting a LoRA: %w", err)
		}
		x.save(part.name, e)
	}
	return nil
}

// clampToQuantile bounds the magnitudes of numbers by a quantile of all of them, interpolated as torch.quantile does.
func clampToQuantile(q float64, parts ...[]float32) {
	all := slices.Concat(parts...)
	slices.Sort(all)
	at := q * float64(len(all)-1)
	low := int(at)
	bound := all[low]
	if low+1 < len(all) {
		bound += float32(at-math.Floor(at)) * (all[low+1] - all[low])
	}
	for _, p := range parts {
		for i, v := range p {
			p[i] = min(max(v, -bound), bound)
		}
	}
}
