// Package embedding reads textual-inversion embeddings: vectors that replace a text encoder's token vectors in a prompt. It
// knows the layouts of trainers and web UIs, but no text encoder.
package embedding

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// maxVectors bounds the vectors of an embedding; usual ones have 1 to some hundred.
const maxVectors = 1 << 14

// errNone is wrapped by the error for a file without vectors.
var errNone = errors.New("the file holds no vectors")

// Open reads the embedding in the file at path; see Read.
func Open(path, key string, width int) (*tensor.Tensor, error) {
	src, err := weights.OpenWhole(path)
	if err != nil {
		return nil, fmt.Errorf("reading embedding: %w", err)
	}
	defer func() { _ = src.Close() }()
	return Read(src, key, width)
}

// Read returns the vectors [n,w] of an embedding for the text encoder that files call key ("clip_l", "clip_g", "t5xxl"
// and so on) and whose vectors are width wide. In a file for several encoders w is width; a file for one encoder may be
// for another, so that the caller compares w. src is a file as weights.OpenWhole gives it.
//
// Upstream: sd1_clip.py load_embed, whose order of layouts this is: "string_to_param" of web UIs, a list of dicts with
// the vectors of that width, the encoder's key, "bundle_emb." of LoRA files, and else the first tensor.
func Read(src weights.Source, key string, width int) (*tensor.Tensor, error) {
	for _, layout := range []func(weights.Source, string, int) []weights.Entry{stringToParam, listed, keyed, bundled, first} {
		if found := layout(src, key, width); len(found) > 0 {
			return joined(src, found)
		}
	}
	return nil, fmt.Errorf("reading embedding %s: %w for %s of width %d", src.Path(), errNone, key, width)
}

// vectors returns the tensors of src whose names are accepted, without those that are not vectors, such as token numbers.
func vectors(src weights.Source, accept func(name string) bool) []weights.Entry {
	var out []weights.Entry
	for _, n := range src.Names() {
		if e, ok := src.Lookup(n); ok && accept(n) && len(e.Shape) > 0 && e.Count() > 0 && e.DType.IsFloat() {
			out = append(out, e)
		}
	}
	return out
}

func stringToParam(src weights.Source, _ string, _ int) []weights.Entry {
	found := vectors(src, func(n string) bool { return n == "string_to_param" || strings.HasPrefix(n, "string_to_param.") })
	return found[:min(len(found), 1)]
}

// listItem matches the names that weights.OpenWhole gives to list items.
var listItem = regexp.MustCompile(`^\[\d+\](\.|$)`)

func listed(src weights.Source, _ string, width int) []weights.Entry {
	var out []weights.Entry
	for _, e := range vectors(src, listItem.MatchString) {
		if e.Shape[len(e.Shape)-1] == width {
			out = append(out, e)
		}
	}
	return out
}

func keyed(src weights.Source, key string, _ int) []weights.Entry {
	return vectors(src, func(n string) bool { return n == key })
}

func bundled(src weights.Source, key string, _ int) []weights.Entry {
	for _, suffix := range []string{".string_to_param.*", "." + key} {
		found := vectors(src, func(n string) bool { return strings.HasPrefix(n, "bundle_emb.") && strings.HasSuffix(n, suffix) })
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

func first(src weights.Source, _ string, _ int) []weights.Entry {
	found := vectors(src, func(n string) bool { return !listItem.MatchString(n) })
	return found[:min(len(found), 1)]
}

// joined puts the vectors of all entries one below the other.
func joined(src weights.Source, entries []weights.Entry) (*tensor.Tensor, error) {
	width, n := entries[0].Shape[len(entries[0].Shape)-1], 0
	for _, e := range entries {
		if w := e.Shape[len(e.Shape)-1]; w != width {
			return nil, fmt.Errorf("reading embedding %s: %v is %d wide, %v is %d", src.Path(), entries[0], width, e, w)
		}
		n += e.Count() / width
	}
	if n > maxVectors {
		return nil, fmt.Errorf("reading embedding %s: %d vectors are over the limit of %d: not an embedding?", src.Path(), n, maxVectors)
	}
	data := make([]float32, 0, n*width)
	for _, e := range entries {
		part, err := weights.Float32s(e)
		if err != nil {
			return nil, fmt.Errorf("reading embedding %s: %w", src.Path(), err)
		}
		data = append(data, part...)
	}
	return tensor.From(data, n, width)
}
