package sdxl

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/tensor"
)

// The types of the family's text encoders in the CLIP loaders.
const (
	Scheme        = "sdxl"
	RefinerScheme = "sdxl_refiner"
)

// penultimate has an encoder give the states before its last layer, not normalised, and the projected pooled output.
var penultimate = family.EncodeOptions{Layer: -2, RawHidden: true, Projected: true}

// scheme joins CLIP-L and CLIP-G.
type scheme struct{}

var _ family.Standalone = scheme{}

// Standalone implements family.Standalone: upstream takes the two encoders together for SDXL's under this type, too.
func (scheme) Standalone(kind string) bool { return kind == "stable_diffusion" }

func (scheme) Name() string { return "Stable Diffusion XL" }
func (scheme) Rank() int    { return 20 }
func (scheme) Type() string { return Scheme }

// Encoders implements family.Scheme.
func (scheme) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{{Key: clip.KeyL, Options: penultimate}, {Key: clip.KeyG, Options: penultimate}}
}

// Join implements family.Scheme: the hidden states side by side, cut to the shorter of the two, with the pooled output of
// CLIP-G (upstream: sdxl_clip.py SDXLClipModel).
func (scheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	l, okL := parts[clip.KeyL]
	g, okG := parts[clip.KeyG]
	if !okL || !okG {
		return family.Encoding{}, fmt.Errorf("encoding the prompt: Stable Diffusion XL needs the text encoders %s and %s", clip.KeyL, clip.KeyG)
	}
	n := min(l.Hidden.Dim(1), g.Hidden.Dim(1))
	wl, wg := l.Hidden.Dim(2), g.Hidden.Dim(2)
	out := tensor.New(1, n, wl+wg)
	for i := range n {
		row := out.Data[i*(wl+wg):]
		copy(row[:wl], l.Hidden.Data[i*wl:])
		copy(row[wl:wl+wg], g.Hidden.Data[i*wg:])
	}
	return family.Encoding{Hidden: out, Pooled: g.Pooled}, nil
}

// refinerScheme is CLIP-G alone.
var refinerScheme = family.Single{
	Label: "Stable Diffusion XL refiner", Order: 30, Loader: RefinerScheme,
	Encoder: family.SchemeEncoder{Key: clip.KeyG, Options: penultimate}, Not: []string{"sd3", "hidream", "stable_cascade"},
}
