package goldencheck

import (
	"context"
	"fmt"
	"path"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

type visionCase struct {
	ID    string `json:"id"`
	Image string `json:"image"`
	Shape []int  `json:"shape"`
	Crop  bool   `json:"crop"`
}

// checkVision encodes images with the checkpoint that the file is named after.
func checkVision(ctx context.Context, r *run, f *file) error {
	var g struct {
		Cases []visionCase `json:"cases"`
		Model string       `json:"model"`
		Err64 errorsOf     `json:"err64_module"`
	}
	stored, err := f.load(&g)
	if err != nil {
		return err
	}
	if g.Model == "" {
		g.Model = path.Base(f.name)
	}
	measured := []float64{r.measured[f.name]}
	for _, e := range g.Err64 {
		measured = append(measured, e.RMSRel)
	}
	encoder, loadErr := r.imageEncoder(ctx, g.Model)
	for _, c := range g.Cases {
		s := tensorSet{stored: stored, prefix: c.ID + "/", tol: tolerance(measured...)}
		err := loadErr
		if err == nil {
			err = c.run(ctx, encoder, &s)
		}
		r.note(f, c.ID, s.detail(), err)
	}
	return nil
}

func (r *run) imageEncoder(ctx context.Context, name string) (*engine.ImageEncoder, error) {
	file, err := r.checkpoint(ctx, name)
	if err != nil {
		return nil, err
	}
	e, err := r.Runtime.LoadVision(file)
	return e, notBuilt(err)
}

func (c visionCase) run(ctx context.Context, encoder *engine.ImageEncoder, s *tensorSet) error {
	if len(c.Shape) != 4 || tensor.Count(c.Shape) <= 0 {
		return fmt.Errorf("the case has an image of shape %v", c.Shape)
	}
	out, err := encoder.Encode(ctx, golden.Image(c.Image, c.Shape[0], c.Shape[1], c.Shape[2], c.Shape[3]), c.Crop)
	if err != nil {
		return err
	}
	for name, x := range map[string]*tensor.Tensor{
		"image_embeds": out.Embeds, "last_hidden": out.Last, "penultimate": out.Penultimate,
	} {
		switch _, err := s.stored.Find(s.prefix + name); {
		case err != nil: // not recorded
		case x == nil:
			s.errs = append(s.errs, fmt.Errorf("%s: the encoder does not give it", name))
		default:
			s.compare(name, x.Data)
		}
	}
	return s.err()
}
