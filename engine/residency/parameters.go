package residency

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
)

// factors are the values of a graph's parameters for the branches of some adapters, apart from the strengths. Those that
// serve as they lie in the file are a part of the mapped file, the others are made, and shared with other graphs.
type factors struct {
	digest string
	values map[string]ort.Value
	set    *weightSet
	stored []weights.Entry
	bytes  int64
	// users counts the network, while it keeps the factors for the next run, and the runs that are going on.
	users int
}

// factorsFor returns the factors for a, kept from the run before or made; the caller calls n.drop with them after the run.
// Adapters that are exchanged for others are let go of: a network keeps those of its last run.
func (n *Network) factorsFor(ctx context.Context, a nn.Adapters) (*factors, error) {
	n.factorsMu.Lock()
	defer n.factorsMu.Unlock()
	if f := n.kept; f != nil && f.digest == a.Digest() {
		f.users++
		return f, nil
	}
	f, err := n.prepareFactors(ctx, a)
	if err != nil {
		return nil, err
	}
	if n.kept != nil {
		n.dropLocked(n.kept)
	}
	f.users = 2
	n.kept = f
	return f, nil
}

func (n *Network) prepareFactors(ctx context.Context, a nn.Adapters) (*factors, error) {
	f := &factors{digest: a.Digest(), values: map[string]ort.Value{}}
	var list []onnx.Initializer
	for _, p := range n.parameters {
		factor, ok := p.Source.(nn.Factor)
		if !ok {
			return nil, fmt.Errorf("preparing the parameter %s: its source is a %T", p.Name, p.Source)
		}
		if factor.IsStrength() {
			continue
		}
		src, shape, err := factor.Source(a)
		if err != nil {
			return nil, err
		}
		list = append(list, onnx.Initializer{Name: p.Name, DType: p.DType, Shape: shape, Source: src})
	}
	f.bytes = n.charge(list)
	set, err := n.store.prepare(ctx, list, n.threads)
	if err != nil {
		n.adjust(-f.bytes)
		return nil, err
	}
	f.set, f.stored = set, stored(list)
	for _, in := range list {
		f.values[in.Name] = ort.Value{DType: in.DType, Shape: in.Shape, Data: set.data[in.Name]}
	}
	return f, nil
}

// drop ends one use of factors.
func (n *Network) drop(f *factors) {
	if f == nil {
		return
	}
	n.factorsMu.Lock()
	defer n.factorsMu.Unlock()
	n.dropLocked(f)
}

func (n *Network) dropLocked(f *factors) {
	if f.users--; f.users == 0 {
		f.set.release()
		n.adjust(-f.bytes)
		runtime.KeepAlive(f.stored)
	}
}

// strengths returns the values of the parameters that hold strengths.
func (n *Network) strengths(a nn.Adapters) (map[string]ort.Value, error) {
	out := map[string]ort.Value{}
	for _, p := range n.parameters {
		factor, ok := p.Source.(nn.Factor)
		if !ok || !factor.IsStrength() {
			continue
		}
		data, shape, err := factor.Strengths(a)
		if err != nil {
			return nil, err
		}
		out[p.Name] = ort.Value{DType: p.DType, Shape: shape, Data: aligned(data)}
	}
	return out, nil
}

// bindAdapters binds the parameters for a to the binding of Step, as far as they are not those of the step before: on a
// GPU the factors travel there once for all the steps that use them.
func (n *Network) bindAdapters(ctx context.Context, a nn.Adapters) error {
	if len(n.parameters) == 0 {
		return nil
	}
	f, err := n.factorsFor(ctx, a)
	if err != nil {
		return err
	}
	if n.boundFactors == f {
		n.drop(f) // the binding holds on to it already
	} else {
		old := n.boundFactors
		n.boundFactors, n.boundStrengths = nil, nil
		if err := n.bindAll(f.values); err != nil {
			n.drop(f)
			n.drop(old)
			return err
		}
		n.drop(old)
		n.boundFactors = f
	}
	if strengths := a.Strengths(); n.boundStrengths == nil || !slices.Equal(n.boundStrengths, strengths) {
		values, err := n.strengths(a)
		if err != nil {
			return err
		}
		n.boundStrengths = nil
		if err := n.bindAll(values); err != nil {
			return err
		}
		n.boundStrengths = slices.Clone(strengths)
	}
	return nil
}

func (n *Network) bindAll(values map[string]ort.Value) error {
	for name, v := range values {
		if err := n.binding.Set(name, v); err != nil {
			return err
		}
	}
	return nil
}
