package conditioning

import (
	"slices"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ConditioningCombine{})
	nodes.Register(&ConditioningConcat{})
	nodes.Register(&ConditioningAverage{})
	nodes.Register(&ConditioningMultiply{})
	nodes.Register(&ConditioningZeroOut{})
}

// transform is the spec that the classes of upstream's group "transform" share.
func transform(name, display string, aliases ...string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: display, Category: "model/conditioning/transform", SearchAliases: aliases,
		Outputs: nodes.Outputs("CONDITIONING"),
		Uses:    nodes.UsesNothing,
	}
}

// ConditioningCombine lets two encodings steer side by side: the model's predictions for them are averaged.
type ConditioningCombine struct {
	First  engine.Conditioning `in:"conditioning_1" type:"CONDITIONING"`
	Second engine.Conditioning `in:"conditioning_2" type:"CONDITIONING"`
}

// Spec implements nodes.Node.
func (*ConditioningCombine) Spec() nodes.Spec {
	s := transform("ConditioningCombine", "Conditioning (Combine)", "combine", "merge conditioning", "combine prompts", "merge prompts", "mix prompts", "add prompt")
	s.EssentialsCategory = "Image Generation"
	return s
}

// Run implements nodes.Node.
func (n *ConditioningCombine) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(slices.Concat(n.First, n.Second)), nil
}

// ConditioningConcat puts the tokens of one encoding behind those of another.
type ConditioningConcat struct {
	To   engine.Conditioning `in:"conditioning_to" type:"CONDITIONING"`
	From engine.Conditioning `in:"conditioning_from" type:"CONDITIONING"`
}

// Spec implements nodes.Node.
func (*ConditioningConcat) Spec() nodes.Spec {
	return transform("ConditioningConcat", "Conditioning (Concat)")
}

