// Package known recognises the model families of upstream that cannot be run yet, so that their files are named in errors
// and lists. A family leaves the table when it is built.
package known

import (
	"cmp"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/weights"
)

func init() {
	for i := range families {
		families[i].rank = i
		family.Register(families[i])
	}
}

// recognised is a family that is detected by keys. Upstream: model_detection.py detect_unet_config, in its order.
type recognised struct {
	name string
	rank int
	// all are keys that the model has; a trailing "*" matches any rest of a key.
	all []string
	// width, when set, is the size of the last axis of a key: of the text that the model reads.
	key   string
	width int
	// kind is what a model of the family is, "" for a diffusion model.
	kind string
	// advice is what to do with the file.
	advice string
}

// families are in upstream's order of tests, then files that are not diffusion models.
var families = []recognised{
	{name: "ACE-Step", all: []string{"genre_embedder.weight"}},
	{name: "Wan (of a form that is not built)", all: []string{"head.modulation"}},
	{name: "ACE-Step 1.5", all: []string{"encoder.lyric_encoder.layers.0.input_layernorm.weight"}},
	{name: "Stable Cascade ControlNet", kind: "ControlNet", all: []string{"backbone.0.0.weight", "projections.0.0.weight"}},
	{name: "Stable Cascade ControlNet", kind: "ControlNet", all: []string{"backbone.10.blocks.0.weight"}},
	{name: "Stable Video Diffusion (of an unknown size)", all: []string{"input_blocks.1.1.time_stack.*"}},
	{name: "Stable Diffusion XL (of an unknown size)", all: []string{"out.2.weight", "label_emb.0.0.weight"}},
	{name: "U-Net of no known family", all: []string{"out.2.weight", "input_blocks.0.0.weight"}, advice: "its file carries no config that says how many attention heads it has; use a model of one of the families that run"},
}

// Name implements family.Family.
func (r recognised) Name() string { return r.name }

// Rank implements family.Family.
func (r recognised) Rank() int { return r.rank }

// Kind implements family.Unbuilt.
func (r recognised) Kind() string { return cmp.Or(r.kind, family.RoleDiffusion.String()) }

// Advice implements family.Unbuilt.
func (r recognised) Advice() string { return r.advice }

// Recognise implements family.Unbuilt.
func (r recognised) Recognise(src weights.Source) bool {
	for _, key := range r.all {
		if !has(src, key) {
			return false
		}
	}
	if r.key == "" {
		return true
	}
	e, ok := src.Lookup(r.key)
	return ok && len(e.Shape) > 0 && e.Shape[len(e.Shape)-1] == r.width
}

func has(src weights.Source, key string) bool {
	if before, ok := strings.CutSuffix(key, "*"); ok {
		return slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasPrefix(n, before) })
	}
	if after, ok := strings.CutPrefix(key, "*"); ok {
		return slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasSuffix(n, after) })
	}
	_, ok := src.Lookup(key)
	return ok
}
