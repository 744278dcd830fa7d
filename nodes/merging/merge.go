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

// mergedByBlocks mixes two diffusion models with the ratios that are inputs of class, a pointer to a node: each for the
// weights whose names begin with the input's name. The longest such name counts, and the first ratio where there is none.
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
		if f := v.Type().Field(i); f.Type.Kind() == reflect.Float64 {
			ratios, names = append(ratios, v.Field(i).Float()), append(names, f.Tag.Get("in"))
		}
	}
	return ratios, names
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
