package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// HookFile is the change of weights that a hook makes.
type HookFile struct {
	// Path is a LoRA file, or a checkpoint whose weights the models' go towards.
	Path       string
	Checkpoint bool
	// Model and CLIP are the strengths for the diffusion model and for text encoders.
	Model, CLIP float64
}

// hookFiles keeps the files of hooks that were read for one model.
type hookFiles struct {
	mu    sync.Mutex
	files map[string]*patch.File
}

// get returns the adapters of a file, or nil if the model has no use for them.
func (h *hookFiles) get(path string, read func() (*patch.File, error)) (*patch.File, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f, ok := h.files[path]; ok {
		return f, nil
	}
	f, err := read()
	if err != nil {
		return nil, err
	}
	if h.files == nil {
		h.files = map[string]*patch.File{}
	}
	h.files[path] = f
	return f, nil
}

// hooked returns the model with the changes of hooks at their strengths.
func (m *Model) hooked(ctx context.Context, hooks []sampling.AppliedHook) (*Model, error) {
	if len(hooks) == 0 {
		return m, nil
	}
	n := *m
	for _, h := range hooks {
		file, ok := h.Value.(HookFile)
		if !ok {
			return nil, fmt.Errorf("running the model: a hook is of type %T", h.Value)
		}
		strength := file.Model * h.Strength
		if strength == 0 {
			continue
		}
		f, err := m.hookFiles.get(file.Path, func() (*patch.File, error) { return m.rt.hookFile(ctx, file, m, nil) })
		if err != nil {
			return nil, err
		}
		if f != nil {
			n.loras, n.alternating = n.loras.With(f, strength), true
		}
	}
	return &n, nil
}

// hookFile reads the changes of a file for a diffusion model or for text encoders, or nil.
func (rt *Runtime) hookFile(ctx context.Context, file HookFile, m *Model, c *CLIP) (*patch.File, error) {
	if file.Checkpoint {
		return rt.hookCheckpoint(file.Path, m, c)
	}
	src, err := rt.AdapterFile(file.Path)
	if err != nil {
		return nil, err
	}
	keys, shape := rt.loraKeys(m, c)
	lora, err := patch.Read(src, keys, shape)
	if errors.Is(err, patch.ErrNoMatch) && (c != nil || textOnly(src.Names())) {
		warning.Add(ctx, fmt.Sprintf("the LoRA %s of a hook has no effect on %s", file.Path, describeModels(m, c)))
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("applying a hook to %s: %w", describeModels(m, c), err)
	}
	warnLeftOut(ctx, lora)
	return lora, nil
}

// hookCheckpoint returns the change that replaces the weights of a model, or of text encoders, by those of a checkpoint at a
// strength of 1.
func (rt *Runtime) hookCheckpoint(path string, m *Model, c *CLIP) (*patch.File, error) {
	other, texts, _, err := rt.LoadCheckpoint(path)
	if err != nil {
		return nil, fmt.Errorf("applying a hook: %w", err)
	}
	var patches []patch.Patch
	add := func(part string, own, others weights.Source) {
		for _, name := range others.Names() {
			a, known := own.Lookup(name)
			b, ok := others.Lookup(name)
			if known && ok && slices.Equal(a.Shape, b.Shape) && a.DType.IsFloat() {
				patches = append(patches, patch.Patch{Target: patch.Target{Key: part + name, Baked: true}, Adapter: &patch.Toward{Other: b, Own: a}})
			}
		}
	}
	if m != nil {
		add(diffusionPart, m.net.Weights(), other.net.Weights())
	}
	if c != nil && texts != nil {
		for key, p := range texts.parts {
			if own, ok := c.parts[key]; ok {
				add(textPrefix(key), own.net.Weights(), p.net.Weights())
			}
		}
	}
	if len(patches) == 0 {
		return nil, fmt.Errorf("applying a hook: no weight of %s fits %s", path, describeModels(m, c))
	}
	return patch.NewFile(path, patches), nil
}

// TextHooks are hooks of text encoders with their strengths during a part of a run, from 0 to 1.
type TextHooks struct {
	Start, End float64
	Hooks      []sampling.AppliedHook
}

// textSpan is a part of a run with the adapters of its text encoding.
type textSpan struct {
	start, end float64
	loras      patch.Stack
}

// WithHooks returns the text encoders with hooks. A single span applies its hooks to all encodings; of several each gives an
// encoding for its part of the run. value, when set, is what encodings carry for the sampler.
func (c *CLIP) WithHooks(ctx context.Context, spans []TextHooks, value any) (*CLIP, error) {
	d := *c
	d.hooks, d.spans = value, nil
	files := &hookFiles{}
	for _, span := range spans {
		loras := c.loras
		for _, h := range span.Hooks {
			file, ok := h.Value.(HookFile)
			if !ok {
				return nil, fmt.Errorf("applying hooks to text encoders: one is of type %T", h.Value)
			}
			strength := file.CLIP * h.Strength
			if strength == 0 {
				continue
			}
			f, err := files.get(file.Path, func() (*patch.File, error) { return c.rt.hookFile(ctx, file, nil, c) })
			if err != nil {
				return nil, err
			}
			if f != nil {
				loras = loras.With(f, strength)
			}
		}
		d.spans = append(d.spans, textSpan{span.Start, span.End, loras})
	}
	if len(d.spans) == 1 {
		d.loras, d.spans = d.spans[0].loras, nil
	}
	return &d, nil
}
