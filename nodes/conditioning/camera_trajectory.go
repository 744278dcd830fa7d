package conditioning

import (
	"context"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&WanCameraEmbedding{})
}

// WanCameraEmbedding describes a camera motion for Wan.
type WanCameraEmbedding struct {
	CameraPose string  `in:"camera_pose" options:"Static|Pan Up|Pan Down|Pan Left|Pan Right|Zoom In|Zoom Out|Anti Clockwise (ACW)|ClockWise (CW)" default:"Static"`
	Width      int     `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height     int     `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length     int     `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	Speed      float64 `in:"speed" optional:"true" default:"1.0" min:"0" max:"10.0" step:"0.1"`
	Fx         float64 `in:"fx" optional:"true" advanced:"true" default:"0.5" min:"0" max:"1" step:"1e-09"`
	Fy         float64 `in:"fy" optional:"true" advanced:"true" default:"0.5" min:"0" max:"1" step:"1e-09"`
	Cx         float64 `in:"cx" optional:"true" advanced:"true" default:"0.5" min:"0" max:"1" step:"0.01"`
	Cy         float64 `in:"cy" optional:"true" advanced:"true" default:"0.5" min:"0" max:"1" step:"0.01"`
}

// Spec implements nodes.Node.
func (*WanCameraEmbedding) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanCameraEmbedding", Category: "model/conditioning/wan/camera",
		Module: "comfy_extras.nodes_camera_trajectory", V3: true,
		Outputs: []nodes.Output{{Type: "WAN_CAMERA_EMBEDDING", Name: "camera_embedding"}, {Type: "INT", Name: "width"}, {Type: "INT", Name: "height"}, {Type: "INT", Name: "length"}},
		Uses:    nodes.UsesNothing,
	}
}

// motion is the motion of a camera at speed 1 over all frames: a turn about its axis and a shift.
type motion struct {
	roll  float64
	shift [3]float64
}

var motions = map[string]motion{
	"Static":               {},
	"Pan Up":               {shift: [3]float64{0, -1, 0}},
	"Pan Down":             {shift: [3]float64{0, 1, 0}},
	"Pan Left":             {shift: [3]float64{-1, 0, 0}},
	"Pan Right":            {shift: [3]float64{1, 0, 0}},
	"Zoom In":              {shift: [3]float64{0, 0, 2}},
	"Zoom Out":             {shift: [3]float64{0, 0, -2}},
	"Anti Clockwise (ACW)": {roll: -1},
	"ClockWise (CW)":       {roll: 1},
}

// Units of motions, and the proportions that fx and fy refer to.
const (
	rollUnit   = math.Pi / 3
	shiftUnit  = 1.5
	poseAspect = 1280.0 / 720
)

// Frames are embedded four at a time, the first one four times; every pixel has a Plücker vector of six values.
const (
	cameraGroup = 4
	plucker     = 6
)

// Run implements nodes.Node. The embedding is [1, 24, frames/4, H, W]: the Plücker coordinates (Sitzmann et al., 2021) of the ray
// through every pixel, moment and direction.
func (n *WanCameraEmbedding) Run(ctx *nodes.Context) (nodes.Result, error) {
	m, ok := motions[n.CameraPose]
	if !ok {
		return nodes.Result{}, nodes.Errorf("KeyError", "embedding a camera motion: there is no camera_pose %q", n.CameraPose)
	}
	if n.Width < 1 || n.Height < 1 || n.Length < 1 || (n.Length-1)%cameraGroup != 0 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "embedding a camera motion: %dx%d pixels over %d frames, want a length of 1, 5, 9 or another 4n+1", n.Width, n.Height, n.Length)
	}
	groups := (n.Length-1)/cameraGroup + 1
	if err := imaging.CheckSize("a camera embedding", groups+1, plucker*cameraGroup, n.Height, n.Width); err != nil {
		return nodes.Result{}, err
	}
	rays := n.rays()
	out := tensor.New(1, plucker*cameraGroup, groups, n.Height, n.Width)
	pixels := n.Height * n.Width
	for slot := range groups * cameraGroup {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		var to [plucker][]float32
		for k := range to {
			to[k] = out.Data[((k*cameraGroup+slot%cameraGroup)*groups+slot/cameraGroup)*pixels:][:pixels]
		}
		frame := max(0, slot-cameraGroup+1)
		embedRays(to, rays, m.at(float64(frame)/float64(n.Length)*n.Speed))
	}
	return nodes.Out(out, int64(n.Width), int64(n.Height), int64(n.Length)), nil
}

// rays are the unit directions through the pixels, one after the other, of a camera that looks along z.
func (n *WanCameraEmbedding) rays() [][3]float32 {
	w, h := float64(n.Width), float64(n.Height)
	fx, fy := n.Fx, n.Fy
	if poseAspect > w/h {
		fx = h * poseAspect * fx / w
	} else {
		fy = w / poseAspect * fy / h
	}
	fx32, fy32, cx, cy := float32(fx*w), float32(fy*h), float32(n.Cx*w), float32(n.Cy*h)
	out := make([][3]float32, n.Width*n.Height)
	for y := range n.Height {
		dy := (float32(y) + 0.5 - cy) / fy32
		for x := range n.Width {
			dx := (float32(x) + 0.5 - cx) / fx32
			norm := float32(math.Sqrt(float64(float32(dx*dx) + float32(dy*dy) + 1)))
			out[y*n.Width+x] = [3]float32{dx / norm, dy / norm, 1 / norm}
		}
	}
	return out
}

// camera is a camera's position and rotation.
type camera struct {
	rotation [3][3]float32
	position [3]float32
}

func (m motion) at(part float64) camera {
	sin, cos := math.Sincos(part * rollUnit * m.roll)
	c := camera{rotation: [3][3]float32{{float32(cos), float32(-sin), 0}, {float32(sin), float32(cos), 0}, {0, 0, 1}}}
	for k, v := range m.shift {
		c.position[k] = float32(part * shiftUnit * v)
	}
	return c
}

func embedRays(to [plucker][]float32, rays [][3]float32, c camera) {
	o := c.position
	for i, ray := range rays {
		var d [3]float32
		for k, row := range c.rotation {
			d[k] = float32(ray[0]*row[0]) + float32(ray[1]*row[1]) + float32(ray[2]*row[2])
		}
		to[0][i] = float32(o[1]*d[2]) - float32(o[2]*d[1])
		to[1][i] = float32(o[2]*d[0]) - float32(o[0]*d[2])
		to[2][i] = float32(o[0]*d[1]) - float32(o[1]*d[0])
		to[3][i], to[4][i], to[5][i] = d[0], d[1], d[2]
	}
}
