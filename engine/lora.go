package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/patch"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// The prefixes of the keys by which adapter files and models are matched, as upstream spells them.
const diffusionPart = "diffusion_model."

func textPrefix(key string) string { return key + ".transformer." }

// ApplyLoRA returns a diffusion model and text encoders with the adapters of the file at path, at a strength for each. Either
// may be nil. Adapters that match neither are logged; if none fits, the error names the file and the families.
//
// Low-rank adapters are branches of the networks' graphs whose factors and strengths are inputs: another file that changes
// the same weights, or another strength, needs no other session.
func (rt *Runtime) ApplyLoRA(ctx context.Context, path string, m *Model, c *CLIP, strengthModel, strengthClip float64) (*Model, *CLIP, error) {
	f, err := rt.AdapterFile(path)
	if err != nil {
		return nil, nil, err
	}
	return rt.ApplyAdapters(ctx, f, m, c, LoRAOptions{StrengthModel: strengthModel, StrengthCLIP: strengthClip})
}

// AdapterFile opens the adapter file at path.
func (rt *Runtime) AdapterFile(path string) (weights.Source, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	return f.Parts.Source(), nil
}

// LoRAOptions configure how adapters are applied.
type LoRAOptions struct {
	// StrengthModel and StrengthCLIP multiply the changes of the diffusion model and of the text encoders.
	StrengthModel, StrengthCLIP float64
	// Output selects the form of upstream's bypass loaders, which change the outputs of layers instead of their weights: it
	// differs for DoRA, OFT and BOFT, see patch.File.OfOutput.
	Output bool
}

// ApplyAdapters is ApplyLoRA for the tensors of an adapter file.
func (rt *Runtime) ApplyAdapters(ctx context.Context, src weights.Source, m *Model, c *CLIP, o LoRAOptions) (*Model, *CLIP, error) {
	path := src.Path()
	keys, shape := rt.loraKeys(m, c)
	if keys.Len() == 0 {
		return nil, nil, fmt.Errorf("applying the LoRA %s: %s takes no adapters", path, describeModels(m, c))
	}
	lora, err := patch.Read(src, keys, shape)
	switch {
	case errors.Is(err, patch.ErrNoMatch) && c == nil && textOnly(src.Names()):
		warning.Add(ctx, fmt.Sprintf("the LoRA %s changes text encoders only and has no effect on the diffusion model", path))
		return m, c, nil
	case err != nil:
		return nil, nil, fmt.Errorf("applying a LoRA to %s: %w; %s", describeModels(m, c), err, adviceOn(err))
	}
	rt.logSkipped(path, describeModels(m, c), lora.Skipped())
	if o.Output {
		lora = lora.OfOutput(shape)
	}
	warnLeftOut(ctx, lora)
	if m != nil && c != nil && o.StrengthModel != 0 && !lora.Changes(diffusionPart) && !textOnly(src.Names()) {
		warning.Add(ctx, fmt.Sprintf("the LoRA %s has no effect on the %s model: of its layers %d fit the text encoders and none fits the model; it may be made for another model", path, m.family.Name(), len(lora.Patches())))
	}
	if m != nil {
		n := *m
		n.loras = m.loras.With(lora, o.StrengthModel)
		n.loraMetadata = src.Metadata()
		m = &n
	}
	if c != nil {
		d := *c
		d.loras = c.loras.With(lora, o.StrengthCLIP)
		c = &d
	}
	return m, c, nil
}

// logSkipped logs the layers of an adapter file that the models have no use for, once for each file and models: a stack may apply a
// file many times.
func (rt *Runtime) logSkipped(path, models string, skipped []string) {
	if len(skipped) == 0 {
		return
	}
	if _, again := rt.skipped.LoadOrStore(fmt.Sprint(path, "\x00", models, len(skipped)), true); again {
		return
	}
	const most = 5
	rt.cfg.Log.Warn("the model has no use for some layers of a LoRA", "file", path, "layers", len(skipped), "first", skipped[:min(most, len(skipped))])
}

