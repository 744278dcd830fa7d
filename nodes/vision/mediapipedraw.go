package vision

import (
	"context"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/draw"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/image"
)

func init() {
	nodes.Register(&MediaPipeFaceMeshVisualize{})
	nodes.Register(&MediaPipeFaceMask{})
}

// contours are the parts of a face with a closed outline, and its brows.
var contours = []string{"face_oval", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "lips"}

// DrawnParts are the inputs of MediaPipeFaceMeshVisualize for single parts.
type DrawnParts struct {
	FaceOval     bool `in:"face_oval" default:"true" tooltip:"Draw the outline of the face."`
	Lips         bool `in:"lips" default:"true" tooltip:"Draw the lips."`
	LeftEye      bool `in:"left_eye" default:"true" tooltip:"Draw the left eye."`
	RightEye     bool `in:"right_eye" default:"true" tooltip:"Draw the right eye."`
	LeftEyebrow  bool `in:"left_eyebrow" default:"true" tooltip:"Draw the left brow."`
	RightEyebrow bool `in:"right_eyebrow" default:"true" tooltip:"Draw the right brow."`
	Irises       bool `in:"irises" default:"true" tooltip:"Draw the irises."`
	Nose         bool `in:"nose" default:"true" tooltip:"Draw the nose."`
	Tesselation  bool `in:"tesselation" default:"false" tooltip:"Draw the whole mesh."`
}

// names are the parts that are chosen.
func (p *DrawnParts) names() []string {
	return chosen([]string{"face_oval", "lips", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow", "irises", "nose", "tesselation"},
		p.FaceOval, p.Lips, p.LeftEye, p.RightEye, p.LeftEyebrow, p.RightEyebrow, p.Irises, p.Nose, p.Tesselation)
}

func chosen(names []string, picked ...bool) []string {
	var out []string
	for i, ok := range picked {
		if ok {
			out = append(out, names[i])
		}
	}
	return out
}

// MediaPipeFaceMeshVisualize draws face landmarks.
type MediaPipeFaceMeshVisualize struct {
	FaceLandmarks *FaceLandmarks `in:"face_landmarks" type:"FACE_LANDMARKS"`
	Connections   nodes.Choice   `in:"connections" tooltip:"'all' draws outline, eyes, brows, lips, irises and nose; 'fill' fills the outline of the face; 'custom' draws the chosen parts."`
	Color         any            `in:"color" type:"COLOR" default:"#00ff00" socketless:"true"`
	Thickness     int            `in:"thickness" default:"1" min:"0" max:"8" step:"1" tooltip:"Width of lines in pixels. 0 draws none."`
	PointSize     int            `in:"point_size" default:"2" min:"0" max:"16" step:"1" tooltip:"Size of the dots of landmarks in pixels. 0 draws none."`
	Image         *tensor.Tensor `in:"image" type:"IMAGE" optional:"true" tooltip:"Image that is drawn on; black without one."`
}

// DynamicOptions implements nodes.Dynamic.
func (*MediaPipeFaceMeshVisualize) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "all"}, {Key: "fill"}, {Key: "custom", Inputs: &DrawnParts{}}}
}

// Spec implements nodes.Node.
func (*MediaPipeFaceMeshVisualize) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MediaPipeFaceMeshVisualize", DisplayName: "Visualize Face Landmarks (MediaPipe)", Category: "image/detection", Module: moduleFaces, V3: true,
		Description:   "Draws the landmarks of faces and the lines between them on images.",
		Outputs:       nodes.Outputs("IMAGE"),
		SearchAliases: append(faceWords[:len(faceWords):len(faceWords)], "visualize"), Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer. Without an image the landmarks give the size.
func (*MediaPipeFaceMeshVisualize) Sizes(s *nodes.Sizing) nodes.Images {
	if s.Has("image") {
		return s.Kept()
	}
	return nodes.UnknownImages()
}

