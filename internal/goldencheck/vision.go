package goldencheck

import (
	"context"
	"path"

	"comfygo/engine"
	"comfygo/internal/golden"
)

type visionCase struct {
	ID    string `json:"id"`
	Image string `json:"image"`
	Shape []int  `json:"shape"`
	Crop  bool   `json:"crop"`
}

// checkVision encodes images with the image encoder that the file is named after.
func checkVision(ctx context.Context, r *run, f *file) error {
	var g struct {
		Cases []visionCase `json:"cases"`
		Model string       `json:"model"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	if g.Model == "" {
		g.Model = path.Base(f.name)
	}
	enc, loadErr := r.vision(ctx, g.Model)
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: tolerance(r.measured[f.name])}
		err := loadErr
		if err == nil {
			err = c.run(ctx, enc, &s)
		}
		r.note(f, c.ID, s.detail(), err)
	}
	return nil
}

func (r *run) vision(ctx context.Context, name string) (*engine.ImageEncoder, error) {
	file, err := r.checkpoint(ctx, name)
	if err != nil {
		return nil, err
	}
	enc, err := r.Runtime.LoadVision(file)
	return enc, notBuilt(err)
}

func (c visionCase) run(ctx context.Context, enc *engine.ImageEncoder, s *tensorSet) error {
	if len(c.Shape) != 4 {
		return unavailable("the image's shape %v is not known", c.Shape)
	}
	got, err := enc.Encode(ctx, golden.Image(c.Image, c.Shape[0], c.Shape[1], c.Shape[2], c.Shape[3]), c.Crop)
	if err != nil {
		return err
	}
	s.compare("image_embeds", got.Embeds.Data)
	s.compare("last_hidden", got.Last.Data)
	s.compare("penultimate", got.Penultimate.Data)
	return s.err()
}
