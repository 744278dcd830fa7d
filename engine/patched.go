package engine

import (
	"context"
	"fmt"
	"image"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
)

// WithSampling returns the model with another meaning of its sigmas.
func (m *Model) WithSampling(s *sampling.ModelSampling) *Model {
	c := *m
	c.sampling = s
	if c.trained == nil {
		c.trained = m.sampling
	}
	return &c
}

// FamilySampling returns the model sampling of the model's file, without the changes of WithSampling.
func (m *Model) FamilySampling() *sampling.ModelSampling {
	if m.trained != nil {
		return m.trained
	}
	return m.sampling
}

// WithLatentFormat returns the model with another relation to the VAE's latents.
func (m *Model) WithLatentFormat(f sampling.LatentFormat) *Model {
	c := *m
	c.format = &f
	return &c
}

// WithHooks returns the model with what change makes of its hooks on guidance. The functions in hooks are shared by all
// models made from this one, and may be called by one run after another.
func (m *Model) WithHooks(change func(h sampling.Hooks) sampling.Hooks) *Model {
	c := *m
	c.hooks = change(m.hooks)
	return &c
}

// Hooks returns the model's hooks on guidance.
func (m *Model) Hooks() sampling.Hooks { return m.hooks }

// Previewer makes an image of what a step expects of the latent, or of its first part.
type Previewer func(ctx context.Context, x *tensor.Tensor) (image.Image, error)

// WithPreview returns the model with another way of showing steps of a run.
func (m *Model) WithPreview(p Previewer) *Model {
	c := *m
	c.preview = p
	return &c
}

// Preview is what WithPreview set, or nil.
func (m *Model) Preview() Previewer { return m.preview }

// WithCompute returns the model with another compute type on a GPU; Invalid means the default. CPUs always compute in
// float32.
func (m *Model) WithCompute(d dtype.DType) *Model {
	c := *m
	c.compute = d
	return &c
}

// WithOption returns the model with one more option for its network, under upstream's name of it.
func (m *Model) WithOption(name string, value any) *Model {
	c := *m
	c.options = map[string]any{name: value}
	for k, v := range m.options {
		if k != name {
			c.options[k] = v
		}
	}
	return &c
}

// WithPatch returns the model with one more graph patch. A model whose network does not have the patch's point is returned
// unchanged, and ok is false: the patch has no effect on it.
func (m *Model) WithPatch(p patch.GraphPatch) (patched *Model, ok bool) {
	if !m.Patchable(p.Point()) {
		return m, false
	}
	c := *m
	c.patches = m.patches.With(p)
	return &c, true
}

// HasPatch reports whether the model has a graph patch of a certain kind.
func (m *Model) HasPatch(is func(p patch.GraphPatch) bool) bool {
	return slices.ContainsFunc(m.patches, is)
}

// OptionPatches is the run option that adds graph patches, a patch.GraphPatches, to those of the model: for hooks that
// predict with another graph.
const OptionPatches = "graph_patches"

// callPatches returns the patches that act in a call.
func (m *Model) callPatches(in sampling.Inputs) (patch.GraphPatches, error) {
	all := m.patches
	if v, ok := in.Options[OptionPatches]; ok {
		more, ok := v.(patch.GraphPatches)
		if !ok {
			return nil, fmt.Errorf("running the model: the option %s is of type %T", OptionPatches, v)
		}
		all = append(all[:len(all):len(all)], more...)
	}
	return all.For(patch.Call{Sigma: in.Sigma, Negative: in.Negative}), nil
}

// Patchable reports whether the model's graph has a point for graph patches.
func (m *Model) Patchable(at patch.Point) bool {
	f, ok := m.net.(family.Patchable)
	return ok && slices.Contains(f.Points(), at)
}

// Attends reports whether the model has attention whose keys and values are computed from one of the widths. It is true for a model
// that does not tell its widths.
func (m *Model) Attends(widths []int) bool {
	a, ok := m.net.(family.Attending)
	return !ok || slices.ContainsFunc(a.AttentionWidths(), func(w int) bool { return slices.Contains(widths, w) })
}

// warnOptions warns the client about run options that the network does not read. A job gets each warning once.
func (m *Model) warnOptions(ctx context.Context, options map[string]any) error {
	var known []string
	if o, ok := m.net.(family.Optioned); ok {
		known = o.Options()
	}
	for name := range options {
		if name != OptionPatches && !slices.Contains(known, name) {
			m.warnUnread(ctx, "option", name)
		}
	}
	return context.Cause(ctx)
}

// warnUnread warns the client about something that the network does not read.
func (m *Model) warnUnread(ctx context.Context, what, name string) {
	warning.Add(ctx, fmt.Sprintf("the %s %s has no effect: this %s model does not read it", what, name, m.Family()))
}

// Options returns the options for the model's network. The map must not be changed.
func (m *Model) Options() map[string]any { return m.options }
