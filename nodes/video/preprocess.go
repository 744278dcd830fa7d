package video

import (
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
)

func init() { nodes.Register(&LTXVPreprocess{}) }

// LTXVPreprocess compresses images as a video frame, which LTX video models expect.
type LTXVPreprocess struct {
	Image       *tensor.Tensor `in:"image" type:"IMAGE"`
	Compression int            `in:"img_compression" default:"35" min:"0" max:"100" tooltip:"Constant rate factor of H.264; 0 leaves the images as they are."`
}

// Spec implements nodes.Node.
func (*LTXVPreprocess) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVPreprocess", DisplayName: "LTXV Preprocess", Category: "video/preprocessors",
		Module: "comfy_extras.nodes_lt", V3: true,
		Outputs:     []nodes.Output{{Type: "IMAGE", Name: "output_image"}},
		Description: "Gives images the artifacts of video compression, which LTX video models expect of their first frames. Needs ffmpeg.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVPreprocess) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. An odd width or height loses its last pixels.
func (n *LTXVPreprocess) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Image == nil || len(n.Image.Shape) != 4 || n.Image.Shape[0] == 0 || n.Image.Shape[3] != 3 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input image: it is not an image [batch, height, width, 3]")
	}
	if n.Compression == 0 {
		return nodes.Out(n.Image), nil
	}
	b, h, w := n.Image.Shape[0], n.Image.Shape[1]/2*2, n.Image.Shape[2]/2*2
	if h == 0 || w == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "compressing an image of %dx%d: want 2 pixels at least", n.Image.Shape[2], n.Image.Shape[1])
	}
	if err := imaging.CheckSize("compressed images", b, h, w, 3); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(b, h, w, 3)
	for i := range b {
		if err := videofile.Recompress(ctx, Env(ctx), out.Index(i), n.Image.Index(i), n.Compression); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(out), nil
}
