package patch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
)

// Point is a named place of a network's graph where graph patches act. Families whose networks have such places apply the
// patches there and declare their points.
type Point string

// The points.
const (
	// InputBlock, MiddleBlock and OutputBlock are after the blocks of a U-Net.
	InputBlock  Point = "input block"
	MiddleBlock Point = "middle block"
	OutputBlock Point = "output block"
	// InputSkip is after the input blocks of a U-Net on the way to the next block, where the skip connection has branched off.
	InputSkip Point = "input block behind the skip"
	// SelfAttention and CrossAttention are the projections of attention among the latent's positions and to the text.
	SelfAttention  Point = "attention 1"
	CrossAttention Point = "attention 2"
	// TemporalSelfAttention and TemporalCrossAttention are those of layers along the time axis.
	TemporalSelfAttention  Point = "attention 1 along time"
	TemporalCrossAttention Point = "attention 2 along time"
)

// GraphPatch is a change of a network's graph at one point: a value that is immutable. It implements BlockPatch at the
// points of blocks, and AttendPatch or ProjectionPatch at those of attention. The other interfaces of this file are for
// patches that need more: CallPatch, LayerPatch, SizedPatch, BatchPatch, ResizePatch, RestorePatch, InputPatch, ContextPatch,
// MiddlePatch, IdlePatch and OutputPatch.
type GraphPatch interface {
	// Point is where the patch acts.
	Point() Point
	// Digest identifies the change: equal digests give equal graphs.
	Digest() string
}

// Site is where in a U-Net a patch acts.
type Site struct {
	// Block is the point of the block that the site belongs to: InputBlock, MiddleBlock or OutputBlock; Index is the block's
	// number and Layer that of the transformer block in it.
	Block        Point
	Index, Layer int
	// Number is the number of the transformer block among all of the network, Transformer that of the transformer it is in.
	Number, Transformer int
	// Heads is the number of heads of attention there.
	Heads int
	// Model is the number of channels of the network's outermost blocks.
	Model int
}

// BlockPatch changes the output of a block.
type BlockPatch interface {
	GraphPatch
	// Block returns the output h [B,C,H,W] of a block changed; skip is the input block's output that an output block is
	// joined with next, nil elsewhere, and may be changed, too.
	Block(b *nn.Builder, at Site, h, skip *onnx.Value) (newH, newSkip *onnx.Value)
}

// AttendPatch replaces what attention makes of its projections.
type AttendPatch interface {
	GraphPatch
	// Attend returns the result of attention [B,T,C] for queries, keys and values; attend computes the result without the
	// patch.
	Attend(b *nn.Builder, at Site, q, k, v *onnx.Value, attend func(q, k, v *onnx.Value) *onnx.Value) *onnx.Value
}

// TokensPatch changes the positions that attention takes its queries from.
type TokensPatch interface {
	GraphPatch
	// Tokens returns other positions [B,T',C] in place of x [B,T,C], and back, which converts a result for them [B,T',C'] to
	// one for the positions of x; back is nil if x is returned unchanged.
	Tokens(b *nn.Builder, at Site, x *onnx.Value) (changed *onnx.Value, back func(y *onnx.Value) *onnx.Value)
}

// ContextPatch changes what attention computes its keys and values from.
type ContextPatch interface {
	GraphPatch
	// Context returns the inputs [B,T,C] of the projections to keys and to values changed.
	Context(b *nn.Builder, at Site, k, v *onnx.Value) (newK, newV *onnx.Value)
}

// Context applies the patches at a point to the inputs of keys and values.
func (g GraphPatches) Context(b *nn.Builder, at Point, site Site, context *onnx.Value) (k, v *onnx.Value) {
	k, v = context, context
	for _, patch := range g {
		if p, ok := patch.(ContextPatch); ok && patch.Point() == at {
			k, v = p.Context(b, site, k, v)
		}
	}
	return k, v
}

// TokenInput is a float32 input [N,Count,Width] of a network: further tokens.
type TokenInput struct {
	Name         string
	Count, Width int
}

// MiddlePatch acts in transformer blocks, between the attention among the latent's positions and that to the text.
type MiddlePatch interface {
	GraphPatch
	// Input is the input that the patch reads; patches of one network that read inputs of one name are equal.
	Input() TokenInput
	// Between returns the positions x [B,T,C] changed by the input's tokens.
	Between(b *nn.Builder, at Site, x, tokens *onnx.Value) *onnx.Value
}

// Between applies the patches at a point to the positions of a transformer block; input declares an input or returns the one
// of that name.
func (g GraphPatches) Between(b *nn.Builder, at Point, site Site, x *onnx.Value, input func(TokenInput) *onnx.Value) *onnx.Value {
	for _, patch := range g {
		if p, ok := patch.(MiddlePatch); ok && patch.Point() == at {
			x = p.Between(b, site, x, input(p.Input()))
		}
	}
	return x
}

