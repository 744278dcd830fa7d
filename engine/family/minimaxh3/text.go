package minimaxh3

import (
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// loader is the type of the family's text encoder in the CLIP loaders.
const loader = "minimax"

// Upstream: text_encoders/minimax.py: Qwen 3 VL 32B of 50 layers, the states after the last one without a norm.
func init() {
	family.Register(family.Single{
		Label: "MiniMax H3", Order: 166, Loader: loader,
		Encoder: family.SchemeEncoder{
			Key: lm.KeyQwen3VLXL, Options: family.EncodeOptions{Layer: -1, RawHidden: true}, Layout: lm.Unweighted, Compose: compose,
		},
		Finish: tagged,
	})
}

// Shown is something that a prompt refers to, for Prompt.Extra: an image [1,H,W,3], a video of frames [N,H,W,3] at half a second from each other, or audio,
// of which the prompt says the number alone.
type Shown struct{ Image, Video *tensor.Tensor }

// compose lays a prompt out: what it refers to with numbers of its own kind, and the text. Vectors stand between vision tokens.
func compose(tok family.Tokenizer, p family.Prompt, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	c := &composer{tok: tok, options: o}
	items, ok := p.Extra.([]Shown)
	if p.Extra != nil && !ok {
		return nil, fmt.Errorf("reading the prompt: MiniMax H3 does not read %T: use the nodes of the model", p.Extra)
	}
	if len(items) == 0 {
		for _, image := range p.Images {
			items = append(items, Shown{Image: image})
		}
	}
	var images, videos, sounds int
	for _, s := range items {
		switch {
		case s.Image != nil:
			images++
			c.text(fmt.Sprintf("<Picture %d>: ", images))
			c.vision(s.Image, false)
		case s.Video != nil:
			videos++
			c.text(fmt.Sprintf("<Video %d>: ", videos))
			c.video(s.Video)
		default:
			sounds++
			c.text(fmt.Sprintf("<Audio %d>: ", sounds))
		}
	}
	c.text(p.Text)
	if len(c.row) == 0 {
		c.row = []tokenizer.Token{{ID: lm.TokenEnd, Weight: 1}}
	}
	return tokenizer.Tokens{c.row}, c.err
}

// composer gathers the tokens of a prompt and the first error.
type composer struct {
	tok     family.Tokenizer
	options family.TokenizeOptions
	row     []tokenizer.Token
	err     error
}

// errLong reports a prompt of several chunks.
var errLong = errors.New("reading the prompt: a part of it is longer than one chunk of MiniMax H3: shorten it")

func (c *composer) text(s string) {
	if s == "" || c.err != nil {
		return
	}
	tokens, err := c.tok(s, c.options)
	if err == nil && len(tokens) != 1 {
		err = errLong
	}
	if err != nil {
		c.err = err
		return
	}
	c.row = append(c.row, tokens[0]...)
}

func (c *composer) vision(image *tensor.Tensor, frames bool) {
	c.row = append(c.row, tokenizer.Token{ID: lm.TokenVisionStart, Weight: 1}, tokenizer.Token{ID: lm.TokenImage, Weight: 1, Image: image, Frames: frames}, tokenizer.Token{ID: lm.TokenVisionEnd, Weight: 1})
}

// video shows a video by pairs of frames with the time of their middle in seconds; the last frame of an odd number stands for two at one time.
func (c *composer) video(x *tensor.Tensor) {
	const apart = 0.5 // seconds
	n := x.Dim(0)
	for i := 0; i < n; i += 2 {
		next := min(i+1, n-1)
		pair := tensor.New(append([]int{2}, x.Shape[1:]...)...)
		copy(pair.Index(0).Data, x.Index(i).Data)
		copy(pair.Index(1).Data, x.Index(next).Data)
		c.text(fmt.Sprintf("<%.1f seconds>", apart*float64(i+next)/2))
		c.vision(pair, true)
	}
}

// tagged adds the kinds of the tokens: those of images and the tokens around them are of video. Upstream: token_tags_from_embeds_info.
func tagged(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
	n := e.Hidden.Dim(1)
	tags := tensor.New(n)
	for i := range tags.Data {
		tags.Data[i] = float32(tagText)
	}
	at := 0
	for _, row := range e.Tokens {
		for _, t := range row {
			size := 1
			if t.Image != nil {
				size = lm.DeepTokens(t.Image.Dim(1), t.Image.Dim(2))
				for i := max(at-1, 0); i < min(at+size+1, n); i++ {
					tags.Data[i] = float32(tagVideo)
				}
			}
			at += size
		}
	}
	if at != n {
		return e, fmt.Errorf("encoding the prompt: it has %d tokens and its encoding %d", at, n)
	}
	e.Extra = map[string]any{KeyTags: tags}
	return e, nil
}
