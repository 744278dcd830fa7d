package triposplat

import (
	"context"
	"image"
	"image/color"
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() { nodes.Register(&TripoSplatSamplingPreview{}) }

// TripoSplatSamplingPreview shows splats while a model is sampled.
type TripoSplatSamplingPreview struct {
	Model        *engine.Model `in:"model" type:"MODEL"`
	VAE          *engine.VAE   `in:"vae" type:"VAE" tooltip:"VAE of TripoSplat."`
	OctreeLevel  int           `in:"octree_level" default:"5" min:"2" max:"8" advanced:"true" tooltip:"Depth of the octree of the points: less is coarser and takes less time."`
	NumGaussians int           `in:"num_gaussians" default:"16384" min:"1024" max:"262144" step:"32" tooltip:"Number of Gaussians of an image."`
	Yaw          float64       `in:"yaw" default:"90.0" min:"-360.0" max:"360.0" step:"1.0" advanced:"true" tooltip:"Turn of the camera around the object in degrees."`
	Pitch        float64       `in:"pitch" default:"15.0" min:"-89.0" max:"89.0" step:"1.0" advanced:"true" tooltip:"Height of the camera above the object in degrees."`
	PointSize    int           `in:"point_size" default:"3" min:"1" max:"16" tooltip:"Largest radius of a Gaussian in pixels."`
}

// Spec implements nodes.Node.
func (*TripoSplatSamplingPreview) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TripoSplatSamplingPreview", DisplayName: "TripoSplat Sampling Preview", Category: latentCategory, Module: module, V3: true,
		Description: "Shows the splats that TripoSplat expects after each step of a sampler.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TripoSplatSamplingPreview) Run(*nodes.Context) (nodes.Result, error) {
	switch {
	case n.Model == nil:
		return nodes.Result{}, missing("model", "UNETLoader with TripoSplat")
	case n.VAE == nil:
		return nodes.Result{}, missing("vae", "VAELoader with the VAE of TripoSplat")
	}
	if _, err := n.VAE.SplatDepth(); err != nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "%w", err)
	}
	v, view := n.VAE, view{yaw: n.Yaw, pitch: n.Pitch, largest: n.PointSize}
	gaussians, level := max(n.NumGaussians, perPoint), n.OctreeLevel
	return nodes.Out(n.Model.WithPreview(func(ctx context.Context, x *tensor.Tensor) (image.Image, error) {
		list, err := v.DecodeSplats(ctx, x.Slice(0, 1), gaussians, level, 0)
		if err != nil {
			return nil, err
		}
		return view.render(list[0]), nil
	})), nil
}

// view is how splats are shown: the turn and the height of the camera in degrees, and the largest radius in pixels.
type view struct {
	yaw, pitch float64
	largest    int
}

// The numbers of the camera. Upstream: preview.py render_splat.
const (
	side        = 320
	angle       = 35.0 // of view, in degrees
	distance    = 2.2
	nearest     = 1e-2
	faint       = 0.01 // opacity below which Gaussians are left out
	depthLevels = 1024
)

// render paints Gaussians as disks, the nearest in front. Upstream: preview.py render_splat.
func (v view) render(s family.Splats) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, side, side))
	depth := make([]int64, side*side)
	for i := range depth {
		depth[i] = math.MaxInt64
		out.SetRGBA(i%side, i/side, color.RGBA{A: math.MaxUint8})
	}
	const half = math.Pi / 180
	sy, cy := math.Sincos(v.yaw * half)
	sp, cp := math.Sincos(v.pitch * half)
	focal := side / 2 / math.Tan(angle*half/2)
	for i := range s.Opacities {
		x, y, z := float64(s.Positions[3*i]), float64(s.Positions[3*i+1]), float64(s.Positions[3*i+2])
		x, z = cy*x+sy*z, cy*z-sy*x
		y, z = cp*y-sp*z, sp*y+cp*z
		z += distance
		if !(z > nearest) || !(s.Opacities[i] > faint) {
			continue
		}
		scale := float64(max(s.Scales[3*i], s.Scales[3*i+1], s.Scales[3*i+2]))
		radius := int(min(max(math.RoundToEven(focal*scale/z), 1), float64(max(v.largest, 1))))
		px, py := side/2+focal*x/z, side/2+focal*y/z
		level := int64(min(max(z*depthLevels, 0), 1<<20-1))
		var c color.RGBA
		for k, to := range []*uint8{&c.R, &c.G, &c.B} {
			*to = uint8(min(max(s.Colors[3*i+k]*geometry.SHBase+0.5, 0), 1) * math.MaxUint8)
		}
		c.A = math.MaxUint8
		for dy := -radius; dy <= radius; dy++ {
			for dx := -radius; dx <= radius; dx++ {
				if dx*dx+dy*dy > radius*radius {
					continue
				}
				at := pixel(py+float64(dy))*side + pixel(px+float64(dx))
				if level < depth[at] {
					depth[at] = level
					out.SetRGBA(at%side, at/side, c)
				}
			}
		}
	}
	return out
}

// pixel is the number of the pixel at a place; those beyond the image fall on its border.
func pixel(at float64) int { return int(min(max(at, 0), side-1)) }
