package family

import (
	"context"

	"comfygo/engine/dtype"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Diffusion is a family of diffusion models.
type Diffusion interface {
	Family
	// Read reads a diffusion model's config from its keys and shapes. src shows the model's tensors without the prefix of a checkpoint. whole also shows
	// the tensors beside the model if the file is loaded as a checkpoint, and is src otherwise. It returns nil for a model of another family, and an
	// error for an unsupported one of this family.
	Read(src, whole weights.Source) (Denoiser, error)
}

// Denoiser is a diffusion model that was read from a file. It is immutable and may be used from several goroutines.
type Denoiser interface {
	// Latent is how the network's latents relate to those of its VAE.
	Latent() sampling.LatentFormat
	// Sampling is the prediction type and the noise schedule that the model was trained with.
	Sampling() (sampling.ModelType, sampling.Settings)
	// Inputs returns the network's named inputs for a conditioning entry, each with its batching rule. An entry without a
	// required input is an error that names what to connect. Values are read by sampling.Value and sampling.References, and
	// only those that have an effect: the client is warned about the others.
	Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error)
	// Predict runs the network on a batch; see Call. The result is the raw prediction in the shape of the call's X.
	Predict(ctx context.Context, run Runner, c Call) (*tensor.Tensor, error)
	// Memory estimates the bytes of activations of one call for latents of shape [N,C,axes…] and the given number of text
	// tokens.
	Memory(shape []int, tokens int) int64
	// Weights is the source of the network's tensors, without prefix.
	Weights() weights.Source
}

// Call is one call of a diffusion model.
type Call struct {
	// X is the noisy latent [N,C,axes…] as the network reads it, T the timestep of each row.
	X *tensor.Tensor
	T []float32
	// Inputs are the named inputs that Denoiser.Inputs made, joined over the entries of the batch.
	Inputs sampling.Inputs
	// Residuals are what ControlNets add, nil without one.
	Residuals *Residuals
	// Attached are the model patches that act in the call, in order; the model fits each of them.
	Attached []Attached
	// Patches are the graph patches of the model; those at points that the network does not have are left out.
	Patches patch.GraphPatches
}

// Bundle is implemented by diffusion models whose checkpoints carry text encoders.
type Bundle interface {
	// Scheme names the scheme (see Scheme) by which the checkpoint's text encoders act together.
	Scheme() string
	// TextPrefixes lists, by the key of each encoder ("clip_l"), the prefixes that its tensors can have in a checkpoint. The
	// first is the one that checkpoints are saved with; one that ends in ".model." is of open_clip's layout.
	TextPrefixes() map[string][]string
}

// Steered is implemented by diffusion models that ControlNets can steer.
type Steered interface {
	// CheckResiduals fails when residuals are for a network of another shape.
	CheckResiduals(r *Residuals) error
}

// Patchable is implemented by diffusion models whose graphs have points for graph patches.
type Patchable interface {
	// Points lists the points.
	Points() []patch.Point
}

// Attending is implemented by diffusion models with attention that patches for certain widths may act on.
type Attending interface {
	// AttentionWidths lists the widths of what keys and values are computed from, with repetitions.
	AttentionWidths() []int
}

// Typed is implemented by diffusion models that do not compute well in every type.
type Typed interface {
	// ComputeTypes lists the types of activations in which the model computes well on a GPU, the best first; the CPU
	// computes in float32.
	ComputeTypes() []dtype.DType
}

// Optioned is implemented by diffusion models that read run options (Call.Inputs.Options).
type Optioned interface {
	// Options lists the names of the options that the network reads.
	Options() []string
}

// Nested is implemented by models whose latents have parts of different shapes (see sampling.Pack), of which none can be left out.
type Nested interface {
	// Parts are shapes of small parts, [1,axes…] each, that the model takes.
	Parts() [][]int
}

// Staged is implemented by models of several networks, each for latents of its own: dry runs go through all stages.
type Staged interface {
	// Stages lists small latents, with what a conditioning entry for them has beside text.
	Stages() []Stage
}

// Stage is a latent of a stage, [1,C,axes…], and the values of a conditioning entry by their keys.
type Stage struct {
	Shape []int
	Needs map[string]any
}

// Needing is implemented by diffusion models that need more of a conditioning entry than text: dry runs, which have no nodes, take it from here.
type Needing interface {
	// Needs returns values by their keys in an entry, for a latent of a shape.
	Needs(shape []int) map[string]any
}

// Prompting is implemented by diffusion models whose files carry the text encodings that they are run with.
type Prompting interface {
	// Prompts returns the positive and the negative text encoding, [1,tokens,width] each.
	Prompts() (positive, negative *tensor.Tensor, err error)
}

// Specified is implemented by diffusion models whose checkpoints name their architecture in the metadata.
type Specified interface {
	// ModelSpec is the value of modelspec.architecture, "" for none.
	ModelSpec() string
}

// Sighted is implemented by diffusion models whose checkpoints carry an image encoder.
type Sighted interface {
	// VisionPrefix is the prefix of the image encoder's tensors in a checkpoint.
	VisionPrefix() string
}

// Keeping is implemented by diffusion models that read something else than the noised latent where a noise mask protects it.
type Keeping interface {
	// Kept returns the network's input at sigma for a protected latent, both in the network's space.
	Kept(sigma float32, latent *tensor.Tensor) *tensor.Tensor
}

// KeepingParts is Keeping for nested latents, whose substitute depends on the noise and on the noise mask.
type KeepingParts interface {
	// KeptParts returns the network's input where the noise mask protects the latent.
	KeptParts(k sampling.Kept) (*tensor.Tensor, error)
}

// OnPixels is implemented by models that work on images: their checkpoints need no VAE.
type OnPixels interface {
	Denoiser
	OnPixels()
}

// Pointing is implemented by diffusion models that may have a head which finds key points.
type Pointing interface {
	// Heatmaps runs the network up to the head and the head, on a call as for Predict: [N,K,H,W], a map for each key point. It fails for a
	// network without the head.
	Heatmaps(ctx context.Context, run Runner, c Call) (*tensor.Tensor, error)
}