// Run implements nodes.Node.
func (n *MediaPipeFaceMeshVisualize) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkMarks(n.FaceLandmarks); err != nil {
		return nodes.Result{}, err
	}
	const rgb = 3
	b, h, w := len(n.FaceLandmarks.Frames), n.FaceLandmarks.Height, n.FaceLandmarks.Width
	if n.Image != nil {
		if err := checkImages(n.Image); err != nil {
			return nodes.Result{}, err
		}
		b, h, w = n.Image.Dim(0), n.Image.Dim(1), n.Image.Dim(2)
	}
	if b < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "drawing landmarks: they are of no image: connect an image")
	}
	if err := imaging.CheckSize("images with landmarks", b, h, w, rgb); err != nil {
		return nodes.Result{}, err
	}
	lines, rings, err := n.lines()
	if err != nil {
		return nodes.Result{}, err
	}
	color := [4]byte{0, 255, 0, 255} // also for texts that are no color
	if c, err := image.ParseColor(n.Color); err == nil {
		color = c
	}
	out := tensor.New(b, h, w, rgb)
	for i := range b {
		canvas := draw.New(w, h, rgb)
		if n.Image != nil {
			bytesOf(canvas.Pix, n.Image.Index(i))
		}
		if i < len(n.FaceLandmarks.Frames) {
			for _, f := range n.FaceLandmarks.Frames[i] {
				if err := n.face(ctx, canvas, f, lines, rings, color[:rgb]); err != nil {
					return nodes.Result{}, err
				}
			}
		}
		for k, v := range canvas.Pix {
			out.Data[i*h*w*rgb+k] = float32(v) / 255
		}
		ctx.Progress(float64(i+1), float64(b))
	}
	return nodes.Out(out), nil
}

// lines are the lines that are drawn, or the rings that are filled.
func (n *MediaPipeFaceMeshVisualize) lines() (lines [][2]int, rings [][]int, err error) {
	var parts []string
	switch n.Connections.Key {
	case "fill":
		edges, err := n.FaceLandmarks.part("face_oval")
		return nil, ringsOf(edges), err
	case "custom":
		in, ok := n.Connections.Inputs.(*DrawnParts)
		if !ok {
			return nil, nil, nodes.Errorf("KeyError", "drawing landmarks: the parts of 'custom' are missing")
		}
		parts = in.names()
	default:
		parts = append(append([]string{}, contours...), "irises", "nose")
	}
	for _, name := range parts {
		edges, err := n.FaceLandmarks.part(name)
		if err != nil {
			return nil, nil, err
		}
		lines = append(lines, edges...)
	}
	return lines, nil, nil
}

// face draws one face.
func (n *MediaPipeFaceMeshVisualize) face(ctx context.Context, c *draw.Canvas, f family.Face, lines [][2]int, rings [][]int, color []byte) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if n.Connections.Key == "fill" {
		fillRings(c, f, rings, color)
		return nil
	}
	if n.Thickness > 0 {
		for _, l := range lines {
			if max(l[0], l[1]) < len(f.Marks) {
				c.Line(pixel(f.Marks[l[0]]), pixel(f.Marks[l[1]]), n.Thickness, color)
			}
		}
	}
	for _, m := range f.Marks {
		switch r := float32(n.PointSize) / 2; {
		case n.PointSize == 1:
			p := pixel(m)
			c.Set(p.X, p.Y, color)
		case n.PointSize > 1:
			a, b := pixel([2]float32{m[0] - r, m[1] - r}), pixel([2]float32{m[0] + r, m[1] + r})
			c.Ellipse(a.X, a.Y, b.X, b.Y, color)
		}
	}
	return nil
}

// MaskedParts are the inputs of MediaPipeFaceMask for single parts.
type MaskedParts struct {
	FaceOval bool `in:"face_oval" default:"true" tooltip:"Put the face into the mask."`
	Lips     bool `in:"lips" default:"false" tooltip:"Put the lips into the mask."`
	LeftEye  bool `in:"left_eye" default:"false" tooltip:"Put the left eye into the mask."`
	RightEye bool `in:"right_eye" default:"false" tooltip:"Put the right eye into the mask."`
	Irises   bool `in:"irises" default:"false" tooltip:"Put the irises into the mask."`
}

// MediaPipeFaceMask makes masks of faces.
type MediaPipeFaceMask struct {
	FaceLandmarks *FaceLandmarks `in:"face_landmarks" type:"FACE_LANDMARKS"`
	Regions       nodes.Choice   `in:"regions" tooltip:"'all' joins face, lips, eyes and irises, which is the face; 'custom' joins the chosen parts."`
}

// DynamicOptions implements nodes.Dynamic.
func (*MediaPipeFaceMask) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "all"}, {Key: "custom", Inputs: &MaskedParts{}}}
}

