// Package trellis2 is the family of TRELLIS.2 and Pixal3D, which make textured meshes from an image: diffusion models of a coarse volume, of the shape of
// its cells and of their texture, and the decoders of the three.
package trellis2

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the diffusion model.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Trellis 2" }

// Rank implements family.Family.
func (kind) Rank() int { return 1000 }

// The networks of a file, which run one after the other.
const (
	structure = iota
	coarse
	fine
	texture
	stages
)

// keys are the places of the networks in a file.
var keys = [stages]string{structure: "structure_model", coarse: "img2shape_512", fine: "img2shape", texture: "shape2txt"}

// The values of sampling.KeyStage.
var modes = map[string]int{"structure_generation": structure, "shape_generation_512": coarse, "shape_generation": fine, "texture_generation": texture}

// The sizes of latents. Upstream: latent_formats.py Trellis2, ldm/trellis2/model.py Trellis2.
const (
	channels = 32
	side     = 16
	axes     = 3
)

// network describes one of the networks.
type network struct {
	// width is that of a token, inner that inside feed-forward layers, heads the number of attention heads, context the width of an image token.
	width, inner, heads, context int
	// in and out are the widths of the values of a cell, projected that of the image features of a cell, 0 for a network without them.
	in, out, projected int
	blocks             int
}

// dim is the size of an axis of a tensor, 0 if there is no such tensor.
func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// Read implements family.Diffusion. Upstream: model_detection.py detect_unet_config.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has(keys[fine]+".t_embedder.mlp.0.weight") && !s.Has(keys[texture]+".t_embedder.mlp.0.weight") {
		return nil, nil
	}
	m := &model{Head: dit.Head{
		Source: src, Format: sampling.LatentFormat{Channels: channels, Scale: 1},
		Type: sampling.Flow, Settings: sampling.Settings{Shift: 3},
	}}
	for i, key := range keys {
		if !s.HasAny(key) {
			continue
		}
		n := read(s.At(key))
		if min(n.width, n.inner, n.heads, n.context, n.in, n.out, n.blocks) == 0 || n.width%n.heads != 0 || n.width/n.heads%2 != 0 {
			return nil, fmt.Errorf("reading the shape of the network %s: %d blocks of width %d with %d heads and inner layers of %d, cells of %d and %d values and image tokens of %d do not fit together", key, n.blocks, n.width, n.heads, n.inner, n.in, n.out, n.context)
		}
		if n.in > channels && i != texture || n.in <= channels && i == texture || n.out > channels {
			return nil, fmt.Errorf("reading the shape of the network %s: it reads %d and gives %d values a cell, which no latent of %d channels has", key, n.in, n.out, channels)
		}
		m.networks[i] = &n
	}
	return m, nil
}

func read(s *weights.Scope) network {
	block := s.At("blocks.0")
	n := network{
		width: dim(s, "input_layer.weight", 0), in: dim(s, "input_layer.weight", 1), out: dim(s, "out_layer.weight", 0), blocks: s.Count("blocks"),
		inner: dim(block, "mlp.mlp.0.weight", 0), heads: dim(block, "self_attn.q_rms_norm.gamma", 0), projected: dim(block, "cross_attn.proj_linear.weight", 1),
	}
	n.context = dim(cross(block, n), "to_kv.weight", 1)
	return n
}

// cross is the place of the attention to the image.
func cross(block *weights.Scope, n network) *weights.Scope {
	if n.projected > 0 {
		return block.At("cross_attn.cross_attn_block")
	}
	return block.At("cross_attn")
}

// model is a file's networks.
type model struct {
	dit.Head
	// networks are those that the file holds, nil for the others.
	networks [stages]*network

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Staged    = (*model)(nil)
)

// Stages implements family.Staged.
func (m *model) Stages() []family.Stage {
	const few = 24 // cells
	at, slat := make([]float32, 4*few), make([]float32, 0)
	for i := range few {
		at[4*i+1], at[4*i+2], at[4*i+3] = float32(i%3), float32(i/3%3), float32(i/9)
	}
	var out []family.Stage
	for i, n := range m.networks {
		if n == nil {
			continue
		}
		values := map[string]any{sampling.KeyFineImage: matrix(nil, 1, 1, n.context)}
		shape := []int{1, channels, side, side, side}
		if i != structure {
			shape = []int{1, channels, few, 1}
			values[sampling.KeyCells], values[sampling.KeyCellCounts] = matrix(at, few, 4), []int{few}
			for name, k := range modes {
				if k == i {
					values[sampling.KeyStage] = name
				}
			}
		}
		if i == texture {
			values[sampling.KeyShapeLatent] = matrix(slat, few, n.in-channels)
		}
		if n.projected > 0 {
			rows := []int{few}
			if i == structure {
				rows = []int{1, side * side * side}
			}
			values[sampling.KeyProjected] = matrix(nil, append(rows, n.projected)...)
		}
		out = append(out, family.Stage{Shape: shape, Needs: values})
	}
	return out
}
