package unet

import (
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Fusion is a model patch that acts where the halves of a U-Net meet. Its input is a latent in the size of the model's, of one row or of several
// that repeat.
type Fusion interface {
	family.PatchNetwork
	// Channels are those of the latent that the patch reads, and of the one that it expects the model to read.
	Channels() int
	// Fuse writes what the patch computes before the U-Net's blocks. s is the scope of its weights, hint its input [B,C,H,W], strength [1].
	Fuse(u *Writer, s *weights.Scope, hint, strength *onnx.Value) Fused
}

// Fused is a Fusion in a graph that is being written. Its methods return the features that take the place of h.
type Fused interface {
	// Middle changes the features [B,C,h,w] behind the middle block.
	Middle(h *onnx.Value) *onnx.Value
	// Join joins the features of an output block [B,C,h,w] with those that its input block has left [B,D,h,w], to [B,C+D,h,w]. It is called for one
	// block after another.
	Join(h, skip *onnx.Value) *onnx.Value
	// Upsampled changes the features [B,C,h,w] that an output block is about to enlarge.
	Upsampled(h *onnx.Value) *onnx.Value
}

// X is the latent [B,C,H,W] that the network reads.
func (u *Writer) X() *onnx.Value { return u.x }

// attach writes the beginnings of the model patches.
func (u *Writer) attach(s *weights.Scope) {
	for k, a := range u.variant.Attached {
		f, ok := a.Net.(Fusion)
		if !ok {
			continue // attachedValues has refused it
		}
		hint, strength := dit.AttachedInputs(u.Builder, k, u.batch, onnx.D(f.Channels()), u.x.Dim(2), u.x.Dim(3))
		u.fused = append(u.fused, f.Fuse(u, s.At(dit.AttachedName(k)), hint, strength))
	}
}

// join puts the features of an output block before those of its input block.
func (u *Writer) join(h, skip *onnx.Value) *onnx.Value {
	if len(u.fused) == 0 {
		return u.Concat(1, h, skip)
	}
	return u.fused[0].Join(h, skip)
}

// Beside returns a writer of another network of the given config in the same graph, which reads the same timesteps, text encoding and vector.
func (u *Writer) Beside(s *weights.Scope, cfg Config) *Writer {
	b := &Writer{Builder: u.Builder, cfg: cfg, batch: u.batch, x: u.x, times: u.times, y: u.y, context: u.context}
	b.emb = b.SiLU(b.embedding(s))
	b.projectEmbedding(s)
	return b
}

// attachedValues are the inputs of the model patches of a call for a latent x [N,C,H,W] as the network reads it.
func attachedValues(x *tensor.Tensor, c family.Call) ([]family.Value, error) {
	if len(c.Attached) > 1 {
		return nil, errors.New("several model patches act where the halves of the U-Net meet: one is possible")
	}
	var in []family.Value
	for k, a := range c.Attached {
		f, ok := a.Net.(Fusion)
		if !ok {
			return nil, fmt.Errorf("a model patch for %s acts in no U-Net", a.Net.Patches())
		}
		hint := a.Input
		if x.Dim(1) != f.Channels() || hint.Dim(1) != f.Channels() {
			return nil, fmt.Errorf("the model patch reads %d channels, and the model %d; its image is a latent of %d", f.Channels(), x.Dim(1), hint.Dim(1))
		}
		if hint.Dim(2) != x.Dim(2) || hint.Dim(3) != x.Dim(3) {
			return nil, fmt.Errorf("the image of the model patch is a latent of %dx%d cells, and the latent that is sampled has %dx%d: give it an image of the same size",
				hint.Dim(3), hint.Dim(2), x.Dim(3), x.Dim(2))
		}
		a.Input = tensor.New(x.Dim(0), hint.Dim(1), hint.Dim(2), hint.Dim(3))
		for b := range x.Dim(0) {
			copy(a.Input.Index(b).Data, hint.Index(b%hint.Dim(0)).Data)
		}
		in = append(in, dit.AttachedValues(k, a)...)
	}
	return in, nil
}