// Spec implements nodes.Node.
func (*MediaPipeFaceMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MediaPipeFaceMask", DisplayName: "Draw Face Mask (MediaPipe)", Category: "image/detection", Module: moduleFaces, V3: true,
		Description:   "Makes masks of faces, or parts of them, from their landmarks.",
		Outputs:       nodes.Outputs("MASK"),
		SearchAliases: []string{"face", "facial", "mediapipe", "face mask", "blazeface", "face detection", "visualize"}, Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: the landmarks give the size.
func (*MediaPipeFaceMask) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *MediaPipeFaceMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkMarks(n.FaceLandmarks); err != nil {
		return nodes.Result{}, err
	}
	names := []string{"face_oval", "lips", "left_eye", "right_eye", "irises"}
	if in, ok := n.Regions.Inputs.(*MaskedParts); ok && n.Regions.Key == "custom" {
		names = chosen(names, in.FaceOval, in.Lips, in.LeftEye, in.RightEye, in.Irises)
	}
	var rings [][]int
	for _, name := range names {
		edges, err := n.FaceLandmarks.part(name)
		if err != nil {
			return nodes.Result{}, err
		}
		rings = append(rings, ringsOf(edges)...)
	}
	frames, h, w := n.FaceLandmarks.Frames, n.FaceLandmarks.Height, n.FaceLandmarks.Width
	if len(frames) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input face_landmarks: they are of no image")
	}
	if err := imaging.CheckSize("masks of faces", len(frames), h, w); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(len(frames), h, w)
	for i, faces := range frames {
		canvas := draw.New(w, h, 1)
		for _, f := range faces {
			if err := context.Cause(ctx); err != nil {
				return nodes.Result{}, err
			}
			fillRings(canvas, f, rings, []byte{255})
		}
		for k, v := range canvas.Pix {
			out.Data[i*h*w+k] = float32(v) / 255
		}
		ctx.Progress(float64(i+1), float64(len(frames)))
	}
	return nodes.Out(out), nil
}

// checkMarks refuses values of links that are no landmarks.
func checkMarks(l *FaceLandmarks) error {
	if l == nil || l.Height < 1 || l.Width < 1 {
		return nodes.Errorf("AttributeError", "reading the input face_landmarks: there are no landmarks: connect MediaPipeFaceLandmarker")
	}
	return nil
}

// part are the lines of a part of a face.
func (l *FaceLandmarks) part(name string) ([][2]int, error) {
	edges, ok := l.Lines[name]
	if !ok {
		return nil, nodes.Errorf("KeyError", "drawing landmarks: the file of the face landmark model has no tensor topology.%s", name)
	}
	return edges, nil
}

// ringsOf joins lines to rings of landmarks.
func ringsOf(edges [][2]int) [][]int {
	next := map[int][]int{}
	var order []int
	add := func(a, b int) {
		if next[a] == nil {
			order = append(order, a)
		}
		next[a] = append(next[a], b)
	}
	for _, e := range edges {
		add(e[0], e[1])
		add(e[1], e[0])
	}
	seen := map[int]bool{}
	var out [][]int
	for _, start := range order {
		if seen[start] {
			continue
		}
		ring, before, at := []int{start}, -1, start
		seen[start] = true
		for len(ring) <= len(order) {
			to := start
			for _, v := range next[at] {
				if v != before {
					to = v
					break
				}
			}
			if to == start {
				break
			}
			ring, before, at = append(ring, to), at, to
			seen[to] = true
		}
		out = append(out, ring)
	}
	return out
}

// fillRings fills the rings of landmarks of a face.
func fillRings(c *draw.Canvas, f family.Face, rings [][]int, color []byte) {
	for _, ring := range rings {
		var points []draw.Point
		for _, i := range ring {
			if i < len(f.Marks) {
				points = append(points, pixel(f.Marks[i]))
			}
		}
		c.Area(points, color)
	}
}

// pixel cuts off the fractions of a place.
func pixel(p [2]float32) draw.Point {
	const most = 1 << 20
	whole := func(v float32) int {
		if v-v != 0 {
			return -most
		}
		return int(math.Trunc(float64(min(max(v, -most), most))))
	}
	return draw.Point{X: whole(p[0]), Y: whole(p[1])}
}

// bytesOf stores the first three channels of an image [H,W,C] in 0…1 as bytes.
func bytesOf(to []byte, image *tensor.Tensor) {
	const rgb = 3
	c := image.Dim(2)
	for i := range len(to) / rgb {
		for k := range rgb {
			v := image.Data[i*c+k]*255 + 0.5
			if v-v != 0 {
				v = 0
			}
			to[i*rgb+k] = byte(min(max(v, 0), 255))
		}
	}
}
