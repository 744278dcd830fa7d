package residency

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
)

// Adapted are adapters and the graph that they give.
type Adapted struct {
	// Adapters is nil for a graph without adapters.
	nn.Adapters
	// Build writes the network's graph.
	Build func() (*onnx.Graph, error)
	// Steady, if set, reports the inputs that stay the same from run to run. On a GPU a separate session computes the values that depend
	// only on them, when they change.
	Steady func(input string) bool
	// Sizes are the shapes of the inputs of the run that the network is wanted for.
	Sizes map[string][]int
	// Doing, if set, says that the network enters the memory of its runs on the host itself, because the caller does not, and
	// names the runs in the error for one that does not fit: "encoding the prompt".
	Doing string
}

func (a Adapted) digest() string {
	if a.Adapters == nil {
		return ""
	}
	return a.Digest()
}

func (a Adapted) strengthsOf() []float32 {
	if a.Adapters == nil {
		return nil
	}
	return a.Strengths()
}

// ErrOtherGraph is wrapped by the error for adapters whose graph is not the one that the session was made of, although their structure says
// so. Such adapters need a session of their own.
var ErrOtherGraph = errors.New("the adapters need another graph")

// computed are the sources of the parameters of a graph that are weights, for some adapters.
type computed struct {
	digest  string
	sources map[string]nn.Source
}

// exchange turns the weights of a graph that adapters change into parameters, so that its session serves other strengths and files.
// It returns their sources, and the identity of the graph without them.
func exchange(g *onnx.Graph, digest string) (*computed, [sha256.Size]byte, error) {
	c := &computed{digest: digest, sources: map[string]nn.Source{}}
	g.Exchangeable(func(in onnx.Initializer) bool {
		src, ok := in.Source.(nn.Source)
		if ok && src.Variable() {
			c.sources[in.Name] = src
		}
		return ok && src.Variable()
	})
	model, err := g.Marshal(func(onnx.Initializer) (onnx.Placement, error) { return onnx.Placement{Location: "-"}, nil })
	return c, sha256.Sum256(model), err
}

// weightsFor returns the sources of the parameters that are weights for a.
func (n *Network) weightsFor(a Adapted) (map[string]nn.Source, error) {
	if c := n.computed; c == nil || c.digest == a.digest() {
		n.computed = nil // sources hold adapters, which are of no use once weights are made
		if c != nil {
			return c.sources, nil
		}
	}
	if n.shape == [sha256.Size]byte{} {
		return nil, nil
	}
	g, err := a.Build()
	if err != nil {
		return nil, err
	}
	c, shape, err := exchange(g, a.digest())
	if err != nil {
		return nil, err
	}
	if shape != n.shape {
		return nil, fmt.Errorf("changing the weights of graph %s: %w", g.Name, ErrOtherGraph)
	}
	return c.sources, nil
}

// factors are the values of a graph's parameters for some adapters, apart from the strengths of branches. Those that
// serve as stored in the file are a part of the mapped file, the others are made, and shared with other graphs.
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
func (n *Network) factorsFor(ctx context.Context, a Adapted) (*factors, error) {
	n.factorsMu.Lock()
	defer n.factorsMu.Unlock()
	if f := n.kept; f != nil && f.digest == a.digest() {
		f.users++
		return f, nil
	}
	var spare []byte
	if old := n.kept; old != nil { // before others are made: they can be as large as the model
		n.kept = nil
		if old.users == 1 {
			spare = old.set.giveUp()
			n.adjust(-old.bytes)
			runtime.KeepAlive(old.stored)
		} else {
			n.dropLocked(old)
		}
	}
	f, err := n.prepareFactors(ctx, a, spare)
	if err != nil {
		return nil, err
	}
	f.users = 2
	n.kept = f
	return f, nil
}

// prepareFactors takes spare memory over, see Store.prepareIn.
func (n *Network) prepareFactors(ctx context.Context, a Adapted, spare []byte) (*factors, error) {
	defer func() {
		if spare != nil {
			free(spare)
		}
	}()
	f := &factors{digest: a.digest(), values: map[string]ort.Value{}}
	computed, err := n.weightsFor(a)
	if err != nil {
		return nil, err
	}
	var list []onnx.Initializer
	for _, p := range n.parameters {
		if src, ok := computed[p.Name]; ok {
			shape := make([]int, len(p.Shape))
			for i, d := range p.Shape {
				shape[i] = d.N
			}
			list = append(list, onnx.Initializer{Name: p.Name, DType: p.DType, Shape: shape, Source: src})
			continue
		}
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
	if f.bytes, err = n.charge(list); err != nil {
		return nil, err
	}
	set, err := n.store.prepareIn(ctx, spare, list, n.threads)
	spare = nil
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
func (n *Network) strengths(a Adapted) (map[string]ort.Value, error) {
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

// bindAdapters binds the parameters for a to the binding of s, except those of the step before: the factors are copied to a
// GPU once for all the steps that use them.
func (n *Network) bindAdapters(ctx context.Context, s *steps, a Adapted) error {
	if len(n.parameters) == 0 {
		return nil
	}
	if old := s.factors; old != nil && old.digest != a.digest() {
		s.factors, s.strengths = nil, nil
		n.drop(old)
	}
	f, err := n.factorsFor(ctx, a)
	if err != nil {
		return err
	}
	if s.factors == f {
		n.drop(f) // the binding holds on to it already
	} else {
		old := s.factors // of the same adapters, made anew
		s.factors, s.strengths = nil, nil
		n.drop(old)
		if err := s.bindAll(f.values); err != nil {
			n.drop(f)
			return err
		}
		s.factors = f
	}
	if strengths := a.strengthsOf(); s.strengths == nil || !slices.Equal(s.strengths, strengths) {
		values, err := n.strengths(a)
		if err != nil {
			return err
		}
		s.strengths = nil
		if err := s.bindAll(values); err != nil {
			return err
		}
		s.strengths = slices.Clone(strengths)
	}
	return nil
}
