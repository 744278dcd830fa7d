package mesh

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/bvh"
	"comfygo/internal/geometry/splat"
	"comfygo/internal/geometry/view"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() { nodes.Register(&RenderMesh{}) }

// RenderMesh renders a mesh as an image.
type RenderMesh struct {
	Mesh        *geometry.Mesh `in:"mesh" type:"MESH"`
	Mode        string         `in:"mode" options:"auto|texture|vertex colors|solid|normal|depth" tooltip:"What is shown. auto is the texture, else vertex colors, else gray clay."`
	Width       int            `in:"width" default:"1024" min:"64" max:"4096" step:"8"`
	Height      int            `in:"height" default:"1024" min:"64" max:"4096" step:"8"`
	Background  any            `in:"background" type:"COLOR" default:"#000000" socketless:"true"`
	Model3DInfo any            `in:"model_3d_info" type:"LOAD3D_MODEL_INFO" optional:"true" tooltip:"How a 3D viewer has moved the model; connect it together with camera_info."`
	CameraInfo  any            `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" tooltip:"Camera of a 3D viewer or of Create Camera Info. Without one the mesh is seen from the front and fills the image."`
}

// Spec implements nodes.Node.
func (*RenderMesh) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RenderMesh", DisplayName: "Render Mesh", Category: "3d/mesh",
		Module: "comfy_extras.nodes_mesh_postprocess", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "image"}, {Type: "MASK", Name: "mask"}},
		Description:   "Renders the first mesh of a batch from a camera.",
		SearchAliases: []string{"mesh to image", "render mesh", "preview textured mesh"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*RenderMesh) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"))
	p.Count *= 2 // an image and a mask
	return p
}

// Run implements nodes.Node.
func (n *RenderMesh) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("mesh", n.Mesh); err != nil {
		return nodes.Result{}, err
	}
	if len(n.Mesh.Items) > 1 {
		ctx.Warn(fmt.Sprintf("one mesh is rendered: the first of %d was used", len(n.Mesh.Items)))
	}
	if n.Mesh.Items[0].FaceCount() == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "rendering a mesh: it has no faces")
	}
	if err := imaging.CheckSize("a rendered image", n.Height, n.Width, 3); err != nil {
		return nodes.Result{}, err
	}
	background, err := backgroundColor(n.Background)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := ctx.Reserve("rendering a mesh", bvh.Bytes(n.Mesh.Items[0].FaceCount())+n.Mesh.MemoryBytes()+20*int64(n.Width)*int64(n.Height)); err != nil {
		return nodes.Result{}, err
	}
	it, surface, err := n.surface()
	if err != nil {
		return nodes.Result{}, err
	}
	camera, err := n.camera(it)
	if err != nil {
		return nodes.Result{}, err
	}
	img, err := view.Render(ctx, it, surface, camera, n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Mode == "depth" {
		showDepth(img)
	}
	mask := tensor.New(1, n.Height, n.Width)
	for i, hit := range img.Hit {
		rgb := img.Pixels[3*i : 3*i+3]
		if hit {
			mask.Data[i] = 1
		} else {
			copy(rgb, background[:])
		}
		for c, v := range rgb {
			rgb[c] = min(max(v, 0), 1)
		}
	}
	return nodes.Out(&tensor.Tensor{Shape: []int{1, n.Height, n.Width, 3}, Data: img.Pixels}, mask), nil
}

// surface returns the mesh as moved in the viewer, and the shown surface.
func (n *RenderMesh) surface() (*geometry.Item, view.Surface, error) {
	it := n.Mesh.Items[0]
	normals := it.Normals
	move, ok, err := readMove(n.Model3DInfo)
	if err != nil {
		return nil, view.Surface{}, err
	}
	if ok {
		it.Vertices = move.points(it.Vertices)
		for i, v := range it.Vertices {
			if v-v != 0 {
				return nil, view.Surface{}, nodes.Errorf("ValueError", "moving the mesh: vertex %d becomes %v", i/3, v)
			}
		}
		if normals != nil {
			normals = move.normals(normals)
		}
	}
	var s view.Surface
	textured := n.Mesh.Texture != nil && it.UVs != nil
	switch {
	case n.Mode == "normal":
		s.Normals, s.VertexNormals = true, normals
	case textured && (n.Mode == "auto" || n.Mode == "texture"):
		s.Texture, s.UVs = n.Mesh.Texture.Index(0), it.UVs
	case it.Colors != nil && (n.Mode == "auto" && !textured || n.Mode == "vertex colors"):
		const gamma = 2.2
		s.Colors = make([]float32, 0, len(it.Vertices))
		for i := 0; i < len(it.Colors); i += it.Channels {
			for _, c := range it.Colors[i : i+3] { // linear, as glTF has them
				s.Colors = append(s.Colors, float32(math.Pow(min(max(float64(c), 0), 1), 1/gamma)))
			}
		}
	}
	return &it, s, nil
}

