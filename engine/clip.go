package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/patch"
)

// CLIP is the value of CLIP links: one or several text encoders and the scheme that combines them. It is immutable.
type CLIP struct {
	rt     *Runtime
	scheme family.Scheme
	parts  map[string]textPart
	// layer is the layer whose states are the encoding, counted from the end (-1 is the last); 0 means the scheme's
	// own choice.
	layer int
	onCPU bool
	place Place
	// unprojected leaves the text projection off pooled encodings.
	unprojected bool
	// loras are the adapters that were applied, in order.
	loras patch.Stack
	// lengths are the paddings that a user chose.
	lengths lengths
	// hooks are the weight hooks that encodings carry for the sampler, or nil; spans, when set, are the parts of a run with
	// separate encodings.
	hooks any
	spans []textSpan
}

// textPart is one text encoder with its file.
type textPart struct {
	file *file
	net  family.TextEncoder
}

// CLIPTypes lists the types of text encoders that can be loaded, by rank, each once.
func (rt *Runtime) CLIPTypes() []string {
	var out []string
	for _, s := range rt.cfg.Families.Schemes() {
		if !slices.Contains(out, s.Type()) {
			out = append(out, s.Type())
		}
	}
	return out
}

// scheme returns the scheme for encoders under a loader's type: the one of that type that takes them, else one that stands
// in for it (see family.Standalone).
func (rt *Runtime) scheme(kind string, parts map[string]textPart) (family.Scheme, error) {
	var own family.Scheme
	for _, s := range rt.cfg.Families.Schemes() {
		if s.Type() != kind {
			continue
		}
		if own = s; takes(s, parts) == nil {
			return s, nil
		}
	}
	for _, s := range rt.cfg.Families.Schemes() {
		if alone, ok := s.(family.Standalone); ok && alone.Standalone(kind) && takes(s, parts) == nil {
			return s, nil
		}
	}
	if own != nil {
		return nil, fmt.Errorf("%w; %s", takes(own, parts), rt.fitting(parts))
	}
	return nil, fmt.Errorf("loading text encoders: those of type %s cannot be run yet with %s; %s", kind, held(parts), rt.fitting(parts))
}

// fitting states which types take text encoders, for an error about a type that does not.
func (rt *Runtime) fitting(parts map[string]textPart) string {
	var types []string
	for _, s := range rt.cfg.Families.Schemes() {
		if takes(s, parts) == nil && !slices.Contains(types, s.Type()) {
			types = append(types, s.Type())
		}
	}
	if len(types) == 0 {
		return "no type takes these encoders alone: choose the files that belong to one model"
	}
	return "types that take " + held(parts) + ": " + strings.Join(types, ", ")
}

// LoadCLIP opens the text encoders in files, in any order, for a loader's type ("stable_diffusion", "sdxl").
func (rt *Runtime) LoadCLIP(kind string, paths ...string) (*CLIP, error) {
	parts := map[string]textPart{}
	for _, path := range paths {
		f, err := rt.files.Get(path)
		if err != nil {
			return nil, err
		}
		e, err := f.Parts.Text()
		if err != nil {
			return nil, fmt.Errorf("loading a text encoder: %w", err)
		}
		if known, twice := parts[e.Key()]; twice {
			return nil, fmt.Errorf("loading text encoders: %s and %s both hold the encoder %s", known.file.Path, path, e.Key())
		}
		parts[e.Key()] = textPart{f, e}
	}
	scheme, err := rt.scheme(kind, parts)
	if err != nil {
		return nil, err
	}
	return &CLIP{rt: rt, scheme: scheme, parts: parts}, nil
}

// takes fails when a scheme lacks an encoder or is given one that it does not take.
func takes(s family.Scheme, parts map[string]textPart) error {
	var wanted []string
	for _, e := range s.Encoders() {
		if e.Network() != e.Key {
			continue
		}
		wanted = append(wanted, e.Key)
		if _, ok := parts[e.Key]; !ok && !e.Optional {
			return fmt.Errorf("loading text encoders of type %s (%s): %s is missing, the files hold %s", s.Type(), s.Name(), e.Key, held(parts))
		}
	}
	for key, p := range parts {
		if !slices.Contains(wanted, key) {
			return fmt.Errorf("loading text encoders of type %s (%s): %s holds %s, wanted %s", s.Type(), s.Name(), p.file.Path, key, strings.Join(wanted, " and "))
		}
	}
	return nil
}

func held(parts map[string]textPart) string {
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(parts)), " and ")
}

// bundledCLIP returns the text encoders of a checkpoint, or nil if it lacks one.
func (rt *Runtime) bundledCLIP(m *Model) (*CLIP, error) {
	b, ok := m.net.(family.Bundle)
	if !ok {
		return nil, nil
	}
	found, err := m.file.Parts.Bundled(b.TextPrefixes())
	if err != nil {
		return nil, err
	}
	parts := map[string]textPart{}
	for key, e := range found {
		parts[key] = textPart{m.file, e}
	}
	for _, s := range rt.cfg.Families.Schemes() {
		if s.Type() == b.Scheme() && takes(s, parts) == nil {
			return &CLIP{rt: rt, scheme: s, parts: parts}, nil
		}
	}
	return nil, nil
}

// OnCPU returns the encoder kept off the GPU.
func (c *CLIP) OnCPU() *CLIP {
	d := *c
	d.onCPU = true
	return &d
}

// WithLayer returns the encoder with its encoding taken after another layer, counted from the end: -1 is the last layer,
// -2 the one before it. An encoder without such a layer keeps the layer of its scheme, as in upstream.
func (c *CLIP) WithLayer(layer int) *CLIP {
	d := *c
	d.layer = layer
	return &d
}