// Run implements nodes.Node.
func (n *ConditioningConcat) Run(ctx *nodes.Context) (nodes.Result, error) {
	from, err := first(ctx, "ConditioningConcat", n.From)
	if err != nil {
		return nodes.Result{}, err
	}
	out := slices.Clone(n.To)
	for i, c := range n.To {
		if out[i].Tokens, err = joined(c.Tokens, from.Tokens); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(out), nil
}

// first returns the entry for a node of one entry; it warns if there are more.
func first(ctx *nodes.Context, class string, c engine.Conditioning) (engine.Cond, error) {
	if len(c) == 0 {
		return engine.Cond{}, nodes.Errorf("IndexError", "changing a conditioning: conditioning_from is empty")
	}
	if len(c) > 1 {
		ctx.Log.Warn("conditioning_from has several entries, of which only the first is used", "class", class, "entries", len(c))
	}
	return c[0], nil
}

// joined returns the tokens [B,T,D] of a followed by those of b.
func joined(a, b *tensor.Tensor) (*tensor.Tensor, error) {
	if err := sameKind(a, b); err != nil {
		return nil, err
	}
	if a.Dim(0) != b.Dim(0) {
		return nil, nodes.Errorf("RuntimeError", "joining text encodings: %d rows do not fit %d", b.Dim(0), a.Dim(0))
	}
	out := tensor.New(a.Dim(0), a.Dim(1)+b.Dim(1), a.Dim(2))
	for row := range a.Dim(0) {
		to := out.Index(row).Data
		n := copy(to, a.Index(row).Data)
		copy(to[n:], b.Index(row).Data)
	}
	return out, nil
}

// sameKind fails unless both are text encodings [B,T,D] of one width.
func sameKind(a, b *tensor.Tensor) error {
	for _, t := range []*tensor.Tensor{a, b} {
		if t == nil || len(t.Shape) != 3 {
			return nodes.Errorf("RuntimeError", "changing a conditioning: it holds no text encoding")
		}
	}
	if a.Dim(2) != b.Dim(2) {
		return nodes.Errorf("RuntimeError", "changing a conditioning: the encodings are %d and %d wide; they come from different kinds of text encoders", a.Dim(2), b.Dim(2))
	}
	return nil
}

// ConditioningAverage mixes two encodings token by token.
type ConditioningAverage struct {
	To       engine.Conditioning `in:"conditioning_to" type:"CONDITIONING"`
	From     engine.Conditioning `in:"conditioning_from" type:"CONDITIONING"`
	Strength float64             `in:"conditioning_to_strength" default:"1.0" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ConditioningAverage) Spec() nodes.Spec {
	return transform("ConditioningAverage", "Conditioning (Average)", "blend prompts", "interpolate conditioning", "mix prompts", "style fusion", "weighted blend")
}

// Run implements nodes.Node. The first entry of conditioning_from is mixed into every entry of conditioning_to, cut or
// filled with zeros to its length.
func (n *ConditioningAverage) Run(ctx *nodes.Context) (nodes.Result, error) {
	from, err := first(ctx, "ConditioningAverage", n.From)
	if err != nil {
		return nodes.Result{}, err
	}
	out := slices.Clone(n.To)
	for i, c := range n.To {
		if err := sameKind(c.Tokens, from.Tokens); err != nil {
			return nodes.Result{}, err
		}
		if out[i].Tokens, err = mix(c.Tokens, fitted(from.Tokens, c.Tokens.Dim(1)), n.Strength); err != nil {
			return nodes.Result{}, err
		}
		switch {
		case from.Pooled == nil:
		case c.Pooled == nil:
			out[i].Pooled = from.Pooled
		default:
			if out[i].Pooled, err = mix(c.Pooled, from.Pooled, n.Strength); err != nil {
				return nodes.Result{}, err
			}
		}
	}
	return nodes.Out(out), nil
}

// fitted returns the first n tokens of [B,T,D], padded with zeros if there are fewer.
func fitted(t *tensor.Tensor, n int) *tensor.Tensor {
	if t.Dim(1) == n {
		return t
	}
	out := tensor.New(t.Dim(0), n, t.Dim(2))
	for row := range t.Dim(0) {
		copy(out.Index(row).Data, t.Index(row).Data)
	}
	return out
}

// mix returns a·share + b·(1-share); a single row is broadcast.
func mix(a, b *tensor.Tensor, share float64) (*tensor.Tensor, error) {
	rows := max(a.Dim(0), b.Dim(0))
	fits := a.Dim(0) == b.Dim(0) || min(a.Dim(0), b.Dim(0)) == 1
	if !fits || !slices.Equal(a.Shape[1:], b.Shape[1:]) {
		return nil, nodes.Errorf("RuntimeError", "mixing encodings: shapes %v and %v differ", a.Shape, b.Shape)
	}
	out := tensor.New(append([]int{rows}, a.Shape[1:]...)...)
	x, y := float32(share), float32(1-share)
	for i := range out.Data {
		out.Data[i] = float32(a.Data[i%len(a.Data)]*x) + float32(b.Data[i%len(b.Data)]*y)
	}
	return out, nil
}

// ConditioningMultiply multiplies an encoding by a number.
type ConditioningMultiply struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Multiplier   float64             `in:"multiplier" default:"1.0" min:"-100.0" max:"100.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ConditioningMultiply) Spec() nodes.Spec {
	return transform("ConditioningMultiply", "Conditioning (Multiply)", "scale conditioning", "scale prompt", "multiply conditioning", "multiply prompt")
}

// Run implements nodes.Node.
func (n *ConditioningMultiply) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(scaled(n.Conditioning, float32(n.Multiplier))), nil
}

// scaled returns the entries with their encodings multiplied.
func scaled(c engine.Conditioning, by float32) engine.Conditioning {
	times := func(t *tensor.Tensor) *tensor.Tensor {
		if t == nil {
			return nil
		}
		out := tensor.New(t.Shape...)
		for i, v := range t.Data {
			out.Data[i] = v * by
		}
		return out
	}
	out := slices.Clone(c)
	for i := range out {
		out[i].Tokens, out[i].Pooled = times(out[i].Tokens), times(out[i].Pooled)
	}
	return out
}

// ConditioningZeroOut replaces an encoding by zeros.
type ConditioningZeroOut struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
}

// Spec implements nodes.Node.
func (*ConditioningZeroOut) Spec() nodes.Spec {
	return transform("ConditioningZeroOut", "Conditioning Zero Out", "null conditioning", "clear conditioning")
}

// zeroed are further parts of an entry that ConditioningZeroOut empties, where a model's encoder adds them.
var zeroed = []string{"conditioning_lyrics", "conditioning_scale"}

// Run implements nodes.Node.
func (n *ConditioningZeroOut) Run(*nodes.Context) (nodes.Result, error) {
	zeros := func(t *tensor.Tensor) *tensor.Tensor {
		if t == nil {
			return nil
		}
		return tensor.New(t.Shape...)
	}
	out := slices.Clone(n.Conditioning)
	for i, c := range out {
		out[i].Tokens, out[i].Pooled = zeros(c.Tokens), zeros(c.Pooled)
		for _, key := range zeroed {
			if t, ok := c.Values[key].(*tensor.Tensor); ok {
				out[i] = out[i].With(map[string]any{key: zeros(t)})
			}
		}
	}
	return nodes.Out(out), nil
}
