package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/warning"
)

// Identity is the value of PHOTOMAKER links: a network that puts the person of an image in the place of a token of the text.
type Identity struct {
	rt   *Runtime
	file *file
	net  family.IdentityNetwork
}

// LoadIdentity opens the identity encoder in the file at path.
func (rt *Runtime) LoadIdentity(path string) (*Identity, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Identity()
	if err != nil {
		return nil, fmt.Errorf("loading the PhotoMaker model: %w", err)
	}
	return &Identity{rt, f, net}, nil
}

// Trigger is the word of a text for which the person of the image stands.
const Trigger = "photomaker"

// identityTokens is the number of tokens of a text encoding, one chunk of CLIP's.
const identityTokens = 77

// Encode encodes a text with the person of the first of images [B,H,W,C] in 0…1 in the token whose number is that of the
// trigger word among the words. Upstream: nodes_photomaker.py PhotoMakerEncode.
func (p *Identity) Encode(ctx context.Context, c *CLIP, images *tensor.Tensor, text string) (Conditioning, error) {
	if images == nil || len(images.Shape) != 4 || images.Len() == 0 || images.Dim(3) < 3 {
		var shape []int
		if images != nil {
			shape = images.Shape
		}
		return nil, fmt.Errorf("encoding with PhotoMaker: the image has shape %v, wanted at least one image of three channels", shape)
	}
	at := slices.Index(strings.Split(text, " "), Trigger)
	tokens, err := c.Tokenize(ctx, text)
	if err != nil {
		return nil, err
	}
	d := *c
	d.spans, d.hooks = nil, nil // upstream encodes once, with the adapters alone
	encoded, err := d.EncodeTokens(ctx, withoutWord(tokens, at+1))
	if err != nil {
		return nil, err
	}
	out := Conditioning{{Tokens: encoded[0].Tokens, Pooled: encoded[0].Pooled}}
	if at < 0 {
		warning.Add(ctx, fmt.Sprintf("the image has no effect: %q is not among the words of the text, between spaces", Trigger))
		return out, nil
	}
	x := out[0].Tokens
	if x == nil || len(x.Shape) != 3 || x.Dim(0) != 1 || x.Dim(2) != p.net.Width() {
		var shape []int
		if x != nil {
			shape = x.Shape
		}
		return nil, fmt.Errorf("encoding with PhotoMaker: the text encoding of %s has shape %v, and %s reads a width of %d: connect the CLIP of a %s model", c.scheme.Name(), shape, p.file.Path, p.net.Width(), p.net.Reads())
	}
	if x.Dim(1) != identityTokens {
		return nil, fmt.Errorf("encoding with PhotoMaker: the text has %d tokens with its padding, and PhotoMaker reads %d: shorten the text", x.Dim(1), identityTokens)
	}
	if at >= identityTokens { // no token has the number
		warning.Add(ctx, fmt.Sprintf("the image has no effect: %q is word %d of the text, after the %d tokens that PhotoMaker reads", Trigger, at+1, identityTokens))
		return out, nil
	}
	fused, err := p.fuse(ctx, images, x.Index(0).Data[at*x.Dim(2):][:x.Dim(2)])
	if err != nil {
		return nil, fmt.Errorf("encoding with PhotoMaker: %w", err)
	}
	joined := x.Clone()
	copy(joined.Data[at*x.Dim(2):], fused.Data)
	out[0].Tokens = joined
	return out, nil
}

// fuse runs the network on the first of the images.
func (p *Identity) fuse(ctx context.Context, images *tensor.Tensor, token []float32) (*tensor.Tensor, error) {
	image := images.Slice(0, 1)
	if slices.ContainsFunc(image.Data, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }) {
		return nil, fmt.Errorf("the image holds values that are no finite numbers: see which node made it")
	}
	if n := images.Dim(0); n > 1 {
		warning.Add(ctx, fmt.Sprintf("PhotoMaker reads the first of the %d images, as in ComfyUI", n))
	}
	row := &tensor.Tensor{Shape: []int{1, len(token)}, Data: slices.Clone(token)}
	out, err := p.net.Fuse(ctx, p.rt.runner(family.RoleVision, false, p.file), image, row)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(out.Data, func(v float32) bool { return math.IsNaN(float64(v)) }) {
		return nil, fmt.Errorf("%s gives values that are no numbers (NaN): download the file again", p.file.Path)
	}
	return out, nil
}

// withoutWord returns the tokens without those of a part of the text, in whose stead the last of the chunk is repeated; part 0
// stands for no word. Parts are what the prompt's weights and embeddings divide it in, so a plain text is one part.
func withoutWord(tokens Tokens, part int) Tokens {
	if part == 0 {
		return tokens
	}
	out := Tokens{}
	for key, chunks := range tokens {
		kept := make(tokenizer.Tokens, len(chunks))
		for i, chunk := range chunks {
			for _, t := range chunk {
				if t.WordID != part {
					kept[i] = append(kept[i], t)
				}
			}
			for len(kept[i]) < len(chunk) {
				kept[i] = append(kept[i], chunk[len(chunk)-1])
			}
		}
		out[key] = kept
	}
	return out
}
