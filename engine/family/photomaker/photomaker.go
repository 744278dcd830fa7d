// Package photomaker is the family of PhotoMaker's identity encoder of version 1 (Li et al. 2024, arXiv:2312.04461): CLIP's
// image encoder with a second projection, and a module that fuses a token of the text with the encoded image.
package photomaker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "PhotoMaker" }

// Rank implements family.Family.
func (kind) Rank() int { return 10 }

// The encoder's heads have 64 values each, and its layer norms CLIP's epsilon.
const (
	headWidth = 64
	eps       = 1e-5
)

// below is the prefix of the encoder in files that hold a LoRA beside it.
const below = "id_encoder."

// The keys by which files are distinguished.
const (
	keyFuse    = "fuse_module.mlp1.fc1.weight"
	keySecond  = "visual_projection_2.weight"
	keyQFormer = "qformer_perceiver."
)

// ReadIdentity implements family.Identity.
func (kind) ReadIdentity(src weights.Source) (family.IdentityNetwork, error) {
	if slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasPrefix(n, below) }) {
		src = weights.Sub(src, below)
	}
	s := weights.NewScope(src)
	if slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasPrefix(n, keyQFormer) }) && s.HasAny("fuse_module") {
		return nil, errors.New("it is of version 2, whose encoder reads the output of a face recognition network, too: use photomaker-v1.bin, the version that ComfyUI's class reads")
	}
	if !s.Has(keyFuse) && !s.Has(keySecond) {
		return nil, nil
	}
	n := &network{src: src}
	if err := n.read(s); err != nil {
		return nil, err
	}
	return n, nil
}

// network is an identity encoder.
type network struct {
	src           weights.Source
	vision        *clipvision.Encoder
	first, second int // widths of the two projections
}

var _ family.IdentityNetwork = (*network)(nil)

// Width implements family.IdentityNetwork.
func (n *network) Width() int { return n.first + n.second }

// Reads implements family.IdentityNetwork.
func (n *network) Reads() string { return "Stable Diffusion XL" }

// Weights implements family.IdentityNetwork.
func (n *network) Weights() weights.Source { return n.src }

// read reads the sizes of the network, and checks the tensors of the fuse module.
func (n *network) read(s *weights.Scope) error {
	vision := s.At("vision_model")
	patches := vision.Weight("embeddings.patch_embedding.weight", -1, 3, -1, -1)
	positions := vision.Weight("embeddings.position_embedding.weight", -1, -1)
	mlp := vision.Weight("encoder.layers.0.mlp.fc1.weight", -1, -1)
	first, second := s.Weight("visual_projection.weight", -1, -1), s.Weight(keySecond, -1, -1)
	if err := s.Err(); err != nil {
		return err
	}
	width, patch := patches.Entry.Shape[0], patches.Entry.Shape[3]
	side := 1
	for side*side < positions.Entry.Shape[0]-1 {
		side++
	}
	if width == 0 || width%headWidth != 0 || patch == 0 || side*side != positions.Entry.Shape[0]-1 {
		return fmt.Errorf("the image encoder has patches %v and positions %v: no width of whole heads of %d, or no square of patches", patches.Entry.Shape, positions.Entry.Shape, headWidth)
	}
	n.first, n.second = first.Entry.Shape[0], second.Entry.Shape[0]
	n.vision = clipvision.New(n.src, clipvision.Config{
		Width: width, Layers: s.Count("vision_model.encoder.layers"), Heads: width / headWidth, MLP: mlp.Entry.Shape[0],
		Image: side * patch, Patch: patch, Activation: clipvision.QuickGELU,
		Mean: [3]float32{0.48145466, 0.4578275, 0.40821073}, Std: [3]float32{0.26862954, 0.26130258, 0.27577711},
	})
	s.Weight("visual_projection.weight", n.first, width)
	s.Weight(keySecond, n.second, width)
	text, fuse := n.Width(), s.At("fuse_module")
	for _, norm := range []string{"layer_norm", "mlp1.layernorm", "mlp2.layernorm"} {
		size := text
		if norm == "mlp1.layernorm" {
			size = 2 * text
		}
		fuse.Weight(norm+".weight", size)
		fuse.Weight(norm+".bias", size)
	}
	for _, layer := range []string{"mlp1.fc1", "mlp1.fc2", "mlp2.fc1", "mlp2.fc2"} {
		in := text
		if layer == "mlp1.fc1" {
			in = 2 * text
		}
		fuse.Weight(layer+".weight", text, in)
		fuse.Weight(layer+".bias", text)
	}
	return s.Err()
}

// graph is the projections and the fuse module (upstream: nodes_photomaker.py PhotoMakerIDEncoder and FuseModule): inputs
// "image" [B,width of the image encoder] and "token" [B,Width], output "out" [B,Width], float32.
func (n *network) graph() family.Graph {
	return family.Graph{Part: "photomaker", Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("photomaker", n.src, func(b *nn.Builder, s *weights.Scope) {
			text := n.Width()
			image := b.Cast(b.Input("image", dtype.F32, onnx.Sym("B"), onnx.D(n.vision.Width)), b.Target.Compute)
			token := b.Cast(b.Input("token", dtype.F32, onnx.Sym("B"), onnx.D(text)), b.Target.Compute)
			x := b.Concat(1, token, b.Linear(s.At("visual_projection"), image, n.first), b.Linear(s.At("visual_projection_2"), image, n.second))
			fuse := s.At("fuse_module")
			x = b.Add(mlp(b, fuse.At("mlp1"), x, text), token)
			x = b.Add(mlp(b, fuse.At("mlp2"), x, text), x)
			b.Output("out", b.Cast(b.LayerNorm(fuse.At("layer_norm"), x, eps), dtype.F32))
		})
	}}
}

func mlp(b *nn.Builder, s *weights.Scope, x *onnx.Value, width int) *onnx.Value {
	x = b.Linear(s.At("fc1"), b.LayerNorm(s.At("layernorm"), x, eps), width)
	return b.Linear(s.At("fc2"), b.Gelu(x, false), width)
}

// Fuse implements family.IdentityNetwork.
func (n *network) Fuse(ctx context.Context, run family.Runner, image, token *tensor.Tensor) (*tensor.Tensor, error) {
	pixels, err := n.vision.Preprocess(image, true)
	if err != nil {
		return nil, err
	}
	side := n.vision.Image / n.vision.Patch
	tokens := side*side + 1
	if err := run.Check("running PhotoMaker's image encoder", family.Product(tokens, max(n.vision.MLP, 4*n.vision.Width)+tokens*n.vision.Heads, 4, 2)); err != nil {
		return nil, err
	}
	encoded, err := n.vision.Forward(ctx, run, pixels)
	if err != nil {
		return nil, fmt.Errorf("running PhotoMaker's image encoder: %w", err)
	}
	out, err := run.Run(ctx, n.graph(), []family.Value{family.Floats("image", encoded.Embeds), family.Floats("token", token)}, "out")
	if err != nil {
		return nil, fmt.Errorf("running PhotoMaker's fuse module: %w", err)
	}
	return out["out"], nil
}
