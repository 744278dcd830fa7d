package controlnet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/unet"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

func init() { family.Register(loraKind{}) }

// loraKind registers control-LoRAs: ControlNets that are the U-Net of the model which they steer with low-rank changes.
// Upstream: controlnet.py ControlLora.
type loraKind struct{}

// Name implements family.Family.
func (loraKind) Name() string { return "Control-LoRA" }

// Rank implements family.Family.
func (loraKind) Rank() int { return 5 }

// Read implements family.Control.
func (loraKind) Read(src weights.Source) (family.ControlNetwork, error) {
	if _, ok := src.Lookup("lora_controlnet"); !ok {
		return nil, nil
	}
	s := weights.NewScope(src)
	hint := s.Shape("input_hint_block.0.weight")
	if len(hint) != 4 || !s.Has("zero_convs.0.0.weight") || !s.Has("middle_block_out.0.weight") {
		return nil, errors.New("it has no input_hint_block.0.weight, zero_convs.0.0.weight or middle_block_out.0.weight: it is damaged")
	}
	return &LoRA{src: src, channels: hint[1]}, nil
}

// LoRA is a control-LoRA that was read from a file.
type LoRA struct {
	src      weights.Source
	channels int
}

var (
	_ family.ControlNetwork = (*LoRA)(nil)
	_ family.Borrower       = (*LoRA)(nil)
)

// Hint implements family.ControlNetwork.
func (n *LoRA) Hint() family.Hint { return family.Hint{Channels: n.channels, Scale: hintScale} }

// Steers implements family.ControlNetwork.
func (*LoRA) Steers() string {
	return "models of the family that it was made from (Stable Diffusion 1.x, 2.x or XL)"
}

// Borrows implements family.Borrower.
func (*LoRA) Borrows() bool { return true }

// Weights implements family.ControlNetwork.
func (n *LoRA) Weights() weights.Source { return n.src }

// Residuals implements family.ControlNetwork.
func (n *LoRA) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	m, ok := c.Model.(*unet.Model)
	if !ok {
		return nil, errors.New("running the control-LoRA: the model is no U-Net")
	}
	src, err := n.on(c.Base)
	if err != nil {
		return nil, err
	}
	half := m.Config
	half.OutChannels = 0
	net := Network{Config: Config{UNet: half, HintChannels: n.channels, Blocks: weights.NewScope(src).Count("input_blocks")}, src: src, variant: digest(src)}
	return net.Residuals(ctx, run, c)
}

// on returns the network's tensors: those of a U-Net with the file's changes, and the file's own.
func (n *LoRA) on(base weights.Source) (weights.Source, error) {
	var patches []patch.Patch
	own := map[string]bool{}
	for _, name := range n.src.Names() {
		layer, low := strings.CutSuffix(name, ".up")
		switch {
		case low:
			up, _ := n.src.Lookup(name)
			down, ok := n.src.Lookup(layer + ".down")
			target, both := base.Lookup(layer + ".weight")
			if !ok || !both {
				return nil, fmt.Errorf("running the control-LoRA: the model has no %s.weight, which it changes", layer)
			}
			a := &patch.LowRank{Up: up, Down: down}
			if err := a.Check(target.Shape); err != nil {
				return nil, fmt.Errorf("running the control-LoRA: %s.weight: %w: it was made from a model of another family", layer, err)
			}
			patches = append(patches, patch.Patch{Target: patch.Target{Key: layer + ".weight"}, Adapter: a})
		case strings.HasSuffix(name, ".weight"), strings.HasSuffix(name, ".bias"):
			own[name] = true
		}
	}
	changed, err := patch.Stack{}.With(patch.NewFile(n.src.Path(), patches), 1).Whole("", half{base})
	if err != nil {
		return nil, err
	}
	return joint{Source: changed, file: n.src, own: own}, nil
}

// half shows the input half of a U-Net and its middle.
type half struct{ weights.Source }

// Names implements weights.Source.
func (h half) Names() []string {
	return slices.DeleteFunc(slices.Clone(h.Source.Names()), func(n string) bool {
		return strings.HasPrefix(n, "output_blocks.") || strings.HasPrefix(n, "out.")
	})
}

// joint shows the tensors of a U-Net and those of a file, which take precedence.
type joint struct {
	weights.Source
	file weights.Source
	own  map[string]bool
}

// Names implements weights.Source.
func (j joint) Names() []string {
	out := slices.DeleteFunc(slices.Clone(j.Source.Names()), func(n string) bool { return j.own[n] })
	return append(out, slices.Sorted(maps.Keys(j.own))...)
}

// Lookup implements weights.Source.
func (j joint) Lookup(name string) (weights.Entry, bool) {
	if j.own[name] {
		return j.file.Lookup(name)
	}
	return j.Source.Lookup(name)
}

// Close implements weights.Source: the files belong to others.
func (joint) Close() error { return nil }
