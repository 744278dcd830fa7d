package splat

import (
	"context"
	"fmt"
	"math"

	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
)

// vec is a vector in three dimensions.
type vec [3]float64

func (a vec) sub(b vec) vec       { return vec{a[0] - b[0], a[1] - b[1], a[2] - b[2]} }
func (a vec) add(b vec) vec       { return vec{a[0] + b[0], a[1] + b[1], a[2] + b[2]} }
func (a vec) times(f float64) vec { return vec{a[0] * f, a[1] * f, a[2] * f} }
func (a vec) dot(b vec) float64   { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }
func (a vec) length() float64     { return math.Sqrt(a.dot(a)) }
func (a vec) cross(b vec) vec {
	return vec{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}
func (a vec) unit() vec               { return a.times(1 / max(a.length(), 1e-8)) }
func (a vec) flipped() vec            { return vec{a[0], -a[1], -a[2]} } // between the world of viewers and that of splats
func column(m [3]vec, c int) vec      { return vec{m[0][c], m[1][c], m[2][c]} }
func radians(degrees float64) float64 { return degrees * math.Pi / 180 }

// quat is a quaternion w, x, y, z.
type quat [4]float64

// times returns the Hamilton product.
func (a quat) times(b quat) quat {
	return quat{
		a[0]*b[0] - a[1]*b[1] - a[2]*b[2] - a[3]*b[3],
		a[0]*b[1] + a[1]*b[0] + a[2]*b[3] - a[3]*b[2],
		a[0]*b[2] - a[1]*b[3] + a[2]*b[0] + a[3]*b[1],
		a[0]*b[3] + a[1]*b[2] - a[2]*b[1] + a[3]*b[0],
	}
}

func (a quat) unit() quat {
	l := max(math.Sqrt(a[0]*a[0]+a[1]*a[1]+a[2]*a[2]+a[3]*a[3]), 1e-12)
	return quat{a[0] / l, a[1] / l, a[2] / l, a[3] / l}
}

// matrix returns the rotation, by rows.
func (a quat) matrix() [3]vec {
	a = a.unit()
	w, x, y, z := a[0], a[1], a[2], a[3]
	return [3]vec{
		{1 - 2*(y*y+z*z), 2 * (x*y - w*z), 2 * (x*z + w*y)},
		{2 * (x*y + w*z), 1 - 2*(x*x+z*z), 2 * (y*z - w*x)},
		{2 * (x*z - w*y), 2 * (y*z + w*x), 1 - 2*(x*x+y*y)},
	}
}

// quatOf returns the quaternion of a rotation: of four ways to write it the one that divides by the largest number.
func quatOf(m [3]vec) quat {
	s := quat{1 + m[0][0] + m[1][1] + m[2][2], 1 + m[0][0] - m[1][1] - m[2][2], 1 - m[0][0] + m[1][1] - m[2][2], 1 - m[0][0] - m[1][1] + m[2][2]}
	best := 0
	for i, v := range s {
		if v > s[best] {
			best = i
		}
	}
	a, b, c := m[2][1]-m[1][2], m[0][2]-m[2][0], m[1][0]-m[0][1]
	d, e, f := m[1][0]+m[0][1], m[0][2]+m[2][0], m[1][2]+m[2][1]
	return [4]quat{{s[0], a, b, c}, {a, s[1], d, e}, {b, d, s[2], f}, {c, e, f, s[3]}}[best].unit()
}

// Camera is the value of LOAD3D_CAMERA links, in the world of viewers: right-handed with Y up; a camera looks along its
// negative Z axis.
type Camera struct {
	Position, Target [3]float64
	// Targeted reports that a camera that was read has a target.
	Targeted bool
	// Quaternion is the camera's rotation, w, x, y, z; nil for one that looks at Target, upright.
	Quaternion *[4]float64
	FOV        float64 // degrees, over the smaller side
	Zoom       float64
	// Type is "perspective" or "orthographic".
	Type string
}

// ReadCamera reads a camera from a viewer or CreateCameraInfo. fov is the default field of view.
func ReadCamera(v any, fov float64) (Camera, error) {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return Camera{}, fmt.Errorf("it is a %s, want an object with position and target", pyjson.TypeName(v))
	}
	var c Camera
	var err error
	number := func(o *pyjson.Object, name string, missing float64) float64 {
		v, ok := o.Get(name)
		if !ok || err != nil {
			return missing
		}
		f := missing
		switch v := v.(type) {
		case float64:
			f = v
		case int64:
			f = float64(v)
		case nil:
		default:
			err = fmt.Errorf("its %s is a %s, want a number", name, pyjson.TypeName(v))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > 1e12 {
			err = fmt.Errorf("its %s is %v, want a finite number", name, f)
		}
		return f
	}
	object := func(name string) *pyjson.Object {
		v, ok := o.Get(name)
		if !ok || v == nil {
			return nil
		}
		inner, ok := v.(*pyjson.Object)
		if !ok {
			err = fmt.Errorf("its %s is a %s, want an object", name, pyjson.TypeName(v))
		}
		return inner
	}
	for name, to := range map[string]*[3]float64{"position": &c.Position, "target": &c.Target} {
		if p := object(name); p != nil {
			*to = [3]float64{number(p, "x", 0), number(p, "y", 0), number(p, "z", 0)}
			c.Targeted = c.Targeted || name == "target" && p.Len() > 0
		}
	}
	if q := object("quaternion"); q != nil && q.Len() > 0 {
		c.Quaternion = &[4]float64{number(q, "w", 1), number(q, "x", 0), number(q, "y", 0), number(q, "z", 0)}
	}
	if c.FOV = number(o, "fov", 0); c.FOV == 0 {
		c.FOV = fov
	}
	if c.Zoom = number(o, "zoom", 1); c.Zoom == 0 {
		c.Zoom = 1
	}
	c.Type = o.String("cameraType")
	switch {
	case err != nil:
		return Camera{}, err
	case c.FOV < 0 || c.FOV >= 180:
		return Camera{}, fmt.Errorf("its fov is %v degrees, want more than 0 and less than 180", c.FOV)
	case c.Zoom < 0:
		return Camera{}, fmt.Errorf("its zoom is %v, want more than 0", c.Zoom)
	}
	return c, nil
}

// DefaultFOV is the default field of view of cameras for splats, in degrees.
const DefaultFOV = 35.0

// Info returns the camera as viewers read it.
func (c Camera) Info() *pyjson.Object {
	xyz := func(v [3]float64) *pyjson.Object {
		return pyjson.NewObject("x", single(v[0]), "y", single(v[1]), "z", single(v[2]))
	}
	q := c.Quaternion
	if q == nil {
		q = &[4]float64{1, 0, 0, 0}
	}
	return pyjson.NewObject("position", xyz(c.Position), "target", xyz(c.Target),
		"quaternion", pyjson.NewObject("x", single(q[1]), "y", single(q[2]), "z", single(q[3]), "w", single(q[0])),
		"fov", c.FOV, "cameraType", c.Type, "zoom", c.Zoom)
}

// single rounds to the numbers that upstream's tensors hold.
func single(v float64) float64 { return float64(float32(v)) }

// LookAt turns the camera to its target, upright, and rolls it around its view by an angle in degrees.
func (c Camera) LookAt(roll float64) Camera {
	z := vec(c.Position).sub(c.Target).unit()
	up := vec{0, 1, 0}
	if math.Abs(z.dot(up)) > 0.999 {
		up = vec{0, 0, 1}
	}
	x := up.cross(z).unit()
	y := z.cross(x)
	q := quatOf([3]vec{{x[0], y[0], z[0]}, {x[1], y[1], z[1]}, {x[2], y[2], z[2]}})
	if roll != 0 {
		a := radians(roll) / 2
		q = q.times(quat{math.Cos(a), 0, 0, math.Sin(a)})
	}
	c.Quaternion = (*[4]float64)(&q)
	return c
}

// Rotated gives the camera a rotation, w, x, y, z of any length; its target is one unit ahead.
func (c Camera) Rotated(q [4]float64) Camera {
	l := max(math.Sqrt(q[0]*q[0]+q[1]*q[1]+q[2]*q[2]+q[3]*q[3]), 1e-8)
	for i := range q {
		q[i] /= l
	}
	c.Quaternion = &q
	c.Target = vec(c.Position).sub(column(quat(q).matrix(), 2))
	return c
}

// Around returns a camera that looks at a point among splats from an angle in degrees and a distance.
func Around(pivot [3]float64, yaw, pitch, distance float64) Camera {
	sy, cy := math.Sincos(radians(yaw))
	sp, cp := math.Sincos(radians(pitch))
	forward := vec{-cp * sy, sp, cp * cy}
	return Camera{
		Position: vec(pivot).sub(forward.times(distance)).flipped(), Target: vec(pivot).flipped(), FOV: DefaultFOV, Zoom: 1, Type: "perspective",
	}.LookAt(0)
}

// Orbited turns the camera around its target and the vertical axis. A camera without a rotation of its own gets one that
// looks along negative Z, as upstream's does.
func (c Camera) Orbited(degrees float64) Camera {
	a := radians(degrees)
	s, k := math.Sincos(a)
	d := vec(c.Position).sub(c.Target)
	c.Position = vec(c.Target).add(vec{k*d[0] + s*d[2], d[1], -s*d[0] + k*d[2]})
	q := quat{1, 0, 0, 0}
	if c.Quaternion != nil {
		q = quat(*c.Quaternion)
	}
	q = quat{math.Cos(a / 2), 0, math.Sin(a / 2), 0}.times(q)
	c.Quaternion = (*[4]float64)(&q)
	return c
}

// basis returns the camera's place and axes among splats: to the right of the image, down, and ahead.
func (c Camera) basis() (eye vec, axes [3]vec) {
	eye = vec(c.Position).flipped()
	if c.Quaternion != nil {
		m := quat(*c.Quaternion).matrix()
		return eye, [3]vec{
			column(m, 0).flipped().unit(), column(m, 1).times(-1).flipped().unit(), column(m, 2).times(-1).flipped().unit(),
		}
	}
	f := vec(c.Target).flipped().sub(eye).unit()
	yaw, pitch := math.Atan2(-f[0], f[2]), math.Asin(min(max(f[1], -1), 1))
	sy, cy := math.Sincos(yaw)
	sp, cp := math.Sincos(pitch)
	return eye, [3]vec{{cy, 0, sy}, {sp * sy, cp, -sp * cy}, {-cp * sy, sp, cp * cy}}
}

// Framed looks at splats from the right and above, so that nearly all of them are in the image.
func Framed(ctx context.Context, it *geometry.SplatItem) (Camera, error) {
	var center vec
	extent := 1.0
	if n := it.Count(); n > 0 {
		for i, v := range it.Positions {
			center[i%3] += float64(v) / float64(n)
		}
		distances := make([]float64, n)
		err := geometry.Each(ctx, n, func(i int) {
			distances[i] = vec{float64(it.Positions[3*i]), float64(it.Positions[3*i+1]), float64(it.Positions[3*i+2])}.sub(center).length()
		})
		if err != nil {
			return Camera{}, err
		}
		far, err := quantile(ctx, distances, 0.99)
		if err != nil {
			return Camera{}, err
		}
		extent = max(far, 1e-4)
	}
	const yaw, pitch, part = 35, 30, 0.9
	return Around(center, yaw, pitch, extent/(math.Tan(radians(DefaultFOV)/2)*part)), nil
}
