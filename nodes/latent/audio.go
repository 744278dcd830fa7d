package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyLatentAudio{})
	nodes.Register(&ConditioningStableAudio{})
}

// EmptyLatentAudio makes empty audio latents of Stable Audio.
type EmptyLatentAudio struct {
	Seconds   float64 `in:"seconds" default:"47.6" min:"1.0" max:"1000.0" step:"0.1"`
	BatchSize int     `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Number of latents."`
}

// Spec implements nodes.Node.
func (*EmptyLatentAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyLatentAudio", DisplayName: "Empty Latent Audio", Category: "model/latent",
		Module: "comfy_extras.nodes_audio", V3: true,
		EssentialsCategory: "Audio",
		Outputs:            nodes.Outputs("LATENT"),
		Uses:               nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyLatentAudio) Sizes(s *nodes.Sizing) nodes.Images { return noImages(s) }

// Run implements nodes.Node.
func (n *EmptyLatentAudio) Run(*nodes.Context) (nodes.Result, error) {
	const rate, hop = 44100, 2048
	length, err := wholeLength(math.RoundToEven(n.Seconds*rate/hop/2) * 2)
	if err != nil {
		return nodes.Result{}, err
	}
	return Empty("audio latents", engine.Latent{Type: "audio", TemporalRatio: hop}, n.BatchSize, 64, length)
}

// ConditioningStableAudio sets start and duration of the audio in conditionings.
type ConditioningStableAudio struct {
	Positive     engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative     engine.Conditioning `in:"negative" type:"CONDITIONING"`
	SecondsStart float64             `in:"seconds_start" default:"0.0" min:"0.0" max:"1000.0" step:"0.1"`
	SecondsTotal float64             `in:"seconds_total" default:"47.0" min:"0.0" max:"1000.0" step:"0.1"`
}

// Spec implements nodes.Node.
func (*ConditioningStableAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ConditioningStableAudio", Category: "model/conditioning/stable audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ConditioningStableAudio) Run(*nodes.Context) (nodes.Result, error) {
	values := map[string]any{"seconds_start": n.SecondsStart, "seconds_total": n.SecondsTotal}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values)), nil
}
