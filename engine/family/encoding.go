package family

import (
	"strings"

	"comfygo/engine/tensor"
)

// Template writes a chat template around the text of a prompt, in place of "{}": a Text for SchemeEncoder. A prompt's own
// template takes precedence.
func Template(template string) func(p Prompt) (string, bool) {
	return func(p Prompt) (string, bool) {
		t := template
		if p.Template != "" {
			t = p.Template
		}
		return strings.Replace(t, "{}", p.Text, 1), true
	}
}

// Cut keeps the tokens from, …, to-1 of an encoding and of its mask.
func (e Encoding) Cut(from, to int) Encoding {
	e.Hidden = cutTokens(e.Hidden, from, to)
	if e.Mask != nil {
		m := &tensor.Tensor{Shape: append(append([]int(nil), e.Mask.Shape...), 1), Data: e.Mask.Data}
		m = cutTokens(m, from, to)
		e.Mask = &tensor.Tensor{Shape: m.Shape[:2], Data: m.Data}
	}
	return e
}

// cutTokens cuts the last axis but one.
func cutTokens(x *tensor.Tensor, from, to int) *tensor.Tensor {
	rank := len(x.Shape)
	n, w := x.Shape[rank-2], x.Shape[rank-1]
	to = min(to, n)
	from = min(max(from, 0), to)
	shape := append([]int(nil), x.Shape...)
	shape[rank-2] = to - from
	out := tensor.New(shape...)
	for i := range tensor.Count(shape[:rank-2]) {
		copy(out.Data[i*(to-from)*w:(i+1)*(to-from)*w], x.Data[(i*n+from)*w:])
	}
	return out
}

// WithoutFullMask leaves out a mask that hides nothing.
func (e Encoding) WithoutFullMask() Encoding {
	if e.Mask == nil {
		return e
	}
	for _, v := range e.Mask.Data {
		if v != 1 {
			return e
		}
	}
	e.Mask = nil
	return e
}

// LayersWithinWidth puts the states of several layers among each other: [1,layers,tokens,width] to [1,tokens,width*layers].
func (e Encoding) LayersWithinWidth() Encoding {
	x := e.Hidden
	layers, tokens, width := x.Shape[1], x.Shape[2], x.Shape[3]
	out := tensor.New(1, tokens, width*layers)
	for l := range layers {
		for i, v := range x.Data[l*tokens*width : (l+1)*tokens*width] {
			out.Data[i*layers+l] = v
		}
	}
	e.Hidden = out
	return e
}

// LayersAsWidth puts the states of several layers side by side: [1,layers,tokens,width] to [1,tokens,layers*width].
func (e Encoding) LayersAsWidth() Encoding {
	x := e.Hidden
	layers, tokens, width := x.Shape[1], x.Shape[2], x.Shape[3]
	out := tensor.New(1, tokens, layers*width)
	for l := range layers {
		for t := range tokens {
			copy(out.Data[(t*layers+l)*width:][:width], x.Data[(l*tokens+t)*width:])
		}
	}
	e.Hidden = out
	return e
}
