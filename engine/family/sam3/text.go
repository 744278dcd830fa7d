package sam3

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() {
	family.Register(textKind{})
	family.Register(family.Single{
		Label: "SAM 3", Order: 1010, Loader: loader, Only: []string{}, Encoder: family.SchemeEncoder{Key: keyText, Options: encoding, Run: encode},
	})
}

// The type of the family's text encoder in the CLIP loaders, and its key.
const (
	loader  = "sam3"
	keyText = "sam3_clip"
)

// encoding has the encoder hide padding and say which tokens are padding.
var encoding = family.EncodeOptions{Masked: true, ReturnMask: true}

// textKind is the family of SAM 3's text encoder: a CLIP text encoder of 32 tokens a prompt.
type textKind struct{}

// Name implements family.Family.
func (textKind) Name() string { return "SAM 3 text encoder" }

// Rank implements family.Family.
func (textKind) Rank() int { return 12 }

// Read implements family.Text. Upstream: text_encoders/sam3_clip.py; the encoder comes in checkpoints alone, beside the layer that reads it.
func (textKind) Read(src weights.Source) (family.TextEncoder, error) {
	s := weights.NewScope(src)
	if !s.Has("resizer.weight") || !s.Has("encoder.token_embedding.weight") {
		return nil, nil
	}
	own := layout.CLIPText(weights.Sub(src, "encoder."))
	s = weights.NewScope(own).At("text_model")
	words, places, fed := s.Shape("embeddings.token_embedding.weight"), s.Shape("embeddings.position_embedding.weight"), s.Shape("encoder.layers.0.mlp.fc1.weight")
	if len(words) != 2 || len(places) != 2 || len(fed) != 2 || words[1] == 0 || words[1]%looks != 0 {
		return nil, fmt.Errorf("reading the text encoder's shape: token_embedding %v, position_embedding %v, mlp.fc1 %v, wanted two dimensions each", words, places, fed)
	}
	c := clip.Config{
		Key: keyText, Width: words[1], Layers: s.Count("encoder.layers"), Heads: looks, MLP: fed[0], Positions: places[0], Vocab: words[0],
		QuickGelu: true, Empty: textenc.Empty{Start: tokenizer.CLIPStart, End: tokenizer.CLIPEnd},
	}
	return &textEncoder{clip.New(own, c)}, nil
}

// textEncoder reads parentheses as text.
type textEncoder struct{ *clip.Encoder }

// Tokenize implements family.TextEncoder.
func (e *textEncoder) Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	inner := o.Layout
	o.Layout = func(rules *tokenizer.Options) {
		rules.Unweighted = true
		if inner != nil {
			inner(rules)
		}
	}
	return e.Encoder.Tokenize(prompt, o)
}

// encode encodes a prompt, and one that lists several kinds of objects part by part.
func encode(ctx context.Context, c family.SchemeCall) (family.Encoding, error) {
	list := kinds(c.Prompt.Text)
	if len(list) == 0 || len(list) == 1 && list[0].most == 1 {
		return c.Net.Encode(ctx, c.Runner, c.Tokens[keyText], encoding)
	}
	var first family.Encoding
	var all []family.SegmentText
	for i, k := range list {
		tokens, err := c.Net.Tokenize(k.text, family.TokenizeOptions{})
		if err != nil {
			return first, err
		}
		e, err := c.Net.Encode(ctx, c.Runner, tokens, encoding)
		if err != nil {
			return first, err
		}
		if i == 0 {
			first = e
		}
		all = append(all, family.SegmentText{Hidden: e.Hidden, Mask: e.Mask, Most: k.most})
	}
	first.Extra = map[string]any{family.KeySegmentTexts: all}
	return first, nil
}

// objects are a kind of objects and how many of them are wanted.
type objects struct {
	text string
	most int
}

var counted = regexp.MustCompile(`^(.+?)\s*:\s*([\d.]+)\s*$`)

// kinds reads a prompt: kinds of objects apart by commas, each with ":N" for at most N objects of it, 1 without.
func kinds(prompt string) []objects {
	var out []objects
	for part := range strings.SplitSeq(strings.NewReplacer("(", "", ")", "").Replace(prompt), ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		k := objects{part, 1}
		if m := counted.FindStringSubmatch(part); m != nil {
			const largest = 1 << 20
			if n, err := strconv.ParseFloat(m[2], 64); err == nil {
				k = objects{strings.TrimSpace(m[1]), int(min(max(math.RoundToEven(n), 1), largest))}
			}
		}
		out = append(out, k)
	}
	return out
}
