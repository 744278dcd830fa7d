package triposplat

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&TripoSplatConditioning{}) }

// TripoSplatConditioning makes conditionings and an empty latent of an image.
type TripoSplatConditioning struct {
	ClipVision *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION" tooltip:"DINOv3 ViT-H+/16."`
	VAE        *engine.VAE          `in:"vae" type:"VAE" tooltip:"VAE of Flux.2."`
	Image      *tensor.Tensor       `in:"image" type:"IMAGE" tooltip:"Image of TripoSplatPreprocessImage."`
}

// Spec implements nodes.Node.
func (*TripoSplatConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TripoSplatConditioning", DisplayName: "TripoSplat Conditioning", Category: category, Module: module, V3: true,
		Description: "Encodes an image with DINOv3 and with the VAE of Flux.2 for TripoSplat, and makes the latent that it denoises.",
		Outputs: []nodes.Output{
			{Type: "CONDITIONING", Name: "positive"},
			{Type: "CONDITIONING", Name: "negative"},
			{Type: "LATENT", Name: "latent", Tooltip: "Empty latent of vectors with a camera, of a fixed size."},
		},
		Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer: the latent stands for no pixels.
func (*TripoSplatConditioning) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *TripoSplatConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.ClipVision == nil:
		return nodes.Result{}, missing("clip_vision", "CLIPVisionLoader with DINOv3")
	case n.VAE == nil:
		return nodes.Result{}, missing("vae", "VAELoader with the VAE of Flux.2")
	case !isImage(n.Image) || n.Image.Dim(3) != rgb:
		return nodes.Result{}, nodes.Errorf("RuntimeError", "reading the input image: it is not an image batch [B,H,W,3] with at least one pixel")
	}
	seen, err := n.ClipVision.EncodeWhole(ctx, n.Image)
	if err != nil {
		return nodes.Result{}, err
	}
	normalise(seen.Last)
	reference, err := n.VAE.Encode(ctx, n.Image)
	if err != nil {
		return nodes.Result{}, err
	}
	entry := func(tokens, reference *tensor.Tensor) engine.Conditioning {
		return engine.Conditioning{{Tokens: tokens, Values: map[string]any{sampling.KeyReferences: []any{reference}}}}
	}
	b := reference.Dim(0)
	latent := engine.Latent{Samples: tensor.New(b, vectors, channels), Along: []*tensor.Tensor{tensor.New(b, 1, camera)}}
	return nodes.Out(entry(seen.Last, reference), entry(tensor.New(seen.Last.Shape...), tensor.New(reference.Shape...)), latent), nil
}

// normalise gives each vector of x [B,tokens,C] the mean 0 and the variance 1, in place.
func normalise(x *tensor.Tensor) {
	const epsilon = 1e-5
	c := x.Dim(2)
	for from := 0; from < len(x.Data); from += c {
		row := x.Data[from : from+c]
		mean, square := 0.0, 0.0
		for _, v := range row {
			mean += float64(v)
		}
		mean /= float64(c)
		for _, v := range row {
			square += (float64(v) - mean) * (float64(v) - mean)
		}
		root := math.Sqrt(square/float64(c) + epsilon)
		for i, v := range row {
			row[i] = float32((float64(v) - mean) / root)
		}
	}
}
