package splat

import (
	"math"

	"comfygo/internal/geometry/splat"
	"comfygo/nodes"
)

func init() { nodes.Register(&CreateCameraInfo{}) }

// OrbitCamera holds the inputs of a camera that is aimed at the target from an angle.
type OrbitCamera struct {
	Yaw      float64 `in:"yaw" default:"35.0" min:"-360.0" max:"360.0" step:"1.0"`
	Pitch    float64 `in:"pitch" default:"30.0" min:"-89.0" max:"89.0" step:"1.0"`
	Distance float64 `in:"distance" default:"4.0" min:"0.01" max:"1000.0" step:"0.01" tooltip:"Distance from the target."`
}

// PlacedCamera holds the inputs of a camera that is aimed at the target from a place.
type PlacedCamera struct {
	PositionX float64 `in:"position_x" default:"4.0" min:"-1000.0" max:"1000.0" step:"0.01" tooltip:"Place of the camera; right-handed, Y is up."`
	PositionY float64 `in:"position_y" default:"4.0" min:"-1000.0" max:"1000.0" step:"0.01"`
	PositionZ float64 `in:"position_z" default:"4.0" min:"-1000.0" max:"1000.0" step:"0.01"`
}

// TurnedCamera are the inputs of a camera with a rotation of its own.
type TurnedCamera struct {
	PositionX float64 `in:"position_x" default:"4.0" min:"-1000.0" max:"1000.0" step:"0.01" tooltip:"Place of the camera; right-handed, Y is up."`
	PositionY float64 `in:"position_y" default:"4.0" min:"-1000.0" max:"1000.0" step:"0.01"`
	PositionZ float64 `in:"position_z" default:"4.0" min:"-1000.0" max:"1000.0" step:"0.01"`
	QuatX     float64 `in:"quat_x" default:"0.0" min:"-1.0" max:"1.0" step:"0.001"`
	QuatY     float64 `in:"quat_y" default:"0.0" min:"-1.0" max:"1.0" step:"0.001"`
	QuatZ     float64 `in:"quat_z" default:"0.0" min:"-1.0" max:"1.0" step:"0.001"`
	QuatW     float64 `in:"quat_w" default:"1.0" min:"-1.0" max:"1.0" step:"0.001" tooltip:"Rotation of the camera, which looks along its negative Z axis; any length."`
}

// CreateCameraInfo makes a camera of numbers.
type CreateCameraInfo struct {
	Mode       nodes.Choice `in:"mode" tooltip:"How the camera is given: angles and distance, a place, or a place and a rotation."`
	TargetX    float64      `in:"target_x" advanced:"true" default:"0.0" min:"-1000.0" max:"1000.0" step:"0.01" tooltip:"Point that the camera looks at. A camera with a rotation does not use it."`
	TargetY    float64      `in:"target_y" advanced:"true" default:"0.0" min:"-1000.0" max:"1000.0" step:"0.01"`
	TargetZ    float64      `in:"target_z" advanced:"true" default:"0.0" min:"-1000.0" max:"1000.0" step:"0.01"`
	Roll       float64      `in:"roll" default:"0.0" min:"-180.0" max:"180.0" step:"1.0" tooltip:"Roll around the view axis, in degrees."`
	FOV        float64      `in:"fov" default:"35.0" min:"1.0" max:"120.0" step:"1.0" tooltip:"Field of view in degrees."`
	Zoom       float64      `in:"zoom" default:"1.0" min:"0.01" max:"100.0" step:"0.01" tooltip:"Multiplies the focal length."`
	CameraType string       `in:"camera_type" options:"perspective|orthographic" tooltip:"Projection."`
}

// DynamicOptions implements nodes.Dynamic.
func (*CreateCameraInfo) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "orbit", Inputs: &OrbitCamera{}}, {Key: "look_at", Inputs: &PlacedCamera{}}, {Key: "quaternion", Inputs: &TurnedCamera{}}}
}

// Spec implements nodes.Node.
func (*CreateCameraInfo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateCameraInfo", DisplayName: "Create Camera Info", Category: "3d",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "LOAD3D_CAMERA", Name: "camera_info"}},
		Description:   "Makes a camera for 3D classes, in the viewer's coordinates (right-handed, Y up).",
		SearchAliases: []string{"camera position", "make camera info", "orbit camera", "look at camera"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateCameraInfo) Run(*nodes.Context) (nodes.Result, error) {
	c := splat.Camera{Target: [3]float64{n.TargetX, n.TargetY, n.TargetZ}, FOV: n.FOV, Zoom: n.Zoom, Type: n.CameraType}
	switch in := n.Mode.Inputs.(type) {
	case *OrbitCamera:
		sy, cy := math.Sincos(in.Yaw * math.Pi / 180)
		sp, cp := math.Sincos(in.Pitch * math.Pi / 180)
		c.Position = [3]float64{n.TargetX + in.Distance*cp*sy, n.TargetY + in.Distance*sp, n.TargetZ + in.Distance*cp*cy}
		c = c.LookAt(n.Roll)
	case *PlacedCamera:
		c.Position = [3]float64{in.PositionX, in.PositionY, in.PositionZ}
		c = c.LookAt(n.Roll)
	case *TurnedCamera:
		c.Position = [3]float64{in.PositionX, in.PositionY, in.PositionZ}
		c = c.Rotated([4]float64{in.QuatW, in.QuatX, in.QuatY, in.QuatZ})
	}
	return nodes.Out(c.Info()), nil
}
