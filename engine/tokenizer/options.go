package tokenizer

import "math"

// None means a special token that a text encoder does not use.
const None int32 = -1

// Options are a text encoder's rules for laying out prompts (upstream: the arguments of SDTokenizer). The zero value of
// Start, End and Pad is token 0; None leaves the start or end token out.
type Options struct {
	// MaxLength is the length of a chunk including start and end token, at least 3: a longer prompt continues in
	// another chunk. 0 means that prompts are not divided.
	MaxLength int
	// MinLength pads the last chunk to this length.
	MinLength int
	// MinPadding is the number of padding tokens that the last chunk has in any case.
	MinPadding int
	// Start opens each chunk and End closes it.
	Start, End int32
	// Pad is the padding token.
	Pad int32
	// PadToMax pads every chunk to MaxLength.
	PadToMax bool
	// PadLeft puts padding before the start token.
	PadLeft bool
	// Unweighted reads parentheses as text; a backslash before one is left out all the same.
	Unweighted bool
	// Raw passes the prompt to the vocabulary unchanged: parentheses, backslashes and embeddings are text.
	Raw bool
	// Missing, when set, is called with the name of each embedding that the lookup does not know.
	Missing func(name string)
}

// CLIPOptions are the rules of CLIP text encoders: 77 tokens a chunk, padded with pad, which is CLIPEnd for ViT-L and 0
// for OpenCLIP G and H.
func CLIPOptions(pad int32) Options {
	return Options{MaxLength: 77, Start: CLIPStart, End: CLIPEnd, Pad: pad, PadToMax: true}
}

// normalized returns the options with usable lengths.
func (o Options) normalized() Options {
	if o.MaxLength == 0 {
		o.MaxLength, o.PadToMax = math.MaxInt32, false
	}
	o.MaxLength = max(o.MaxLength, 3)
	return o
}
