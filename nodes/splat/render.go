package splat

import (
	"context"
	"math"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/splat"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&RenderSplat{}) }

// RenderSplat renders splats as images.
type RenderSplat struct {
	Splat            *geometry.Splats `in:"splat" type:"SPLAT"`
	Width            int              `in:"width" default:"1024" min:"64" max:"2048" step:"8"`
	Height           int              `in:"height" default:"1024" min:"64" max:"2048" step:"8"`
	Frames           int              `in:"frames" default:"1" min:"-240" max:"240" tooltip:"-1, 0 and 1 make one image; more make a full turn around the target, negative numbers the other way."`
	SplatScale       float64          `in:"splat_scale" advanced:"true" default:"1.0" min:"0.1" max:"5.0" step:"0.05" tooltip:"Multiplies the size of the splats: smaller is crisper, larger closes gaps."`
	Sharpen          float64          `in:"sharpen" default:"2.0" min:"1.0" max:"8.0" step:"0.5" tooltip:"1 blends overlapping splats as they are; more gives the densest one more weight."`
	HeadlightShading float64          `in:"headlight_shading" advanced:"true" default:"0.0" min:"0.0" max:"3.0" step:"0.05" tooltip:"Darkens what is turned away from the camera."`
	OpacityThreshold float64          `in:"opacity_threshold" advanced:"true" default:"0.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Leaves out splats of less opacity."`
	RenderStyle      string           `in:"render_style" options:"color|clay|depth|normal" tooltip:"color, clay (shaded without color), depth (near is bright) or normal (OpenGL's normal map)."`
	Background       any              `in:"background" type:"COLOR" default:"#000000" socketless:"true"`
	BgImage          *tensor.Tensor   `in:"bg_image" type:"IMAGE" optional:"true" tooltip:"Image behind the splats, in place of the background color; a batch gives each frame its own."`
	CameraInfo       any              `in:"camera_info" type:"LOAD3D_CAMERA" optional:"true" tooltip:"Camera of a 3D viewer or of Create Camera Info. Without one the splats fill the image."`
}

// Spec implements nodes.Node.
func (*RenderSplat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RenderSplat", DisplayName: "Render Splat", Category: "3d/splat",
		Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "image"}, {Type: "MASK", Name: "mask"}},
		Description:   "Renders Gaussian splats from a camera, or all around them.",
		SearchAliases: []string{"splat to image", "render splat", "gaussian turntable"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: how many items a batch of splats has is not known before.
func (*RenderSplat) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *RenderSplat) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := checkFinite("splat", n.Splat); err != nil {
		return nodes.Result{}, err
	}
	frames := max(n.Frames, -n.Frames, 1)
	total := frames * len(n.Splat.Items)
	if err := imaging.CheckSize("rendered images", total, n.Height, n.Width, 3+1); err != nil {
		return nodes.Result{}, err
	}
	background, err := hexColor(n.Background)
	if err != nil {
		return nodes.Result{}, err
	}
	plates, err := n.plates()
	if err != nil {
		return nodes.Result{}, err
	}
	images, masks := tensor.New(total, n.Height, n.Width, 3), tensor.New(total, n.Height, n.Width)
	k := 0
	for i := range n.Splat.Items {
		it := n.Splat.Items[i]
		if n.OpacityThreshold > 0 {
			if it, err = it.Select(ctx, func(g int) bool { return it.Opacities[g] >= float32(n.OpacityThreshold) }); err != nil {
				return nodes.Result{}, err
			}
		}
		camera, err := n.camera(ctx, &it)
		if err != nil {
			return nodes.Result{}, err
		}
		o := splat.Rendering{
			Width: n.Width, Height: n.Height, Scale: n.SplatScale, Sharpen: n.Sharpen, Headlight: n.HeadlightShading,
			Style: n.RenderStyle, Background: background,
		}
		if err := ctx.Reserve("rendering splats", o.RenderBytes(it.Count())); err != nil {
			return nodes.Result{}, err
		}
		for f := range frames {
			at := camera
			if frames > 1 {
				turn := 360 * float64(f) / float64(frames)
				if n.Frames < 0 {
					turn = -turn
				}
				at = camera.Orbited(turn)
			}
			if plates != nil {
				o.Plate = plates.Index(k % plates.Shape[0]).Data
			}
			img, mask, err := splat.Render(ctx, &it, at, o)
			if err != nil {
				return nodes.Result{}, err
			}
			copy(images.Index(k).Data, img)
			copy(masks.Index(k).Data, mask)
			k++
			if total > 1 {
				ctx.Progress(float64(k), float64(total))
			}
		}
	}
	return nodes.Out(images, masks), context.Cause(ctx)
}

// camera returns the camera of the input, or one that shows all splats from the right and above.
func (n *RenderSplat) camera(ctx *nodes.Context, it *geometry.SplatItem) (splat.Camera, error) {
	if n.CameraInfo == nil {
		return splat.Framed(ctx, it)
	}
	c, err := splat.ReadCamera(n.CameraInfo, splat.DefaultFOV)
	if err != nil {
		return c, nodes.Errorf("ValueError", "reading the input camera_info: %w", err)
	}
	return c, nil
}

// plates returns the images behind the splats in the size of the result, [B,H,W,3], or nil.
func (n *RenderSplat) plates() (*tensor.Tensor, error) {
	in := n.BgImage
	if in == nil {
		return nil, nil
	}
	if len(in.Shape) != 4 || len(in.Data) == 0 || in.Shape[3] == 2 {
		return nil, nodes.Errorf("ValueError", "reading the input bg_image: it has shape %v, want an image batch [B,H,W,C] of 1, 3 or 4 channels with at least one pixel", in.Shape)
	}
	c := in.Shape[3]
	rgb := tensor.New(in.Shape[0], in.Shape[1], in.Shape[2], 3)
	for i := range len(in.Data) / c {
		for k := range 3 {
			rgb.Data[3*i+k] = in.Data[i*c+min(k, c-1)]
		}
	}
	out, err := imaging.UpscaleImage(rgb, n.Width, n.Height, "bicubic", "disabled")
	if err != nil {
		return nil, failed("resizing bg_image", err)
	}
	if out == in || &out.Data[0] == &in.Data[0] {
		out = &tensor.Tensor{Shape: out.Shape, Data: slices.Clone(out.Data)}
	}
	for i, v := range out.Data {
		if math.IsNaN(float64(v)) {
			v = 0
		}
		out.Data[i] = min(max(v, 0), 1)
	}
	return out, nil
}

// hexColor reads #RRGGBB; text of another length is black, as upstream has it.
func hexColor(v any) (rgb [3]float32, err error) {
	s, _ := v.(string)
	s = strings.TrimLeft(s, "#")
	if len(s) != 6 {
		return rgb, nil
	}
	for c := range rgb {
		b, err := strconv.ParseUint(s[2*c:2*c+2], 16, 8)
		if err != nil {
			return rgb, nodes.Errorf("ValueError", "reading the input background: %q is not a color such as #33aaff", v)
		}
		rgb[c] = float32(float64(b) / 255)
	}
	return rgb, nil
}
