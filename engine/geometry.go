package engine

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
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
		return nil, fmt.Errorf("loading the geometry model: %s holds a model of depth that finds no points: take a MoGe model, or load it with LoadDA3Model", path)
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

// DepthModel is the value of DA3_MODEL links: a network that finds the depth of images.
type DepthModel struct {
	rt   *Runtime
	file *file
	net  family.DepthNetwork
	// compute, when set, is the compute type on a GPU.
	compute dtype.DType
}

// LoadDepthModel opens the geometry model in the file at path, which has to be one that finds depth. compute, when set, is the type in which a GPU
// computes.
func (rt *Runtime) LoadDepthModel(path string, compute dtype.DType) (*DepthModel, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Geometry()
	if err != nil {
		return nil, fmt.Errorf("loading the depth model: %w", err)
	}
	depth, ok := net.(family.DepthNetwork)
	if !ok {
		return nil, fmt.Errorf("loading the depth model: %s holds a model that finds points: take a Depth Anything 3 model, or load it with LoadMoGeModel", path)
	}
	return &DepthModel{rt: rt, file: f, net: depth, compute: compute}, nil
}

// Cameras reports how the model finds cameras; see family.DepthNetwork.
func (d *DepthModel) Cameras() (decoder, rays bool) { return d.net.Cameras() }

// Depths finds the depth of images; see family.DepthNetwork.
func (d *DepthModel) Depths(ctx context.Context, c family.DepthCall) (family.DepthMaps, error) {
	run := d.rt.runner(family.RoleGeometry, false, d.file)
	run.compute = or(d.compute, run.compute)
	const values = 10 // of a pixel: its channels twice, depth, confidence and sky
	if err := d.rt.checkHost("finding the depth of images", family.Product(c.Images.Len()/max(c.Images.Dim(1), 1), values, 4)); err != nil {
		return family.DepthMaps{}, err
	}
	out, err := d.net.Depths(ctx, run, c)
	if err != nil {
		return out, fmt.Errorf("finding the depth of images: %w", err)
	}
	return out, nil
}
