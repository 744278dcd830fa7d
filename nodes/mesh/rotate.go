package mesh

import (
	"context"
	"math"

	"comfygo/internal/geometry"
	"comfygo/nodes"
)

func init() { nodes.Register(&RotateMesh{}) }

// Euler are the inputs of RotateMesh for angles.
type Euler struct {
	X float64 `in:"angle_x" default:"0.0" min:"-360.0" max:"360.0" step:"0.1" tooltip:"Angle about the x axis in degrees."`
	Y float64 `in:"angle_y" default:"0.0" min:"-360.0" max:"360.0" step:"0.1" tooltip:"Angle about the y axis in degrees."`
	Z float64 `in:"angle_z" default:"0.0" min:"-360.0" max:"360.0" step:"0.1" tooltip:"Angle about the z axis in degrees."`
}

// Quaternion are the inputs of RotateMesh for a quaternion.
type Quaternion struct {
	W float64 `in:"qw" default:"1.0" min:"-1.0" max:"1.0" step:"0.001"`
	X float64 `in:"qx" default:"0.0" min:"-1.0" max:"1.0" step:"0.001"`
	Y float64 `in:"qy" default:"0.0" min:"-1.0" max:"1.0" step:"0.001"`
	Z float64 `in:"qz" default:"0.0" min:"-1.0" max:"1.0" step:"0.001"`
}

// RotateMesh rotates a mesh about the origin.
type RotateMesh struct {
	Mesh *geometry.Mesh `in:"mesh" type:"MESH"`
	Mode nodes.Choice   `in:"mode"`
}

// DynamicOptions implements nodes.Dynamic.
func (*RotateMesh) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "euler_xyz", Inputs: &Euler{}}, {Key: "quaternion", Inputs: &Quaternion{}}}
}

// Spec implements nodes.Node.
func (*RotateMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RotateMesh", DisplayName: "Rotate Mesh", Category: "3d/mesh",
		Module: "comfy_extras.nodes_save_3d", V3: true,
		Outputs:     []nodes.Output{{Type: "MESH", Name: "mesh"}},
		Description: "Rotates a mesh about the origin: by angles about the x, then y, then z axis, or by a quaternion, which is normalized.",
		Uses:        nodes.UsesNothing,
	}
}

// matrix is a rotation by rows.
type matrix [3][3]float32

// Run implements nodes.Node.
func (n *RotateMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	var r matrix
	switch in := n.Mode.Inputs.(type) {
	case *Euler:
		if in.X == 0 && in.Y == 0 && in.Z == 0 {
			return nodes.Out(n.Mesh), nil
		}
		r = in.matrix()
	case *Quaternion:
		length := math.Sqrt(in.W*in.W + in.X*in.X + in.Y*in.Y + in.Z*in.Z)
		if !(length >= 1e-8) {
			return nodes.Result{}, nodes.Errorf("ValueError", "rotating a mesh: the quaternion has length %g, want one that is not 0", length)
		}
		q := Quaternion{in.W / length, in.X / length, in.Y / length, in.Z / length}
		if q == (Quaternion{W: 1}) {
			return nodes.Out(n.Mesh), nil
		}
		r = q.matrix()
	default:
		return nodes.Result{}, nodes.Errorf("ValueError", "rotating a mesh: the mode %q is unknown, want euler_xyz or quaternion", n.Mode.Key)
	}
	items := make([]geometry.Item, len(n.Mesh.Items))
	for i, it := range n.Mesh.Items {
		for _, a := range []struct {
			values *[]float32
			stride int
		}{{&it.Vertices, 3}, {&it.Normals, 3}, {&it.Tangents, 4}} {
			var err error
			if *a.values, err = r.apply(ctx, *a.values, a.stride); err != nil {
				return nodes.Result{}, err
			}
		}
		items[i] = it
	}
	return nodes.Out(n.Mesh.WithItems(items)), nil
}

func (e *Euler) matrix() matrix {
	radians := func(degrees float64) float64 { return degrees * (math.Pi / 180) }
	sx, cx := math.Sincos(radians(e.X))
	sy, cy := math.Sincos(radians(e.Y))
	sz, cz := math.Sincos(radians(e.Z))
	return rounded([3][3]float64{
		{cy * cz, sx*sy*cz - cx*sz, cx*sy*cz + sx*sz},
		{cy * sz, sx*sy*sz + cx*cz, cx*sy*sz - sx*cz},
		{-sy, sx * cy, cx * cy},
	})
}

func (q Quaternion) matrix() matrix {
	w, x, y, z := q.W, q.X, q.Y, q.Z
	return rounded([3][3]float64{
		{1 - 2*(y*y+z*z), 2 * (x*y - z*w), 2 * (x*z + y*w)},
		{2 * (x*y + z*w), 1 - 2*(x*x+z*z), 2 * (y*z - x*w)},
		{2 * (x*z - y*w), 2 * (y*z + x*w), 1 - 2*(x*x+y*y)},
	})
}

func rounded(m [3][3]float64) (out matrix) {
	for i, row := range m {
		for j, v := range row {
			out[i][j] = float32(v)
		}
	}
	return out
}

// apply rotates the first three of every stride values; nil stays nil.
func (m matrix) apply(ctx context.Context, values []float32, stride int) ([]float32, error) {
	if values == nil {
		return nil, nil
	}
	out := make([]float32, len(values))
	return out, geometry.Each(ctx, len(values)/stride, func(at int) {
		i := at * stride
		v := values[i : i+stride]
		for row := range 3 {
			out[i+row] = m[row][0]*v[0] + m[row][1]*v[1] + m[row][2]*v[2]
		}
		copy(out[i+3:i+stride], v[3:])
	})
}
