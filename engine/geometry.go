package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// PointMapper is the value of MOGE_MODEL links: a network that finds the point in space of each pixel of an image.
type PointMapper struct {
	rt   *Runtime
	file *file
	net  family.PointMapNetwork
}

// LoadPointMapper opens the geometry model in the file at path, which has to be one that finds points.
func (rt *Runtime) LoadPointMapper(path string) (*PointMapper, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Geometry()
	if err != nil {
		return nil, fmt.Errorf("loading the geometry model: %w", err)
	}
	points, ok := net.(family.PointMapNetwork)
	if !ok {
		return nil, fmt.Errorf("loading the geometry model: %s holds a model of depth that finds no points: take a MoGe model", path)
	}
	return &PointMapper{rt: rt, file: f, net: points}, nil
}

// Tokens returns the number of patches that the model sees of an image at a level of detail from 0 to 9.
func (p *PointMapper) Tokens(level int) int {
	const most = 9
	low, high := p.net.Tokens()
	return int(float64(low) + float64(level)/most*float64(high-low))
}

// Points finds the points of images [B,3,H,W] in 0…1; see family.PointMapNetwork.
func (p *PointMapper) Points(ctx context.Context, images *tensor.Tensor, tokens int) (family.PointMaps, error) {
	run := p.rt.runner(family.RoleGeometry, false, p.file)
	const values = 8 // of a pixel: its point, mask, normal, and one of what is scaled
	if err := p.rt.checkHost("finding the points of images", family.Product(images.Len()/max(images.Dim(1), 1), values, 4)); err != nil {
		return family.PointMaps{}, err
	}
	out, err := p.net.Points(ctx, run, images, tokens)
	if err != nil {
		return out, fmt.Errorf("finding the points of an image: %w", err)
	}
	return out, nil
}
