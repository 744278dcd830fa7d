package dit

import (
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// ErrNoText reports that a conditioning entry lacks a text encoding.
var ErrNoText = errors.New("reading a conditioning entry: it has no text encoding, which this model needs: connect one made by the text encoders of the model's family")

// The ways in which reference latents are placed, by upstream's names. Upstream: Flux._forward.
const (
	// MethodOffset puts all of them one step after the image, side by side or below each other.
	MethodOffset = "offset"
	// MethodIndex gives each of them an index of its own.
	MethodIndex = "index"
	// MethodUXO puts them diagonally after the image.
	MethodUXO = "uxo"
	// MethodStill is MethodIndex with the timestep zero for their tokens.
	MethodStill = "index_timestep_zero"
)

// methods lists the methods; an input of the network is the index in it. The first means none.
var methods = []string{"", MethodOffset, MethodIndex, MethodUXO, MethodStill}

// inputMethod is the place in methods of how reference latents are placed [1].
const inputMethod = "ref_latents_method"

// inputReference is the name of reference latent i [N,C,h,w].
func inputReference(i int) string { return fmt.Sprintf("ref_latents.%d", i) }

// References returns the inputs for the reference latents of an entry, none where it has none. plain is the method of
// entries that state none; unknown methods count as MethodOffset, as in upstream.
func References(c *sampling.Cond, r sampling.Request, plain string) ([]sampling.Input, error) {
	refs, err := sampling.References(c, r.Format)
	if err != nil || len(refs) == 0 {
		return nil, err
	}
	in := ReferenceInputs(refs)
	method, err := sampling.Value[string](c, sampling.KeyReferenceMethod)
	if err != nil {
		return nil, err
	}
	place := slices.Index(methods, plain)
	if method != "" {
		place = max(slices.Index(methods, method), slices.Index(methods, MethodOffset))
	}
	at := &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(place)}}
	return append(in, sampling.Input{Name: inputMethod, Value: at, Rule: sampling.Shared}), nil
}

// ReferenceInputs are the inputs of reference latents without a method that places them.
func ReferenceInputs(refs []*tensor.Tensor) []sampling.Input {
	var in []sampling.Input
	for i, x := range refs {
		in = append(in, sampling.Input{Name: inputReference(i), Value: x, Rule: sampling.ByRows})
	}
	return in
}

// GivenReferences returns the reference latents among the inputs of a call and the method that places them.
func GivenReferences(in sampling.Inputs) (refs []*tensor.Tensor, method string) {
	for {
		x := in.Get(inputReference(len(refs)))
		if x == nil {
			break
		}
		refs = append(refs, x)
	}
	if x := in.Get(inputMethod); x != nil && len(x.Data) == 1 {
		method = methods[min(max(int(x.Data[0]), 0), len(methods)-1)]
	}
	return refs, method
}

// Image shows a latent of one frame [N,C,1,H,W] as that of an image [N,C,H,W]; others are returned as they are.
func Image(x *tensor.Tensor) *tensor.Tensor {
	if len(x.Shape) == 5 && x.Dim(2) == 1 {
		return &tensor.Tensor{Shape: []int{x.Dim(0), x.Dim(1), x.Dim(3), x.Dim(4)}, Data: x.Data}
	}
	return x
}

// ReferenceTokens joins the tokens of reference latents.
func ReferenceTokens(refs []*tensor.Tensor, rows, channels, patch int) (*tensor.Tensor, error) {
	var parts []*tensor.Tensor
	total := 0
	for _, r := range refs {
		r = Image(r)
		if len(r.Shape) != 4 || r.Dim(0) != rows || r.Dim(1) != channels {
			return nil, fmt.Errorf("a reference latent has shape %v, the model reads %d channels", r.Shape, channels)
		}
		t, _, err := Patchify(r, patch, tensor.ChannelsFirst)
		if err != nil {
			return nil, err
		}
		parts = append(parts, t)
		total += t.Dim(1)
	}
	out := tensor.New(rows, total, channels*patch*patch)
	for b := range rows {
		to := out.Index(b).Data
		for _, p := range parts {
			to = to[copy(to, p.Index(b).Data):]
		}
	}
	return out, nil
}

// AppendGrid appends the positions of an image's tokens on three axes: an index, row and column.
func AppendGrid(to []float64, g Grid, index float64) []float64 {
	for i := range g.Tokens() {
		to = append(to, index, float64(i/g.Width), float64(i%g.Width))
	}
	return to
}
