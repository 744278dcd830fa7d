package latent

import (
	"context"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VAEDecode{})
	nodes.Register(&VAEEncode{})
	nodes.Register(&VAEDecodeTiled{})
	nodes.Register(&VAEEncodeTiled{})
}

func errNoVAE() error {
	return nodes.Errorf("RuntimeError", "using a VAE: there is none. A checkpoint without one was loaded; add a node that loads it from its own file")
}

// VAEDecode turns a latent into images.
type VAEDecode struct {
	Samples engine.Latent `in:"samples" type:"LATENT" tooltip:"The latent to turn into images."`
	VAE     *engine.VAE   `in:"vae" type:"VAE" tooltip:"The VAE that decodes; it belongs to the model that made the latent."`
}

// Spec implements nodes.Node.
func (*VAEDecode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEDecode", DisplayName: "VAE Decode", Category: "model/latent",
		Description:   "Turns latents into images.",
		SearchAliases: []string{"decode", "decode latent", "latent to image", "render latent"},
		Outputs:       []nodes.Output{{Type: "IMAGE", Tooltip: "The decoded images."}},
		Uses:          nodes.UsesDevice,
	}
}

func (*VAEDecode) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *VAEDecode) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, errNoVAE()
	}
	img, err := n.VAE.Decode(told(ctx), n.Samples.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(img), nil
}

// VAEEncode turns images into a latent.
type VAEEncode struct {
	Pixels *tensor.Tensor `in:"pixels" type:"IMAGE"`
	VAE    *engine.VAE    `in:"vae" type:"VAE"`
}

// Spec implements nodes.Node.
func (*VAEEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEEncode", DisplayName: "VAE Encode", Category: "model/latent",
		SearchAliases: []string{"encode", "encode image", "image to latent"}, Outputs: nodes.Outputs("LATENT"),
		Uses: nodes.UsesDevice,
	}
}

func (*VAEEncode) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *VAEEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, errNoVAE()
	}
	z, err := n.VAE.Encode(told(ctx), n.Pixels)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: z}), nil
}

// VAEDecodeTiled is VAEDecode in tiles, for images that are too large to decode at once.
type VAEDecodeTiled struct {
	Samples         engine.Latent `in:"samples" type:"LATENT"`
	VAE             *engine.VAE   `in:"vae" type:"VAE"`
	TileSize        int           `in:"tile_size" default:"512" min:"64" max:"4096" step:"32" advanced:"true"`
	Overlap         int           `in:"overlap" default:"64" min:"0" max:"4096" step:"32" advanced:"true"`
	TemporalSize    int           `in:"temporal_size" default:"64" min:"8" max:"4096" step:"4" tooltip:"For video VAEs only: frames that are decoded together." advanced:"true"`
	TemporalOverlap int           `in:"temporal_overlap" default:"8" min:"4" max:"4096" step:"4" tooltip:"For video VAEs only: frames that neighbouring pieces share." advanced:"true"`
}

// Spec implements nodes.Node.
func (*VAEDecodeTiled) Spec() nodes.Spec {
	return nodes.Spec{Name: "VAEDecodeTiled", DisplayName: "VAE Decode (Tiled)", Category: "model/latent", Outputs: nodes.Outputs("IMAGE"), Uses: nodes.UsesDevice}
}

func (*VAEDecodeTiled) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *VAEDecodeTiled) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, errNoVAE()
	}
	overlap := n.Overlap
	if n.TileSize < overlap*4 {
		overlap = n.TileSize / 4
	}
	d := n.VAE.Upscale()
	tiles := engine.Tiles{Width: n.TileSize / d, Height: n.TileSize / d, Overlap: overlap / d}
	if pace := n.VAE.Pace(); pace > 0 {
		shared := n.TemporalOverlap
		if n.TemporalSize < 2*shared {
			shared /= 2
		}
		tiles.Frames = max(2, n.TemporalSize/pace)
		tiles.FrameOverlap = max(1, min(tiles.Frames/2, shared/pace))
	}
	img, err := n.VAE.DecodeTiled(told(ctx), n.Samples.Samples, tiles)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(img), nil
}

// VAEEncodeTiled is VAEEncode in tiles.
type VAEEncodeTiled struct {
	Pixels          *tensor.Tensor `in:"pixels" type:"IMAGE"`
	VAE             *engine.VAE    `in:"vae" type:"VAE"`
	TileSize        int            `in:"tile_size" default:"512" min:"64" max:"4096" step:"64" advanced:"true"`
	Overlap         int            `in:"overlap" default:"64" min:"0" max:"4096" step:"32" advanced:"true"`
	TemporalSize    int            `in:"temporal_size" default:"64" min:"8" max:"4096" step:"4" tooltip:"For video VAEs only: frames that are encoded together." advanced:"true"`
	TemporalOverlap int            `in:"temporal_overlap" default:"8" min:"4" max:"4096" step:"4" tooltip:"For video VAEs only: frames that neighbouring pieces share." advanced:"true"`
}

// Spec implements nodes.Node.
func (*VAEEncodeTiled) Spec() nodes.Spec {
	return nodes.Spec{Name: "VAEEncodeTiled", DisplayName: "VAE Encode (Tiled)", Category: "model/latent", Outputs: nodes.Outputs("LATENT"), Uses: nodes.UsesDevice}
}

func (*VAEEncodeTiled) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *VAEEncodeTiled) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, errNoVAE()
	}
	tiles := engine.Tiles{Width: n.TileSize, Height: n.TileSize, Overlap: n.Overlap}
	if pace := n.VAE.Pace(); pace > 0 {
		latents := func(frames int) int { return (frames + pace - 1) / pace }
		size := max(2, latents(n.TemporalSize))
		tiles.Frames = n.VAE.Frames(size)
		tiles.FrameOverlap = n.VAE.Frames(max(1, min(size/2, latents(n.TemporalOverlap))))
	}
	z, err := n.VAE.EncodeTiled(told(ctx), n.Pixels, tiles)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: z}), nil
}

// told reports to the client how much of a video, or how many tiles, are done.
func told(ctx *nodes.Context) context.Context {
	return engine.WithProgress(ctx, func(done, all int) { ctx.Progress(float64(done), float64(all)) })
}
