package image

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/draw"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SDPoseDrawKeypoints{})
}

// SDPoseDrawKeypoints draws poses.
type SDPoseDrawKeypoints struct {
	Keypoints      any     `in:"keypoints" type:"POSE_KEYPOINT"`
	DrawBody       bool    `in:"draw_body" default:"true"`
	DrawHands      bool    `in:"draw_hands" default:"true"`
	DrawFace       bool    `in:"draw_face" default:"true"`
	DrawFeet       bool    `in:"draw_feet" default:"false"`
	StickWidth     int     `in:"stick_width" default:"4" min:"1" max:"10" step:"1"`
	FacePointSize  int     `in:"face_point_size" default:"3" min:"1" max:"10" step:"1"`
	ScoreThreshold float64 `in:"score_threshold" default:"0.3" min:"0.0" max:"1.0" step:"0.01"`
	DrawHead       bool    `in:"draw_head" default:"true"`
}

// Spec implements nodes.Node.
func (*SDPoseDrawKeypoints) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SDPoseDrawKeypoints", DisplayName: "SDPose Draw Keypoints", Category: "image/detection",
		Module: modulePose, V3: true,
		Outputs:       nodes.Outputs("IMAGE"),
		SearchAliases: []string{"openpose", "pose detection", "preprocessor", "keypoints", "pose"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: the canvas is part of the keypoints.
func (*SDPoseDrawKeypoints) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node. All frames have the size of the first one's canvas.
func (n *SDPoseDrawKeypoints) Run(ctx *nodes.Context) (nodes.Result, error) {
	frames, err := posesOf(n.Keypoints)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(frames) == 0 {
		const side = 64
		return nodes.Out(tensor.New(1, side, side, 3)), nil
	}
	const most = 10
	if n.StickWidth < 1 || n.StickWidth > most || n.FacePointSize < 1 || n.FacePointSize > most {
		return nodes.Result{}, nodes.Errorf("ValueError", "drawing poses: stick_width is %d and face_point_size %d, want 1 to %d", n.StickWidth, n.FacePointSize, most)
	}
	w, h := frames[0].width, frames[0].height
	if err := imaging.CheckSize("images of poses", len(frames), h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(len(frames), h, w, 3)
	for i, f := range frames {
		canvas := draw.New(w, h, 3)
		for _, person := range f.people {
			if err := context.Cause(ctx); err != nil {
				return nodes.Result{}, err
			}
			if err := n.draw(canvas, person); err != nil {
				return nodes.Result{}, fmt.Errorf("drawing frame %d: %w", i, err)
			}
		}
		imaging.FromBytes(out.Index(i).Data, canvas.Pix)
	}
	return nodes.Out(out), nil
}

// keypoint is a point of a pose in pixels with the certainty of its detection.
type keypoint struct{ x, y, score float32 }

// Numbers of keypoints that a pose has of each part (OpenPose, with the 68 points of a face and two of the eyes).
const (
	bodyPoints = 18
	feetPoints = 6
	facePoints = 70
	handPoints = 21
)

// limbs joins points of the body, head those of the head, fingers those of a hand.
var (
	limbs   = [][2]int{{1, 2}, {1, 5}, {2, 3}, {3, 4}, {5, 6}, {6, 7}, {1, 8}, {8, 9}, {9, 10}, {1, 11}, {11, 12}, {12, 13}}
	head    = [][2]int{{1, 0}, {0, 14}, {14, 16}, {0, 15}, {15, 17}}
	fingers = func() (edges [][2]int) {
		for first := 1; first < handPoints; first += 4 {
			edges = append(edges, [2]int{0, first}, [2]int{first, first + 1}, [2]int{first + 1, first + 2}, [2]int{first + 2, first + 3})
		}
		return edges
	}()
	// poseColors are those of DWPose, in the order of limbs and points.
	poseColors = [bodyPoints][3]byte{
		{255, 0, 0},
		{255, 85, 0},
		{255, 170, 0},
		{255, 255, 0},
		{170, 255, 0},
		{85, 255, 0},
		{0, 255, 0},
		{0, 255, 85},
		{0, 255, 170},
		{0, 255, 255},
		{0, 170, 255},
		{0, 85, 255},
		{0, 0, 255},
		{85, 0, 255},
		{170, 0, 255},
		{255, 0, 255},
		{255, 0, 170},
		{255, 0, 85},
	}
)

// headPoint reports whether a point of the body is the nose, an eye or an ear.
func headPoint(i int) bool { return i == 0 || i >= 14 }

func (n *SDPoseDrawKeypoints) draw(c *draw.Canvas, person *pyjson.Object) error {
	parts := map[string][]keypoint{}
	for _, part := range []struct {
		key   string
		count int
	}{
		{"pose_keypoints_2d", bodyPoints},
		{"foot_keypoints_2d", feetPoints},
		{"face_keypoints_2d", facePoints},
		{"hand_right_keypoints_2d", handPoints},
		{"hand_left_keypoints_2d", handPoints},
	} {
		points, err := keypoints(person, part.key, part.count)
		if err != nil {
			return err
		}
		parts[part.key] = points
	}
	p := &pen{Canvas: c, threshold: float32(n.ScoreThreshold)}
	if n.DrawBody || n.DrawHead {
		if err := n.drawBody(p, parts["pose_keypoints_2d"]); err != nil {
			return err
		}
	}
	if n.DrawFeet {
		for i, k := range parts["foot_keypoints_2d"] {
			p.dot(k, pointSize, poseColors[i], false)
		}
	}
	if n.DrawHands {
		p.hand(parts["hand_right_keypoints_2d"])
		p.hand(parts["hand_left_keypoints_2d"])
	}
	if n.DrawFace {
		const eyes = 2 // drawn with the body
		for _, k := range parts["face_keypoints_2d"][:facePoints-eyes] {
			p.dot(k, n.FacePointSize, [3]byte{255, 255, 255}, true)
		}
	}
	return p.err
}

// pointSize is the radius of keypoints in pixels.
const pointSize = 4

func (n *SDPoseDrawKeypoints) drawBody(p *pen, points []keypoint) error {
	edges, first := limbs, 0
	switch {
	case !n.DrawBody:
		edges, first = head, len(limbs)
	case n.DrawHead:
		edges = append(edges[:len(edges):len(edges)], head...)
	}
	for i, edge := range edges {
		a, b := points[edge[0]], points[edge[1]]
		if a.score < p.threshold || b.score < p.threshold {
			continue
		}
		if err := limb(p.Canvas, a, b, n.StickWidth, poseColors[(i+first)%bodyPoints]); err != nil {
			return err
		}
	}
	const neck = 1
	for i, k := range points {
		if !n.DrawHead && headPoint(i) || !n.DrawBody && !headPoint(i) && i != neck {
			continue
		}
		p.dot(k, pointSize, poseColors[i], false)
	}
	return nil
}

// limb draws an ellipse between two points.
func limb(c *draw.Canvas, a, b keypoint, width int, color [3]byte) error {
	dy, dx := a.y-b.y, a.x-b.x
	length := math.Sqrt(float64(float32(dy*dy) + float32(dx*dx)))
	if length < 1 {
		return nil
	}
	mx, my := (a.x+b.x)/2, (a.y+b.y)/2
	if math.IsNaN(length) || length > maxCoordinate || math.Abs(float64(mx)) > maxCoordinate || math.Abs(float64(my)) > maxCoordinate {
		return nodes.Errorf("ValueError", "drawing a limb from %g, %g to %g, %g", a.x, a.y, b.x, b.y)
	}
	angle := math.Atan2(float64(dy), float64(dx)) * (180 / math.Pi)
	c.Polygon(draw.Oval(int(mx), int(my), int(length/2), width, int(angle)), color[:])
	return nil
}

// pen draws points that were detected with enough confidence.
type pen struct {
	*draw.Canvas

	threshold float32
	err       error
}

// dot draws a point on the canvas; inner ones must be off the left and the upper edge.
func (p *pen) dot(k keypoint, radius int, color [3]byte, inner bool) {
	if k.score < p.threshold {
		return
	}
	if x, y, ok := p.place(k); ok && (!inner || x > 0 && y > 0) {
		p.Disc(x, y, float64(radius), color[:])
	}
}

// place returns a point in whole pixels, or false if it is off the canvas.
func (p *pen) place(k keypoint) (x, y int, ok bool) {
	fx, fy := math.Trunc(float64(k.x)), math.Trunc(float64(k.y))
	if math.IsNaN(fx) || math.IsNaN(fy) || math.IsInf(fx, 0) || math.IsInf(fy, 0) {
		p.err = nodes.Errorf("ValueError", "drawing a pose: a keypoint is at %g, %g", k.x, k.y)
		return 0, 0, false
	}
	if fx < 0 || fy < 0 || fx >= float64(p.Width) || fy >= float64(p.Height) {
		return 0, 0, false
	}
	return int(fx), int(fy), true
}

func (p *pen) hand(points []keypoint) {
	for i, edge := range fingers {
		a, b := points[edge[0]], points[edge[1]]
		if a.score < p.threshold || b.score < p.threshold {
			continue
		}
		x0, y0, ok := p.place(a)
		x1, y1, too := p.place(b)
		if ok && too && min(x0, y0, x1, y1) > 0 {
			color := rainbow(float64(i) / float64(len(fingers)))
			p.Stroke(x0, y0, x1, y1, 2, color[:])
		}
	}
	for _, k := range points {
		p.dot(k, pointSize, [3]byte{0, 0, 255}, true)
	}
}

// rainbow is the full color of a hue in 0…1.
func rainbow(hue float64) [3]byte {
	sector, part := math.Modf(hue * 6)
	up, down := byte(255*(1-(1-part))), byte(255*(1-part))
	return [6][3]byte{{255, up, 0}, {down, 255, 0}, {0, 255, up}, {0, down, 255}, {up, 0, 255}, {255, 0, down}}[int(sector)%6]
}
