package merging

import (
	"reflect"
	"strings"

	"comfygo/engine"
	"comfygo/nodes"
)

// merged is the result of a class that mixes two diffusion models.
func merged(ctx *nodes.Context, first, second *engine.Model, rate engine.Rate) (nodes.Result, error) {
	if first == nil || second == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "merging diffusion models: model1 or model2 is missing")
	}
	m, err := first.Merge(ctx, second, rate)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(m), nil
}

// mergedByBlocks mixes two diffusion models with the ratios that are inputs of class, a pointer to a node: each ratio
// applies to the weights whose names begin with the input's name. The longest such name counts; a weight without one
// has the first ratio.
func mergedByBlocks(ctx *nodes.Context, first, second *engine.Model, class any) (nodes.Result, error) {
	ratios, names := ratiosOf(class)
	return merged(ctx, first, second, func(key string) (keep, add float64) {
		best, ratio := 0, ratios[0]
		for i, name := range names {
			if len(name) > best && strings.HasPrefix(key, name) {
				best, ratio = len(name), ratios[i]
			}
		}
		return ratio, 1 - ratio
	})
}

// ratiosOf returns the ratios of a class with the names of their inputs, in order.
func ratiosOf(class any) (ratios []float64, names []string) {
	v := reflect.ValueOf(class).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i).Interface().(type) {
		case float64:
			ratios = append(ratios, f)
		case *engine.Model:
			continue
		default: // an array of ratios
			for k := range v.Field(i).Len() {
				ratios = append(ratios, v.Field(i).Index(k).Float())
			}
		}
		names = append(names, nodes.InputNames(v.Type().Field(i))...)
	}
	return ratios, names
}

// blockSpec describes a class that mixes models of a family with a ratio for each block.
func blockSpec(class, family string) nodes.Spec {
	return nodes.Spec{
		Name: class, Category: "model/merging/model specific",
		Module:      "comfy_extras.nodes_model_merging_model_specific",
		Description: "Mixes two diffusion models of " + family + " with the share of the first for each block.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

func mergedCLIP(ctx *nodes.Context, first, second *engine.CLIP, keep, add float64) (nodes.Result, error) {
	if first == nil || second == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "merging text encoders: clip1 or clip2 is missing")
	}
	c, err := first.Merge(ctx, second, keep, add)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}