// Call describes one call of a network, for the choice of its patches.
type Call struct {
	// Sigma is the sigma of the noisy latent.
	Sigma float32
	// Negative reports for each conditioning entry of the batch, which all have the same number of rows, whether it is on the
	// negative side of the guidance.
	Negative []bool
}

// CallPatch depends on the call.
type CallPatch interface {
	GraphPatch
	// For returns the patch that acts in a call, or nil.
	For(c Call) GraphPatch
}

// Grid is the number of positions of a layer of attention along the latent's height and width.
type Grid struct{ Height, Width int }

// LayerPatch depends on the layers of attention that a network has for latents of one size.
type LayerPatch interface {
	GraphPatch
	// On returns the patch for a latent, which act completes layer by layer.
	On(latent Grid) (placed GraphPatch, act LayerFunc)
}

// LayerFunc decides what a patch does in a layer of attention, by its number among all of the network: queries is the number of
// positions that a row of its queries has, the result that after the patch. draw returns random numbers of 32 bits.
type LayerFunc func(layer, queries int, draw func() uint32) int

// On returns the patches for the layers of attention that a network has for a latent, in the order in which the graph has them;
// layers is called when a patch depends on them. As in upstream, patches draw numbers layer by layer, each after those before it.
func (g GraphPatches) On(latent Grid, layers func() []Grid, draw func() uint32) GraphPatches {
	out := slices.Clone(g)
	var acts []LayerFunc
	for i, p := range g {
		if l, ok := p.(LayerPatch); ok {
			placed, act := l.On(latent)
			out[i], acts = placed, append(acts, act)
		}
	}
	if len(acts) == 0 {
		return out
	}
	for i, layer := range layers() {
		queries := layer.Height * layer.Width
		for _, act := range acts {
			queries = act(i, queries, draw)
		}
	}
	return out
}

// SizedPatch is a patch that needs to know the sizes of the latent: its graph serves latents of one size only.
type SizedPatch interface {
	GraphPatch
	Sized()
}

// Projection names a linear layer of attention.
type Projection string

// The projections.
const (
	Query  Projection = "q"
	Key    Projection = "k"
	Value  Projection = "v"
	Output Projection = "out"
)

// ProjectionPatch changes the projections of attention.
type ProjectionPatch interface {
	GraphPatch
	// Project returns the result x [B,T,C] of a projection changed.
	Project(b *nn.Builder, p Projection, x *onnx.Value) *onnx.Value
}

// GraphPatches are patches in the order in which they act.
type GraphPatches []GraphPatch

// With returns the patches with one more.
func (g GraphPatches) With(p GraphPatch) GraphPatches { return append(g[:len(g):len(g)], p) }

// ResizePatch is a patch that changes the size of what input blocks of a U-Net give.
type ResizePatch interface {
	GraphPatch
	// Resized returns the size after the patch of what an input block, by its number, gives.
	Resized(block int, from Grid) Grid
}

// Resized returns the size after the patches at a point of what an input block gives.
func (g GraphPatches) Resized(at Point, block int, from Grid) Grid {
	for _, p := range g {
		if r, ok := p.(ResizePatch); ok && p.Point() == at {
			from = r.Resized(block, from)
		}
	}
	return from
}

// RestorePatch is a patch that undoes what a ResizePatch does, and acts only beside one.
type RestorePatch interface {
	GraphPatch
	Restores()
}

// Resizes reports whether a patch changes the sizes of what the blocks give.
func (g GraphPatches) Resizes() bool {
	return slices.ContainsFunc(g, func(p GraphPatch) bool {
		_, ok := p.(ResizePatch)
		return ok
	})
}

// IdlePatch reports calls in which a patch has no effect.
type IdlePatch interface {
	GraphPatch
	// Idle returns the warning for the client, or "" if the patch has an effect.
	Idle() string
}

// Idle lists the warnings about patches without effect.
func (g GraphPatches) Idle() []string {
	var out []string
	for _, p := range g {
		if i, ok := p.(IdlePatch); ok && i.Idle() != "" {
			out = append(out, i.Idle())
		}
	}
	return out
}

// Input is the value of an int64 input of one dimension.
type Input struct {
	Name string
	Ints []int64
}

// InputPatch adds inputs to the graph.
type InputPatch interface {
	GraphPatch
	// Inputs lists them with their values for the call.
	Inputs() []Input
}

// Inputs lists the inputs that patches add.
func (g GraphPatches) Inputs() []Input {
	var in []Input
	for _, p := range g {
		if i, ok := p.(InputPatch); ok {
			in = append(in, i.Inputs()...)
		}
	}
	return in
}

// OutputPatch adds outputs to the graph.
type OutputPatch interface {
	GraphPatch
	// Outputs lists them by name. Take receives their values after a call; negative is as in Call.
	Outputs() []string
	Take(outputs map[string]*tensor.Tensor, negative []bool)
}

