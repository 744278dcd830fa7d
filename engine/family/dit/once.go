package dit

import (
	"fmt"
	"math"
	"sync"

	"comfygo/engine/sampling"
)

// Once returns the result of make for the inputs of a call, and keeps it for further calls of the run with the same inputs: for conditions
// that do not depend on the noisy latent. owner is the model.
func Once[T any](in sampling.Inputs, owner any, make func() (T, error)) (T, error) {
	if in.State == nil {
		return make()
	}
	kept := sampling.Keep(in.State, owner, func() *results[T] { return &results[T]{values: map[string]T{}} })
	key := fmt.Sprint(digest(in), in.Hooks)
	if v, ok := kept.get(key); ok {
		return v, nil
	}
	v, err := make()
	if err == nil {
		kept.set(key, v)
	}
	return v, err
}

// results are those of a run. A network on several devices makes calls at once.
type results[T any] struct {
	mu     sync.Mutex
	values map[string]T
}

func (r *results[T]) get(key string) (T, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.values[key]
	return v, ok
}

func (r *results[T]) set(key string, v T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values[key] = v
}

// digest identifies the values of inputs (FNV-1a over their shapes and elements).
func digest(in sampling.Inputs) uint64 {
	const offset, prime = 0xcbf29ce484222325, 0x100000001b3
	h := uint64(offset)
	add := func(v uint64) { h = (h ^ v) * prime }
	for _, i := range in.List {
		for _, c := range i.Name {
			add(uint64(c)) //nolint:gosec // a character
		}
		for _, n := range i.Value.Shape {
			add(uint64(n)) //nolint:gosec // a size
		}
		for _, v := range i.Value.Data {
			add(uint64(math.Float32bits(v)))
		}
	}
	return h
}
