package residency

import (
	"context"
	"slices"

	"comfygo/engine/ort"
)

// steps is a series of runs with inputs of the same sizes: bound values stay in place between them.
type steps struct {
	outputs []string
	binding *ort.Binding
	// prompt is the binding of Network.prompt, nil without it.
	prompt *ort.Binding
	// inputs are what each binding's inputs hold.
	inputs, promptInputs map[string]ort.Value
	// fresh reports that the results of prompt are those of its inputs.
	fresh bool
	// factors and strengths are the bound values of the parameters; nil means that they have to be bound.
	factors   *factors
	strengths []float32
	// bytes is the amount reported to the ledger.
	bytes int64
}

// mostSteps bounds the series that a network on a GPU keeps: several sizes, or prompts that take turns within a step. Factors of
// adapters would be there once for each.
func (n *Network) mostSteps() int {
	if n.prompt == nil && !n.graphs || len(n.parameters) > 0 {
		return 1
	}
	return 4
}

// mostCaptured bounds the graphs that a session captures, one for each size that was used: ONNX Runtime frees them with the session alone.
const mostCaptured = 16

// Step is Run for a network that is run again and again: inputs with unchanged bytes stay in place, which saves the transfer to a
// GPU, and so do the factors of adapters; values that depend only on them are not computed again. Steps of one network exclude
// each other.
func (n *Network) Step(ctx context.Context, a Adapted, inputs map[string]ort.Value, outputs ...string) (map[string]ort.Value, error) {
	if n.streamed != nil {
		return n.runStreamed(ctx, a, inputs, outputs)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	done, err := n.reserve(inputs)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := n.stepsFor(inputs, outputs)
	if err != nil {
		return nil, err
	}
	if err := n.bindInputs(s, inputs); err != nil {
		return nil, err
	}
	if err := n.bindAdapters(ctx, s, a); err != nil {
		return nil, err
	}
	end := n.watch(ctx)
	res, err := n.step(ctx, s)
	end(err)
	n.chargeResults()
	n.chargeSteps(s)
	if n.graphs && n.session.Captured() >= mostCaptured {
		n.retire()
	}
	return res, err
}

func (n *Network) step(ctx context.Context, s *steps) (map[string]ort.Value, error) {
	if s.prompt != nil && !s.fresh {
		kept, err := s.prompt.RunInto(ctx, s.binding)
		if err != nil {
			return nil, err
		}
		if s.fresh = kept; !kept {
			values, err := s.prompt.Run(ctx)
			if err != nil {
				return nil, err
			}
			if err := s.bindAll(values); err != nil {
				return nil, err
			}
			s.fresh = true
		}
	}
	return s.binding.Run(ctx)
}

// chargeSteps enters what a series keeps on a GPU into the ledger.
func (n *Network) chargeSteps(s *steps) {
	if n.mostSteps() == 1 && n.estimate == nil {
		return
	}
	now := s.binding.Bytes()
	if s.prompt != nil {
		now += s.prompt.Bytes()
	}
	if now != s.bytes {
		n.adjust(now - s.bytes)
		s.bytes = now
	}
}

// stepsFor returns the series that a run belongs to: one of the same sizes, if possible with the same prompt. It becomes the last one.
func (n *Network) stepsFor(inputs map[string]ort.Value, outputs []string) (*steps, error) {
	found := -1
	for i, s := range n.steps {
		if !slices.Equal(s.outputs, outputs) {
			continue
		}
		if most := n.mostSteps(); most == 1 || s.fits(inputs) && (found < 0 || s.prompts(inputs)) {
			found = i
			if most == 1 || s.prompts(inputs) {
				break
			}
		}
	}
	if found >= 0 && (n.mostSteps() == 1 || n.steps[found].prompts(inputs) || len(n.steps) == n.mostSteps()) {
		s := n.steps[found]
		n.steps = append(slices.Delete(n.steps, found, found+1), s)
		return s, nil
	}
	for len(n.steps) >= n.mostSteps() {
		n.closeSteps(n.steps[0])
		n.steps = slices.Delete(n.steps, 0, 1)
	}
	s := &steps{outputs: slices.Clone(outputs), inputs: map[string]ort.Value{}, promptInputs: map[string]ort.Value{}}
	var err error
	if s.binding, err = n.session.NewBinding(outputs...); err != nil {
		return nil, err
	}
	if n.prompt != nil {
		if s.prompt, err = n.prompt.NewBinding(); err != nil {
			s.binding.Close()
			return nil, err
		}
	}
	n.steps = append(n.steps, s)
	return s, nil
}

// fits reports whether the inputs have the sizes of the series.
func (s *steps) fits(inputs map[string]ort.Value) bool {
	for name, v := range inputs {
		for _, have := range []map[string]ort.Value{s.inputs, s.promptInputs} {
			if old, ok := have[name]; ok && !slices.Equal(old.Shape, v.Shape) {
				return false
			}
		}
	}
	return true
}

// prompts reports that the inputs which are to stay the same are those of the series.
func (s *steps) prompts(inputs map[string]ort.Value) bool {
	for name, old := range s.promptInputs {
		if !same(old, inputs[name]) {
			return false
		}
	}
	return s.fits(inputs)
}

// bindInputs binds the inputs that changed since the run before.
func (n *Network) bindInputs(s *steps, inputs map[string]ort.Value) error {
	for name, v := range inputs {
		here, there := n.reads(name)
		if here {
			if _, err := bindTo(s.binding, s.inputs, name, v); err != nil {
				return err
			}
		}
		if there {
			changed, err := bindTo(s.prompt, s.promptInputs, name, v)
			if changed || err != nil {
				s.fresh = false
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// reads reports which of the sessions read an input.
func (n *Network) reads(name string) (session, prompt bool) {
	if n.prompt == nil {
		return true, false
	}
	has := func(list []ort.Info) bool {
		return slices.ContainsFunc(list, func(i ort.Info) bool { return i.Name == name })
	}
	return has(n.session.Inputs()), has(n.prompt.Inputs())
}

// bindTo binds an input unless it is already bound; it reports whether it bound it.
func bindTo(b *ort.Binding, bound map[string]ort.Value, name string, v ort.Value) (bool, error) {
	if same(bound[name], v) {
		return false, nil
	}
	// A copy, so that a caller that reuses its memory changes neither this run nor the comparison.
	v.Data = aligned(v.Data)
	delete(bound, name)
	if err := b.Set(name, v); err != nil {
		return true, err
	}
	bound[name] = v
	return true, nil
}

func (s *steps) bindAll(values map[string]ort.Value) error {
	for name, v := range values {
		if err := s.binding.Set(name, v); err != nil {
			return err
		}
	}
	return nil
}

// closeSteps lets go of a series.
func (n *Network) closeSteps(s *steps) {
	s.binding.Close()
	if s.prompt != nil {
		s.prompt.Close()
	}
	n.drop(s.factors)
	if s.bytes != 0 {
		n.adjust(-s.bytes)
	}
}
