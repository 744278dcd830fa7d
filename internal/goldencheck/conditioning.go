package goldencheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
	"comfygo/internal/pyjson"
)

// The keys of the text encodings in a golden's conditioning.
const (
	keyCrossAttn = "cross_attn"
	keyPooled    = "pooled_output"
)

// recipeNames are the suffixes that goldens append to a case's name for values that they state only by shape.
var recipeNames = map[string]string{
	keyPooled:                "p",
	sampling.KeyConcatLatent: "ci",
	"conditioning_byt5small": "b",
	"conditioning_mt5xl":     "m",
	"reference_latents":      "r", // followed by the number of the latent
	sampling.KeyConcatMask:   "cm",
}

// conds makes the conditioning of a case: text encodings and named tensors by the recipes, numbers as they stand.
func (c forwardCase) conds(stored *golden.Tensors) ([]sampling.Cond, error) {
	out := make([]sampling.Cond, 0, len(c.Cond))
	for _, entry := range c.Cond {
		to := sampling.Cond{Values: map[string]any{}}
		for _, key := range slices.Sorted(maps.Keys(entry)) {
			v, err := c.value(key, entry[key], stored)
			if err != nil {
				return nil, err
			}
			switch key {
			case keyCrossAttn:
				to.Tokens, _ = v.(*tensor.Tensor)
			case keyPooled:
				to.Pooled, _ = v.(*tensor.Tensor)
			default:
				to.Values[key] = v
			}
		}
		out = append(out, to)
	}
	if len(out) == 0 {
		return nil, unavailable("the golden has no conditioning")
	}
	return out, nil
}

// value makes one value of a conditioning entry. JSON holds [name, shape], a shape, {"stored": name} for a tensor of the
// case, or Python's text of a number.
func (c forwardCase) value(key string, raw json.RawMessage, stored *golden.Tensors) (any, error) {
	var kept struct{ Stored string }
	if json.Unmarshal(raw, &kept) == nil && kept.Stored != "" {
		return stored.Get(c.ID + "/" + kept.Stored)
	}
	if key == sampling.KeyUnCLIP {
		return encodedImages(raw)
	}
	var named []json.RawMessage
	var name string
	var shape []int
	if json.Unmarshal(raw, &named) == nil && len(named) == 2 && json.Unmarshal(named[0], &name) == nil &&
		json.Unmarshal(named[1], &shape) == nil && tensor.Count(shape) > 0 {
		return golden.Normal(name, shape...), nil
	}
	if json.Unmarshal(raw, &shape) == nil && tensor.Count(shape) > 0 {
		return c.shaped(key, shape, stored)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		if n, err := strconv.Atoi(text); err == nil {
			return n, nil
		}
		if v, err := strconv.ParseFloat(text, 64); err == nil {
			return v, nil
		}
		if key == "reference_latents" {
			return c.references()
		}
	}
	return nil, unavailable("the golden does not say what %s is (%.40s)", key, raw)
}

// encodedImages makes the images of unCLIP: [name, width, strength, noise augmentation] of each.
func encodedImages(raw json.RawMessage) (any, error) {
	var list [][]any
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("reading the images of unCLIP: %w", err)
	}
	var out []any
	for _, row := range list {
		if len(row) != 4 {
			return nil, fmt.Errorf("reading an image of unCLIP: %v, wanted name, width, strength and noise augmentation", row)
		}
		name, _ := row[0].(string)
		width, _ := row[1].(float64)
		embeds := golden.Normal(name, 1, int(width))
		out = append(out, pyjson.NewObject("clip_vision_output", family.ImageEncoding{Embeds: embeds}, "strength", row[2], "noise_augmentation", row[3]))
	}
	return out, nil
}

// shaped makes a value that is stated only by its shape.
func (c forwardCase) shaped(key string, shape []int, stored *golden.Tensors) (*tensor.Tensor, error) {
	if strings.HasPrefix(key, "attention_mask") {
		return c.mask(key, shape, stored)
	}
	suffix, ok := recipeNames[key]
	if !ok {
		return nil, unavailable("the golden does not say how %s was made", key)
	}
	name := c.XName + "/" + suffix
	if key != sampling.KeyConcatMask {
		return golden.Normal(name, shape...), nil
	}
	x := golden.Uniform(name, 1, 0, shape...)
	if len(shape) > 4 || c.normalMask {
		x = golden.Normal(name, shape...)
	}
	for i, v := range x.Data {
		x.Data[i] = 0
		if v > 0 {
			x.Data[i] = 1
		}
	}
	return x, nil
}

// mask returns an attention mask, which is stored as the argument of its shape.
func (c forwardCase) mask(key string, shape []int, stored *golden.Tensors) (*tensor.Tensor, error) {
	for _, name := range slices.Sorted(maps.Keys(c.Calls[0])) {
		a, err := argument(c.Calls[0], name)
		if err != nil || a.DType != "int64" || !slices.Equal(a.Shape, shape) {
			continue
		}
		if at := fmt.Sprintf("%s/0.%s", c.ID, name); stored.Has(at) {
			return stored.Get(at)
		}
	}
	return nil, unavailable("the golden does not store %s", key)
}

// references makes the reference latents with the shapes of the recorded call.
func (c forwardCase) references() ([]*tensor.Tensor, error) {
	var shapes [][]int
	if err := json.Unmarshal(c.Calls[0]["ref_latents"], &shapes); err != nil || len(shapes) == 0 {
		return nil, unavailable("the golden does not state the shapes of the reference latents")
	}
	out := make([]*tensor.Tensor, len(shapes))
	for i, s := range shapes {
		if tensor.Count(s) <= 0 {
			return nil, fmt.Errorf("a reference latent of shape %v", s)
		}
		out[i] = golden.Normal(fmt.Sprintf("%s/%s%d", c.XName, recipeNames["reference_latents"], i), s...)
	}
	return out, nil
}