// Outputs lists the outputs that patches add.
func (g GraphPatches) Outputs() []string {
	var names []string
	for _, p := range g {
		if o, ok := p.(OutputPatch); ok {
			names = append(names, o.Outputs()...)
		}
	}
	return names
}

// Take gives the patches their outputs.
func (g GraphPatches) Take(outputs map[string]*tensor.Tensor, negative []bool) {
	for _, p := range g {
		if o, ok := p.(OutputPatch); ok {
			o.Take(outputs, negative)
		}
	}
}

// BatchPatch is a patch whose graph serves only batches of a given number of conditioning entries.
type BatchPatch interface {
	GraphPatch
	Entries() int
}

// Entries returns the number of conditioning entries of the graph's batches; 0 means any number.
func (g GraphPatches) Entries() int {
	for _, p := range g {
		if b, ok := p.(BatchPatch); ok {
			return b.Entries()
		}
	}
	return 0
}

// For returns the patches that act in a call.
func (g GraphPatches) For(c Call) GraphPatches {
	var out GraphPatches
	for _, p := range g {
		if of, ok := p.(CallPatch); ok {
			p = of.For(c)
		}
		if p != nil {
			out = append(out, p)
		}
	}
	if out.Resizes() {
		return out
	}
	return slices.DeleteFunc(out, func(p GraphPatch) bool {
		_, restores := p.(RestorePatch)
		return restores
	})
}

// Sized reports whether a patch needs to know the sizes of the latent.
func (g GraphPatches) Sized() bool {
	return slices.ContainsFunc(g, func(p GraphPatch) bool {
		_, ok := p.(SizedPatch)
		return ok
	})
}

// Digest identifies the patches and their order; it is empty for none.
func (g GraphPatches) Digest() string {
	if len(g) == 0 {
		return ""
	}
	h := sha256.New()
	for _, p := range g {
		fmt.Fprintf(h, "%q %q %T", p.Point(), p.Digest(), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Without lists the patches whose point is not among those given: a network with these points alone leaves them out.
func (g GraphPatches) Without(points []Point) GraphPatches {
	var out GraphPatches
	for _, p := range g {
		if !slices.Contains(points, p.Point()) {
			out = append(out, p)
		}
	}
	return out
}

// Project applies the patches at a point to a projection's result.
func (g GraphPatches) Project(b *nn.Builder, at Point, p Projection, x *onnx.Value) *onnx.Value {
	for _, patch := range g {
		if a, ok := patch.(ProjectionPatch); ok && patch.Point() == at {
			x = a.Project(b, p, x)
		}
	}
	return x
}

// Block applies the patches at a point to a block's output.
func (g GraphPatches) Block(b *nn.Builder, at Point, site Site, h, skip *onnx.Value) (newH, newSkip *onnx.Value) {
	for _, patch := range g {
		if p, ok := patch.(BlockPatch); ok && patch.Point() == at {
			h, skip = p.Block(b, site, h, skip)
		}
	}
	return h, skip
}

// Tokens applies the patches at a point to the positions of attention's queries; back restores the positions of the result.
func (g GraphPatches) Tokens(b *nn.Builder, at Point, site Site, x *onnx.Value) (changed *onnx.Value, back func(y *onnx.Value) *onnx.Value) {
	back = func(y *onnx.Value) *onnx.Value { return y }
	for _, patch := range g {
		p, ok := patch.(TokensPatch)
		if !ok || patch.Point() != at {
			continue
		}
		var undo func(y *onnx.Value) *onnx.Value
		if x, undo = p.Tokens(b, site, x); undo != nil {
			rest := back
			back = func(y *onnx.Value) *onnx.Value { return rest(undo(y)) }
		}
	}
	return x, back
}

// ExactPatch is an AttendPatch that takes the place of those for whole blocks in a layer, whatever their order, as upstream's
// replacements that name a layer do.
type ExactPatch interface {
	AttendPatch
	// Takes reports whether it acts in the layer.
	Takes(at Site) bool
}

// WholeBlockPatch is an AttendPatch for all layers of a block; see ExactPatch.
type WholeBlockPatch interface {
	AttendPatch
	WholeBlock()
}

// Attend applies the patches at a point to attention; the patch added last gets the results of the others.
func (g GraphPatches) Attend(b *nn.Builder, at Point, site Site, q, k, v *onnx.Value, attend func(q, k, v *onnx.Value) *onnx.Value) *onnx.Value {
	taken := slices.ContainsFunc(g, func(p GraphPatch) bool {
		l, ok := p.(ExactPatch)
		return ok && p.Point() == at && l.Takes(site)
	})
	for _, patch := range g {
		if _, whole := patch.(WholeBlockPatch); whole && taken {
			continue
		}
		if p, ok := patch.(AttendPatch); ok && patch.Point() == at {
			inner := attend
			attend = func(q, k, v *onnx.Value) *onnx.Value { return p.Attend(b, site, q, k, v, inner) }
		}
	}
	return attend(q, k, v)
}
