package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyMiniMaxMusic3LatentAudio{})
}

// EmptyMiniMaxMusic3LatentAudio makes empty audio latents of MiniMax Music.
type EmptyMiniMaxMusic3LatentAudio struct {
	Seconds   float64 `in:"seconds" default:"120.0" min:"0.04" max:"360.0" step:"0.04"`
	BatchSize int     `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyMiniMaxMusic3LatentAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyMiniMaxMusic3LatentAudio", DisplayName: "Empty MiniMax Music3 Latent Audio", Category: "model/latent/minimax music",
		Module: "comfy_extras.nodes_minimax_music", V3: true,
		Outputs:     nodes.Outputs("LATENT"),
		Description: "Makes empty audio latents of MiniMax Music 3 for a duration.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyMiniMaxMusic3LatentAudio) Sizes(s *nodes.Sizing) nodes.Images { return noImages(s) }

// Run implements nodes.Node.
func (n *EmptyMiniMaxMusic3LatentAudio) Run(*nodes.Context) (nodes.Result, error) {
	const perSecond, most, hop = 25, 9000, 512
	if math.IsNaN(n.Seconds) {
		return nodes.Result{}, errNoLength
	}
	frames := min(most, max(1, math.RoundToEven(n.Seconds*perSecond)))
	length := max(1, int(frames*44100/24000*960/hop))
	return Empty("audio latents", engine.Latent{Type: "audio", TemporalRatio: hop}, n.BatchSize, 128, length)
}
