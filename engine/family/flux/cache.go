package flux

import (
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// OptionCache is the run option by which the keys and values of reference latents are computed once in a run: a *Cache.
const OptionCache = "flux_kv_cache"

// Cache identifies a model's cache in a run. Upstream: nodes_flux.py KV_Attn_Input, which also gives reference latents the
// timestep zero if the conditioning does not state their placement.
type Cache struct{ _ int } // of a size, so that each has an address of its own

// Sequential implements sampling.Sequential: the first call of a run fills the cache for all others.
func (*Cache) Sequential() {}

// kept are the keys and values [N,R,C] of the reference tokens of the first call of a run that had any, by their names in the
// graph. All later calls read them, whatever their own reference latents are.
type kept struct {
	names  []string
	values map[string]*tensor.Tensor
}

// in returns the cache in a run, nil without a cache or outside runs.
func (c *Cache) in(s *sampling.State) *kept {
	if c == nil || s == nil {
		return nil
	}
	return sampling.Keep(s, c, func() *kept { return &kept{} })
}

func (k *kept) filled() bool { return k != nil && len(k.names) > 0 }

// take fills the cache with outputs of a graph.
func (k *kept) take(out map[string]*tensor.Tensor, names []string) {
	k.names, k.values = names, map[string]*tensor.Tensor{}
	for _, n := range names {
		k.values[n] = out[n]
	}
}

// give adds the cache to a call of the given number of rows and reference tokens.
func (k *kept) give(p *prepared, rows, tokens int) error {
	for _, n := range k.names {
		x := k.values[n]
		if x.Dim(1) != tokens {
			return fmt.Errorf("running the model with Flux KV Cache: reference latents have %d tokens, and those of the run's first call %d: give all conditionings the same reference latents", tokens, x.Dim(1))
		}
		p.in = append(p.in, family.Floats(n, cycled(x, rows)))
	}
	return nil
}

// cycled are n rows of x, over and over.
func cycled(x *tensor.Tensor, n int) *tensor.Tensor {
	if x.Dim(0) >= n {
		return x.Slice(0, n)
	}
	out := tensor.New(append([]int{n}, x.Shape[1:]...)...)
	for i := range n {
		copy(out.Index(i).Data, x.Index(i%x.Dim(0)).Data)
	}
	return out
}

// keptNames lists the outputs of a graph that keeps keys and values.
func (m *Model) keptNames(v Variant) []string {
	var out []string
	s := weights.NewScope(m.Source)
	for _, kind := range []struct {
		name string
		n    int
		skip []int
	}{{"double", s.Count("double_blocks"), v.SkipDouble}, {"single", s.Count("single_blocks"), v.SkipSingle}} {
		for i := range kind.n {
			if !slices.Contains(kind.skip, i) {
				out = append(out, keyName(kind.name, i), valueName(kind.name, i))
			}
		}
	}
	return out
}
