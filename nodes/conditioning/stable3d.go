package conditioning

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SV3DConditioning{})
	nodes.Register(&StableZero123Conditioning{})
	nodes.Register(&StableZero123ConditioningBatched{})
}

// SV3DConditioning prepares an image of an object for Stable Video 3D.
type SV3DConditioning struct {
	Vision      *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION"`
	InitImage   *tensor.Tensor       `in:"init_image" type:"IMAGE"`
	VAE         *engine.VAE          `in:"vae" type:"VAE"`
	Width       int                  `in:"width" default:"576" min:"16" max:"16384" step:"8"`
	Height      int                  `in:"height" default:"576" min:"16" max:"16384" step:"8"`
	VideoFrames int                  `in:"video_frames" default:"21" min:"1" max:"4096"`
	Elevation   float64              `in:"elevation" default:"0.0" min:"-90.0" max:"90.0" step:"0.1" round:"false"`
}

// viewSpec returns the common part of the Spec of the classes in this module.
func viewSpec(name, category, description string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: category, Description: description, Module: "comfy_extras.nodes_stable3d", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesDevice,
	}
}

// Spec implements nodes.Node.
func (*SV3DConditioning) Spec() nodes.Spec {
	return viewSpec("SV3D_Conditioning", "model/conditioning/stable video 3d",
		"Encodes an image of an object for Stable Video 3D and makes an empty latent for a camera orbit around the object.")
}

// Sizes implements nodes.Sizer.
func (*SV3DConditioning) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "video_frames")
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *SV3DConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	start, err := startOf(ctx, n.Vision, n.InitImage, n.VAE, n.Width, n.Height, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	elevations, azimuths := orbit(n.VideoFrames, n.Elevation)
	pos, neg := start.entries(start.embeds, map[string]any{sampling.KeyElevation: elevations, sampling.KeyAzimuth: azimuths})
	return withLatent(pos, neg, engine.Latent{}, n.VideoFrames, n.Width, n.Height)
}

// orbit returns where the camera is in each frame of one turn at an elevation, in degrees. The last frame is the first one
// again.
func orbit(frames int, elevation float64) (elevations, azimuths []float64) {
	step, azimuth := 360/float64(max(frames, 2)-1), 0.0
	for range frames {
		elevations, azimuths = append(elevations, elevation), append(azimuths, azimuth)
		azimuth += step
	}
	return elevations, azimuths
}

// StableZero123Conditioning prepares an image of an object for Stable Zero123, which shows it from another side.
type StableZero123Conditioning struct {
	Vision    *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION"`
	InitImage *tensor.Tensor       `in:"init_image" type:"IMAGE"`
	VAE       *engine.VAE          `in:"vae" type:"VAE"`
	Width     int                  `in:"width" default:"256" min:"16" max:"16384" step:"8"`
	Height    int                  `in:"height" default:"256" min:"16" max:"16384" step:"8"`
	BatchSize int                  `in:"batch_size" default:"1" min:"1" max:"4096"`
	Elevation float64              `in:"elevation" default:"0.0" min:"-180.0" max:"180.0" step:"0.1" round:"false"`
	Azimuth   float64              `in:"azimuth" default:"0.0" min:"-180.0" max:"180.0" step:"0.1" round:"false"`
}

// Spec implements nodes.Node.
func (*StableZero123Conditioning) Spec() nodes.Spec {
	return viewSpec("StableZero123_Conditioning", "model/conditioning/stable zero123",
		"Encodes an image of an object and a camera position relative to it for Stable Zero123, and makes an empty latent.")
}

// Sizes implements nodes.Sizer.
func (*StableZero123Conditioning) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *StableZero123Conditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	return views(ctx, n, 1, 0, 0, engine.Latent{})
}

// StableZero123ConditioningBatched is StableZero123Conditioning with another camera position for each row of the batch.
type StableZero123ConditioningBatched struct {
	Vision             *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION"`
	InitImage          *tensor.Tensor       `in:"init_image" type:"IMAGE"`
	VAE                *engine.VAE          `in:"vae" type:"VAE"`
	Width              int                  `in:"width" default:"256" min:"16" max:"16384" step:"8"`
	Height             int                  `in:"height" default:"256" min:"16" max:"16384" step:"8"`
	BatchSize          int                  `in:"batch_size" default:"1" min:"1" max:"4096"`
	Elevation          float64              `in:"elevation" default:"0.0" min:"-180.0" max:"180.0" step:"0.1" round:"false"`
	Azimuth            float64              `in:"azimuth" default:"0.0" min:"-180.0" max:"180.0" step:"0.1" round:"false"`
	ElevationIncrement float64              `in:"elevation_batch_increment" advanced:"true" default:"0.0" min:"-180.0" max:"180.0" step:"0.1" round:"false"`
	AzimuthIncrement   float64              `in:"azimuth_batch_increment" advanced:"true" default:"0.0" min:"-180.0" max:"180.0" step:"0.1" round:"false"`
}

// Spec implements nodes.Node.
func (*StableZero123ConditioningBatched) Spec() nodes.Spec {
	return viewSpec("StableZero123_Conditioning_Batched", "model/conditioning/stable zero123",
		"Encodes an image of an object and a camera position for each image of the batch for Stable Zero123, and makes an empty latent whose rows share one noise.")
}

// Sizes implements nodes.Sizer.
func (*StableZero123ConditioningBatched) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *StableZero123ConditioningBatched) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := imaging.CheckSize("camera positions and latents of a batch", max(n.BatchSize, 0), 1<<10); err != nil {
		return nodes.Result{}, err
	}
	one := StableZero123Conditioning{n.Vision, n.InitImage, n.VAE, n.Width, n.Height, n.BatchSize, n.Elevation, n.Azimuth}
	return views(ctx, &one, n.BatchSize, n.ElevationIncrement, n.AzimuthIncrement, engine.Latent{BatchIndex: make([]int, max(n.BatchSize, 0))})
}

// views encodes the image with the given number of camera positions, each advanced by the steps.
func views(ctx *nodes.Context, n *StableZero123Conditioning, count int, elevationStep, azimuthStep float64, l engine.Latent) (nodes.Result, error) {
	start, err := startOf(ctx, n.Vision, n.InitImage, n.VAE, n.Width, n.Height, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	if start.embeds.Dim(1) != 1 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "encoding the image: init_image holds %d images, Stable Zero123 reads one", start.embeds.Dim(1))
	}
	elevation, azimuth, width := n.Elevation, n.Azimuth, start.embeds.Dim(2)
	cond := tensor.New(count, 1, width+cameraWidth)
	for i := range count {
		row := cond.Index(i).Data
		copy(row, start.embeds.Data)
		copy(row[width:], viewpoint(float32(elevation), float32(azimuth)))
		elevation, azimuth = elevation+elevationStep, azimuth+azimuthStep
	}
	pos, neg := start.entries(cond, nil)
	return withLatent(pos, neg, l, n.BatchSize, n.Width, n.Height)
}

// cameraWidth is the number of values of a camera position.
const cameraWidth = 4

// viewpoint returns a camera position, in degrees, as Stable Zero123 reads it: the polar angle relative to that of the input
// view, sine and cosine of the azimuth, and the polar angle of the input view, which is taken for a side view. Upstream:
// comfy_extras/nodes_stable3d.py camera_embeddings.
func viewpoint(elevation, azimuth float32) []float32 {
	radians := func(degrees float32) float32 { return degrees * float32(math.Pi/180) }
	polar := 90 - elevation
	a := float64(radians(azimuth))
	return []float32{radians(polar - 90), float32(math.Sin(a)), float32(math.Cos(a)), radians(90)}
}