// camera returns the camera of the input, or one that shows the whole mesh from the front.
func (n *RenderMesh) camera(it *geometry.Item) (view.Camera, error) {
	const fov, margin = 40.0, 1.04
	radians := func(degrees float64) float64 { return degrees * math.Pi / 180 }
	lo, hi := it.Bounds()
	center := geometry.Vec(lo).Add(geometry.Vec(hi)).Times(0.5)
	if n.CameraInfo == nil {
		radius := float32(1e-6)
		for i := range it.VertexCount() {
			radius = max(radius, geometry.At(it.Vertices, int32(i)).Sub(center).Len()) //nolint:gosec // faces have 31 bits
		}
		distance := float32(float64(radius) / math.Tan(radians(fov)/2) * margin)
		return view.Look(center.Add(geometry.Vec{0, 0, distance}), center, radians(fov)), nil
	}
	c, err := splat.ReadCamera(n.CameraInfo, fov)
	if err != nil {
		return view.Camera{}, nodes.Errorf("ValueError", "reading the input camera_info: %w", err)
	}
	single := func(v [3]float64) geometry.Vec {
		return geometry.Vec{float32(v[0]), float32(v[1]), float32(v[2])}
	}
	if c.Targeted {
		center = single(c.Target)
	}
	return view.Look(single(c.Position), center, 2*math.Atan(math.Tan(radians(c.FOV)/2)/max(c.Zoom, 1e-3))), nil
}

// showDepth replaces colors: near is white, far is black.
func showDepth(img *view.Image) {
	lo, hi := float32(math.Inf(1)), float32(math.Inf(-1))
	for i, hit := range img.Hit {
		if hit {
			lo, hi = min(lo, img.Depth[i]), max(hi, img.Depth[i])
		}
	}
	for i, hit := range img.Hit {
		v := float32(0)
		if hit {
			v = (hi - img.Depth[i]) / max(hi-lo, 1e-6)
		}
		img.Pixels[3*i], img.Pixels[3*i+1], img.Pixels[3*i+2] = v, v, v
	}
}

// move is a model's transformation in the viewer.
type move struct {
	scale, position geometry.Vec
	rows            [3]geometry.Vec
}

// readMove reads the first of a viewer's models; false if it is missing.
func readMove(info any) (m move, ok bool, err error) {
	list, isList := info.([]any)
	if info == nil || isList && len(list) == 0 {
		return m, false, nil
	}
	bad := func(format string, args ...any) (move, bool, error) {
		return m, false, nodes.Errorf("ValueError", "reading the input model_3d_info: "+format, args...)
	}
	if !isList {
		return bad("it is a %s, want a list of models", pyjson.TypeName(info))
	}
	if list[0] == nil {
		return m, false, nil
	}
	o, isObject := list[0].(*pyjson.Object)
	if !isObject {
		return bad("its model is a %s, want an object with position, scale and quaternion", pyjson.TypeName(list[0]))
	}
	number := func(name, key string) float32 {
		v, _ := o.Get(name)
		inner, _ := v.(*pyjson.Object)
		f := math.NaN()
		if inner != nil {
			v, _ = inner.Get(key)
			switch v := v.(type) {
			case float64:
				f = v
			case int64:
				f = float64(v)
			}
		}
		if (math.IsNaN(f) || math.Abs(f) > math.MaxFloat32) && err == nil {
			_, _, err = bad("its %s has no number %s", name, key)
		}
		return float32(f)
	}
	for k, key := range []string{"x", "y", "z"} {
		m.scale[k], m.position[k] = number("scale", key), number("position", key)
	}
	x, y, z, w := number("quaternion", "x"), number("quaternion", "y"), number("quaternion", "z"), number("quaternion", "w")
	m.rows = [3]geometry.Vec{
		{1 - 2*(y*y+z*z), 2 * (x*y - z*w), 2 * (x*z + y*w)},
		{2 * (x*y + z*w), 1 - 2*(x*x+z*z), 2 * (y*z - x*w)},
		{2 * (x*z - y*w), 2 * (y*z + x*w), 1 - 2*(x*x+y*y)},
	}
	return m, true, err
}

func (m *move) turned(v geometry.Vec) geometry.Vec {
	return geometry.Vec{m.rows[0].Dot(v), m.rows[1].Dot(v), m.rows[2].Dot(v)}
}

func (m *move) points(in []float32) []float32 {
	out := make([]float32, len(in))
	for i := range int32(len(in) / 3) { //nolint:gosec // faces have 31 bits
		v := geometry.At(in, i)
		m.turned(geometry.Vec{v[0] * m.scale[0], v[1] * m.scale[1], v[2] * m.scale[2]}).Add(m.position).Put(out, i)
	}
	return out
}

func (m *move) normals(in []float32) []float32 {
	out := make([]float32, len(in))
	for i := range int32(len(in) / 3) { //nolint:gosec // faces have 31 bits
		v := geometry.At(in, i)
		m.turned(geometry.Vec{v[0] / m.scale[0], v[1] / m.scale[1], v[2] / m.scale[2]}).Unit(1e-6).Put(out, i)
	}
	return out
}

// backgroundColor reads #RRGGBB.
func backgroundColor(v any) (rgb [3]float32, err error) {
	s, _ := v.(string)
	s = strings.TrimLeft(s, "#")
	for c := range rgb {
		var b uint64
		if len(s) >= 2*c+2 {
			b, err = strconv.ParseUint(s[2*c:2*c+2], 16, 8)
		}
		if len(s) < 2*c+2 || err != nil {
			return rgb, nodes.Errorf("ValueError", "reading the input background: %q is not a color such as #33aaff", v)
		}
		rgb[c] = float32(float64(b) / 255)
	}
	return rgb, nil
}
