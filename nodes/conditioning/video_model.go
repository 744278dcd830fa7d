package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SVDImg2vidConditioning{})
}

// SVDImg2vidConditioning prepares an image for Stable Video Diffusion.
type SVDImg2vidConditioning struct {
	Vision            *engine.ImageEncoder `in:"clip_vision" type:"CLIP_VISION"`
	InitImage         *tensor.Tensor       `in:"init_image" type:"IMAGE"`
	VAE               *engine.VAE          `in:"vae" type:"VAE"`
	Width             int                  `in:"width" default:"1024" min:"16" max:"16384" step:"8"`
	Height            int                  `in:"height" default:"576" min:"16" max:"16384" step:"8"`
	VideoFrames       int                  `in:"video_frames" default:"14" min:"1" max:"4096"`
	MotionBucketID    int                  `in:"motion_bucket_id" default:"127" min:"1" max:"1023" advanced:"true"`
	FPS               int                  `in:"fps" default:"6" min:"1" max:"1024"`
	AugmentationLevel float64              `in:"augmentation_level" default:"0.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SVDImg2vidConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SVD_img2vid_Conditioning", Category: "model/conditioning/stable video",
		Module:      "comfy_extras.nodes_video_model",
		Description: "Encodes the first frame of a video for Stable Video Diffusion and makes an empty latent for the video.",
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*SVDImg2vidConditioning) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "video_frames")
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *SVDImg2vidConditioning) Run(ctx *nodes.Context) (nodes.Result, error) {
	start, err := startOf(ctx, n.Vision, n.InitImage, n.VAE, n.Width, n.Height, n.AugmentationLevel)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := start.entries(start.embeds, map[string]any{
		sampling.KeyMotionBucket: n.MotionBucketID, sampling.KeyFPS: n.FPS, sampling.KeyAugmentation: n.AugmentationLevel,
	})
	return withLatent(pos, neg, engine.Latent{}, n.VideoFrames, n.Width, n.Height)
}