// adviceOn says what to do about an adapter file that cannot be read or does not fit.
func adviceOn(err error) string {
	switch {
	case errors.Is(err, patch.ErrNoMatch):
		return "use a LoRA of this family, or load the model that it was trained on"
	case errors.Is(err, patch.ErrNoAdapter):
		return "use a LoRA file; a whole model has a loader of its own, such as UNETLoader or CheckpointLoaderSimple"
	}
	return "the file is damaged: download it again, or save it again from what trained it"
}

// LoRANumber returns the number that the metadata of the last adapter file states under a key that ends with name, or zero if no
// key does.
func (m *Model) LoRANumber(name string) float64 {
	for _, key := range slices.Sorted(maps.Keys(m.loraMetadata)) {
		if strings.HasSuffix(key, name) {
			v, err := strconv.ParseFloat(strings.TrimSpace(m.loraMetadata[key]), 64)
			if err != nil || math.IsNaN(v) || math.Abs(v) > math.MaxInt32 {
				return 0
			}
			return v
		}
	}
	return 0
}

// warnLeftOut warns the client about adapters that fit and are not applied.
func warnLeftOut(ctx context.Context, f *patch.File) {
	if left := f.LeftOut(); len(left) > 0 {
		warning.Add(ctx, fmt.Sprintf("the LoRA %s leaves %d of %d weights as they are, as in ComfyUI: %s", f.Path(), len(left), len(f.Patches()), few(left)))
	}
}

// few joins the first texts of many.
func few(texts []string) string {
	const most = 3
	if len(texts) > most {
		return fmt.Sprintf("%s; and %d more", strings.Join(texts[:most], "; "), len(texts)-most)
	}
	return strings.Join(texts, "; ")
}

// storage is how a weight of the model is stored after adapters changed it, as upstream does it: quantized ones become quantized
// again, and those that the user has rounded to an 8-bit float are rounded again.
func (m *Model) storage(key string) patch.Storage {
	if m.weights.Size() == 1 {
		return patch.Storage{Type: m.weights}
	}
	return storedAs(m.net.Weights(), strings.TrimPrefix(key, diffusionPart))
}

// storedAs is how a weight of a network is stored after adapters changed it.
func storedAs(src weights.Source, name string) patch.Storage {
	e, ok := src.Lookup(name)
	return patch.Storage{Quantized: ok && e.Scheme != nil && e.Requantizable()}
}

// storage is Model.storage for the text encoder of a key.
func (c *CLIP) storage(encoder string) func(key string) patch.Storage {
	return func(key string) patch.Storage {
		return storedAs(c.parts[encoder].net.Weights(), strings.TrimPrefix(key, textPrefix(encoder)))
	}
}

// loraKeys returns what adapter files call the weights of a model and of text encoders, and how to find a weight's shape.
func (rt *Runtime) loraKeys(m *Model, c *CLIP) (*patch.KeyMap, func(key string) []int) {
	keys := &patch.KeyMap{}
	if m != nil {
		if a, ok := m.net.(family.Adaptable); ok {
			a.LoRAKeys(keys, diffusionPart)
		}
	}
	if c != nil {
		present := slices.Sorted(maps.Keys(c.parts))
		for _, key := range present {
			if a, ok := c.parts[key].net.(family.AdaptableText); ok {
				a.LoRAKeys(keys, textPrefix(key), present)
			}
		}
	}
	return keys, func(key string) []int {
		if name, ok := strings.CutPrefix(key, diffusionPart); ok && m != nil {
			if e, ok := m.net.Weights().Lookup(name); ok {
				return e.Shape
			}
			return nil
		}
		if c == nil {
			return nil
		}
		for k, p := range c.parts {
			if name, ok := strings.CutPrefix(key, textPrefix(k)); ok {
				if e, ok := p.net.Weights().Lookup(name); ok {
					return e.Shape
				}
			}
		}
		return nil
	}
}

// textOnly reports that the names of an adapter file are all of text encoders.
func textOnly(names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool {
		return !strings.HasPrefix(n, "lora_te") && !strings.HasPrefix(n, "text_encoder")
	})
}

func describeModels(m *Model, c *CLIP) string {
	var parts []string
	if m != nil {
		parts = append(parts, "a "+m.Family()+" model")
	}
	if c != nil {
		parts = append(parts, "text encoders of "+c.scheme.Name())
	}
	if len(parts) == 0 {
		return "no model"
	}
	return strings.Join(parts, " and ")
}
