package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comfygo/engine/patch"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// Rate describes how a weight is merged with that of another model: keep times the one and add times the other. key is the
// weight's name in the model, such as "input_blocks.0.0.weight".
type Rate func(key string) (keep, add float64)

// Merge returns the model with each of its diffusion model's weights mixed with that of another model, as both are with
// their adapters. Weights that only one model has, and weights of different shapes, stay unchanged with a warning; if most
// do not fit, Merge returns an error. Nothing is computed before the model runs or is saved.
func (m *Model) Merge(ctx context.Context, other *Model, rate Rate) (*Model, error) {
	src, err := other.loras.Whole(diffusionPart, other.net.Weights())
	if err != nil {
		return nil, err
	}
	j := joint{base: m.net.Weights(), other: src, part: diffusionPart, rate: rate}
	j.add()
	file, err := j.file(ctx, "diffusion models")
	if err != nil {
		return nil, err
	}
	n := *m
	n.loras = m.loras.With(file, 1)
	return &n, nil
}

// Merge returns the text encoders with their weights mixed with those of others; see Model.Merge.
func (c *CLIP) Merge(ctx context.Context, other *CLIP, keep, add float64) (*CLIP, error) {
	var all joint
	for _, key := range slices.Sorted(maps.Keys(other.parts)) {
		own, ok := c.parts[key]
		if !ok {
			warning.Add(ctx, fmt.Sprintf("merging text encoders: the first have no %s, that of the second is left out", key))
			continue
		}
		src, err := other.loras.Whole(textPrefix(key), other.parts[key].net.Weights())
		if err != nil {
			return nil, err
		}
		j := joint{base: own.net.Weights(), other: src, part: textPrefix(key), rate: func(name string) (float64, float64) {
			if strings.HasSuffix(name, "position_ids") || strings.HasSuffix(name, "logit_scale") {
				return 1, 0
			}
			return keep, add
		}}
		j.add()
		all.patches, all.left, all.base, all.other = append(all.patches, j.patches...), append(all.left, j.left...), j.base, j.other
	}
	file, err := all.file(ctx, "text encoders")
	if err != nil {
		return nil, err
	}
	d := *c
	d.loras = c.loras.With(file, 1)
	return &d, nil
}

// Scaled returns the model with each weight of its diffusion model multiplied by the factor of its name; found is false if all
// factors are 1 or no weight is numeric. Adapters that are applied later are not multiplied.
func (m *Model) Scaled(factor func(name string) float64) (scaled *Model, found bool) {
	src := m.net.Weights()
	patches := scaledWeights(diffusionPart, src, factor)
	if len(patches) == 0 {
		return m, false
	}
	n := *m
	n.loras = m.loras.With(patch.NewFile(src.Path(), patches), 1)
	return &n, true
}

// Scaled is Model.Scaled for text encoders.
func (c *CLIP) Scaled(factor func(name string) float64) (scaled *CLIP, found bool) {
	var patches []patch.Patch
	path := ""
	for _, key := range slices.Sorted(maps.Keys(c.parts)) {
		src := c.parts[key].net.Weights()
		path = src.Path()
		patches = append(patches, scaledWeights(textPrefix(key), src, factor)...)
	}
	if len(patches) == 0 {
		return c, false
	}
	d := *c
	d.loras = c.loras.With(patch.NewFile(path, patches), 1)
	return &d, true
}

// scaledWeights multiplies the weights of a part.
func scaledWeights(part string, src weights.Source, factor func(name string) float64) []patch.Patch {
	var patches []patch.Patch
	for _, name := range src.Names() {
		f := factor(name)
		if e, ok := src.Lookup(name); ok && f != 1 && e.DType.IsFloat() {
			patches = append(patches, patch.Patch{
				Target: patch.Target{Key: part + name, Baked: true}, Adapter: &patch.Blend{Other: e, Keep: f},
			})
		}
	}
	return patches
}

// joint matches the weights of one part of two models.
type joint struct {
	base, other weights.Source
	part        string
	rate        Rate
	patches     []patch.Patch
	left        []string // weights that are not merged
}

func (j *joint) add() {
	for _, name := range j.other.Names() {
		keep, add := j.rate(name)
		if keep == 1 && add == 0 {
			continue
		}
		own, known := j.base.Lookup(name)
		e, ok := j.other.Lookup(name)
		if !known || !ok || !slices.Equal(own.Shape, e.Shape) || !own.DType.IsFloat() {
			j.left = append(j.left, name)
			continue
		}
		j.patches = append(j.patches, patch.Patch{
			Target: patch.Target{Key: j.part + name, Baked: true}, Adapter: &patch.Blend{Other: e, Keep: keep, Add: add},
		})
	}
}

// file returns the matched weights as a file of adapters.
func (j *joint) file(ctx context.Context, what string) (*patch.File, error) {
	if j.base == nil || len(j.left) > len(j.patches) {
		return nil, fmt.Errorf("merging %s: %d weights of the second fit the first and %d do not: they are of different families; merge models of one family and size", what, len(j.patches), len(j.left))
	}
	if len(j.left) > 0 {
		warning.Add(ctx, fmt.Sprintf("merging %s: %d weights of %s fit none of %s and are left out, such as %s",
			what, len(j.left), j.other.Path(), j.base.Path(), j.left[0]))
	}
	return patch.NewFile(j.other.Path(), j.patches), nil
}
