package sampling

import (
	"slices"

	"comfygo/engine/tensor"
)

// Inputs are the inputs of one call of a network beside the noisy latent and its timesteps.
type Inputs struct {
	// List holds the named inputs, in the order in which the model's family gives them.
	List []Input
	// Control, when set, is the rows' Cond.Control; Sigma is their sigma and Entries the number of conditioning entries
	// that the rows belong to.
	Control any
	Sigma   float32
	Entries int
	// Next, when set, is the sigma that follows Sigma in the run's schedule, for networks that read it. Samplers predict
	// between the sigmas of the schedule, too.
	Next *float32
	// Negative reports for each of the entries whether it is on the negative side of the guidance.
	Negative []bool
	// Hooks are the rows' Cond.Hooks with their strengths at this sigma.
	Hooks []AppliedHook
	// Random is the generator of the run after its noise, for networks that draw; nil outside runs.
	Random *Generator
	// State is what networks keep from one call of the run to the next; nil outside runs.
	State *State
	// Parts, when set, reports that x holds packed rows of a nested latent: the shapes of the parts, to Unpack it by.
	Parts [][]int
	// Carried is the factor on the parts after the first of a nested latent; see ModelSampling.Carried. It is 0 outside runs.
	Carried float32
	// Options are the run's Params.Options, for networks that read them.
	Options map[string]any
}

// Input is one named input of a network with the rule by which it is batched.
type Input struct {
	Name  string
	Value *tensor.Tensor
	Rule  Rule
}

// InputContext is the name of the text encoding [N,tokens,width] among a network's inputs.
const InputContext = "context"

// InputControlText is the name of the text encoding [N,tokens,width] that ControlNets read in place of the model's.
const InputControlText = "control_context"

// Text returns the inputs of a network that reads a text encoding [N,tokens,width] and nothing else.
func Text(context *tensor.Tensor) Inputs { return Inputs{List: textInputs(context)} }

func textInputs(context *tensor.Tensor) []Input {
	if context == nil {
		return nil
	}
	return []Input{{Name: InputContext, Value: context, Rule: ByTokens}}
}

// Get returns the value of the input called name, or nil.
func (in Inputs) Get(name string) *tensor.Tensor { return lookUp(in.List, name) }

func lookUp(list []Input, name string) *tensor.Tensor {
	for _, i := range list {
		if i.Name == name {
			return i.Value
		}
	}
	return nil
}

// Rule describes how an input is combined when several conditioning entries, each with the rows of the latent, share one
// call of the network. Upstream: comfy/conds.py.
type Rule interface {
	// Rows returns the value for n rows of the part of the latent that cut takes out of a tensor of the latent's size.
	Rows(x *tensor.Tensor, n int, cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor
	// Fits reports whether the values of two entries can be joined.
	Fits(a, b *tensor.Tensor) bool
	// Join joins the values of entries; each pair of them fits.
	Join(parts []*tensor.Tensor) *tensor.Tensor
	// Spatial reports whether the value belongs to the cells of the latent, so that it fits no latent of another size.
	Spatial() bool
}

// The rules that inputs of the known networks follow.
var (
	// ByRows joins values of one shape row by row. Upstream: CONDRegular.
	ByRows Rule = rowsRule{}
	// ByTokens joins text encodings [N,tokens,width] row by row; shorter ones are repeated to the least common multiple of
	// the lengths, which cross-attention does not notice. Upstream: CONDCrossAttn.
	ByTokens Rule = tokensRule{}
	// ByCells is ByRows for values [N,C,axes…] that belong to the latent's cells and are cut with it. Upstream: CONDNoiseShape.
	ByCells Rule = cellsRule{}
	// Shared joins only equal values, and has no rows. Upstream: CONDConstant.
	Shared Rule = sharedRule{}
)

type rowsRule struct{}

func (rowsRule) Rows(x *tensor.Tensor, n int, _ func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
	return repeatRows(x, n)
}
func (rowsRule) Fits(a, b *tensor.Tensor) bool              { return tensor.SameShape(a, b) }
func (rowsRule) Join(parts []*tensor.Tensor) *tensor.Tensor { return joinRows(parts) }
func (rowsRule) Spatial() bool                              { return false }

type tokensRule struct{ rowsRule }

func (tokensRule) Fits(a, b *tensor.Tensor) bool              { return contextsFit(a, b) }
func (tokensRule) Join(parts []*tensor.Tensor) *tensor.Tensor { return joinContexts(parts) }

type cellsRule struct{ rowsRule }

func (cellsRule) Rows(x *tensor.Tensor, n int, cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
	return repeatRows(cut(x), n)
}
func (cellsRule) Spatial() bool { return true }

type sharedRule struct{ rowsRule }

func (sharedRule) Rows(x *tensor.Tensor, _ int, _ func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
	return x
}

func (sharedRule) Fits(a, b *tensor.Tensor) bool {
	return tensor.SameShape(a, b) && slices.Equal(a.Data, b.Data)
}
func (sharedRule) Join(parts []*tensor.Tensor) *tensor.Tensor { return parts[0] }

// fitInputs reports whether two entries' inputs can be joined: the same names in the same order, and values that fit.
func fitInputs(a, b []Input) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !a[i].Rule.Fits(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

// joinInputs joins the inputs of entries that fit.
func joinInputs(parts [][]Input) []Input {
	out := slices.Clone(parts[0])
	values := make([]*tensor.Tensor, len(parts))
	for i := range out {
		for k, p := range parts {
			values[k] = p[i].Value
		}
		out[i].Value = out[i].Rule.Join(values)
	}
	return out
}

// Request is what a family knows when it makes the inputs for a conditioning entry.
type Request struct {
	// Shape is the shape of the noisy latent, with its rows.
	Shape []int
	// Latent is the start as the network reads it, Mask its noise mask at every value or nil.
	Latent, Mask *tensor.Tensor
	// Negative reports whether it is the negative side of the guidance.
	Negative bool
	// Format relates the VAE's latents to those of the network.
	Format LatentFormat
	// Seed is the seed of the run's noise.
	Seed uint64
	// Parts, when set, are the shapes of the parts of a nested latent, which Latent and Mask hold packed; see Inputs.Parts.
	Parts [][]int
}
