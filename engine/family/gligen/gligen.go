// Package gligen is the family of GLIGEN networks (Li et al. 2023, arXiv:2301.07093): a gated self-attention in each transformer
// block of a U-Net, among the latent's positions and tokens that represent boxes with texts.
package gligen

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "GLIGEN" }
func (kind) Rank() int    { return 10 }

// mostBlocks bounds the numbers of blocks of a U-Net's half, as upstream does.
const mostBlocks = 20

// Read implements family.Grounding.
func (kind) Read(src weights.Source) (family.GroundingNetwork, error) {
	n := &Network{src: src}
	for _, half := range []string{"input_blocks", "middle_block", "output_blocks"} {
		for i := range mostBlocks {
			prefix := fmt.Sprintf("%s.%d.", half, i)
			for _, name := range src.Names() {
				if below, ok := strings.CutSuffix(name, ".fuser.linear.weight"); ok && strings.HasPrefix(below, prefix) {
					if err := n.add(below + ".fuser."); err != nil {
						return nil, err
					}
				}
			}
		}
	}
	if len(n.modules) == 0 {
		return nil, nil
	}
	p, err := readPositions(weights.NewScope(src).At("position_net"), n.modules[0].text)
	if err != nil {
		return nil, err
	}
	n.positions = p
	return n, nil
}

// Network is a GLIGEN network that was read from a file.
type Network struct {
	src       weights.Source
	modules   []module
	positions *positionNet
}

// module is the addition to one transformer: width is that of the transformer, text that of the boxes' tokens.
type module struct {
	prefix             string
	width, text, heads int
	// attention and dense are the factors of the two gates.
	attention, dense float32
}

var _ family.GroundingNetwork = (*Network)(nil)

// Weights implements family.GroundingNetwork.
func (n *Network) Weights() weights.Source { return n.src }

func (n *Network) add(prefix string) error {
	s := weights.NewScope(n.src).At(strings.TrimSuffix(prefix, "."))
	shape := s.Shape("linear.weight")
	if len(shape) != 2 {
		return fmt.Errorf("%slinear.weight is %v, wanted two dimensions", prefix, shape)
	}
	m := module{prefix: prefix, width: shape[0], text: shape[1]}
	const headWidth, first = 64, 8 // Stable Diffusion 1.x has 8 heads at each width
	if m.heads = m.width / headWidth; m.text == 768 {
		m.heads = first
	}
	if m.heads == 0 || m.width%m.heads != 0 {
		return fmt.Errorf("%slinear.weight is %v: its width is no multiple of a head's", prefix, shape)
	}
	if len(n.modules) > 0 && n.modules[0].text != m.text {
		return fmt.Errorf("%slinear.weight is %v, that of the first block reads a width of %d", prefix, shape, n.modules[0].text)
	}
	var err error
	if m.attention, err = gate(n.src, prefix+"alpha_attn"); err != nil {
		return err
	}
	if m.dense, err = gate(n.src, prefix+"alpha_dense"); err != nil {
		return err
	}
	n.modules = append(n.modules, m)
	return nil
}

// Place implements family.GroundingNetwork.
func (n *Network) Place(id string, before family.Placement, box family.Box) (family.Placement, error) {
	if len(box.Text) != n.positions.text {
		return nil, fmt.Errorf("placing a text by GLIGEN: its encoding has width %d, %s reads %d: they are of different families; use the text encoder of the model that the GLIGEN file is for", len(box.Text), n.src.Path(), n.positions.text)
	}
	p := &placement{net: n, id: id}
	if b, ok := before.(*placement); ok {
		p.boxes = slices.Clone(b.boxes)
	}
	if len(p.boxes) == mostBoxes {
		return nil, fmt.Errorf("placing a text by GLIGEN: there are %d boxes already, the network reads no more", mostBoxes)
	}
	p.boxes = append(p.boxes, box)
	return p, nil
}
