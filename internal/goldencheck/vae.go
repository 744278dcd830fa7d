package goldencheck

import (
	"context"
	"fmt"
	"path"
	"strings"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

type vaeCase struct {
	ID          string  `json:"id"`
	Op          string  `json:"op"`
	Latent      string  `json:"latent"`
	Image       string  `json:"image"`
	Amp         float32 `json:"amp"`
	LatentShape []int   `json:"latent_shape"`
	ImageShape  []int   `json:"image_shape"`
	Tile        int     `json:"tile"`
	Overlap     int     `json:"overlap"`
	Err64       errorOf `json:"err64"`
}

// direction is "decode" or "encode": tiled work has the error of the whole one.
func (c vaeCase) direction() string { return strings.TrimSuffix(c.Op, "_tiled") }

// checkVAE decodes latents and encodes images with the checkpoint that the file is named after.
func checkVAE(ctx context.Context, r *run, f *file) error {
	var g struct {
		Cases []vaeCase `json:"cases"`
		Model string    `json:"model"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	if g.Model == "" {
		g.Model = path.Base(f.name)
	}
	worst := map[string]float64{}
	for _, c := range g.Cases {
		worst[c.direction()] = max(worst[c.direction()], c.Err64.RMSRel)
	}
	vae, loadErr := r.vae(ctx, g.Model)
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: tolerance(worst[c.direction()], r.measured[f.name+" "+c.direction()])}
		err := loadErr
		if err == nil {
			err = c.run(ctx, vae, &s)
		}
		r.note(f, c.ID+" "+c.Op, s.detail(), err)
	}
	return nil
}

func (r *run) vae(ctx context.Context, name string) (*engine.VAE, error) {
	file, err := r.checkpoint(ctx, name)
	if err != nil {
		return nil, err
	}
	vae, err := r.Runtime.LoadVAE(file)
	return vae, notBuilt(err)
}

func (c vaeCase) run(ctx context.Context, vae *engine.VAE, s *tensorSet) error {
	var in *tensor.Tensor
	switch {
	case c.Latent != "" && tensor.Count(c.LatentShape) > 0:
		in = golden.Scale(golden.Normal(c.Latent, c.LatentShape...), c.Amp)
	case c.Image != "" && len(c.ImageShape) == 4 && tensor.Count(c.ImageShape) > 0:
		in = golden.Image(c.Image, c.ImageShape[0], c.ImageShape[1], c.ImageShape[2], c.ImageShape[3])
	default:
		return unavailable("the input of shape %v%v is not known", c.LatentShape, c.ImageShape)
	}
	var out *tensor.Tensor
	var err error
	switch c.Op {
	case "decode":
		out, err = vae.Decode(ctx, in)
	case "encode":
		out, err = vae.Encode(ctx, in)
	case "decode_tiled":
		out, err = vae.DecodeTiled(ctx, in, engine.Tiles{Width: c.Tile, Height: c.Tile, Overlap: c.Overlap})
	case "encode_tiled":
		out, err = vae.EncodeTiled(ctx, in, engine.Tiles{Width: c.Tile, Height: c.Tile, Overlap: c.Overlap})
	default:
		return unavailable("the operation %s is not known", c.Op)
	}
	if err != nil {
		return fmt.Errorf("running the VAE: %w", err)
	}
	s.compare("out", out.Data)
	return s.err()
}
