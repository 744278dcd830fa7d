package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyMiniMaxH3LatentAV{})
}

// EmptyMiniMaxH3LatentAV makes empty latents of video and audio of MiniMax H3.
type EmptyMiniMaxH3LatentAV struct {
	Width  int `in:"width" default:"1344" min:"32" max:"16384" step:"32"`
	Height int `in:"height" default:"768" min:"32" max:"16384" step:"32"`
	Length int `in:"length" default:"124" min:"5" max:"3600" step:"17" tooltip:"Number of frames at 24 frames a second, rounded up to 17*n+5; the model is trained with 124 to 362."`
}

// Spec implements nodes.Node.
func (*EmptyMiniMaxH3LatentAV) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyMiniMaxH3LatentAV", DisplayName: "Empty MiniMax H3 AV Latent", Category: "model/latent/minimax",
		Module: "comfy_extras.nodes_minimax_h3", V3: true,
		Outputs:     nodes.Outputs("LATENT"),
		Description: "Makes empty latents of video and audio for MiniMax H3. The number of frames is rounded up to 17*n+5.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyMiniMaxH3LatentAV) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyMiniMaxH3LatentAV) Run(*nodes.Context) (nodes.Result, error) {
	l, _, err := MiniMaxH3Latent(n.Width, n.Height, n.Length)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(l), nil
}

// MiniMaxH3Latent returns empty latents of video and audio of MiniMax H3 and the number of frames, which is rounded up to 17*n+5. The model runs at 24 frames
// and 40 audio latents a second.
func MiniMaxH3Latent(width, height, length int) (engine.Latent, int, error) {
	const fps, audioRate, chunk, first = 24, 40, 17, 5
	frames := max(first, length)
	frames += (chunk - (frames-first)%chunk) % chunk
	video, err := Empty("video latents", engine.Latent{}, 1, 24, (frames-first)/chunk*5+2, height/16, width/16)
	if err != nil {
		return engine.Latent{}, 0, err
	}
	audio := int(math.RoundToEven(float64(frames) / fps * audioRate))
	l, _ := video.Values[0].(engine.Latent)
	l.Along = []*tensor.Tensor{tensor.New(1, 32, 2, audio)}
	return l, frames, nil
}
