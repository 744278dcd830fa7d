package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyAceStepLatentAudio{})
	nodes.Register(&EmptyAceStep15LatentAudio{})
	nodes.Register(&ReferenceTimbreAudio{})
}

// EmptyAceStepLatentAudio makes empty audio latents of ACE-Step.
type EmptyAceStepLatentAudio struct {
	Seconds   float64 `in:"seconds" default:"120.0" min:"1.0" max:"1000.0" step:"0.1"`
	BatchSize int     `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Number of latents."`
}

// Spec implements nodes.Node.
func (*EmptyAceStepLatentAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyAceStepLatentAudio", DisplayName: "Empty Ace Step 1.0 Latent Audio", Category: "model/latent/ace",
		Module: "comfy_extras.nodes_ace", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyAceStepLatentAudio) Sizes(s *nodes.Sizing) nodes.Images { return noImages(s) }

// Run implements nodes.Node.
func (n *EmptyAceStepLatentAudio) Run(*nodes.Context) (nodes.Result, error) {
	const rate, hop, patch = 44100, 512, 8
	length, err := wholeLength(n.Seconds * rate / hop / patch)
	if err != nil {
		return nodes.Result{}, err
	}
	return Empty("audio latents", engine.Latent{Type: "audio"}, n.BatchSize, 8, 16, length)
}

// EmptyAceStep15LatentAudio makes empty audio latents of ACE-Step 1.5.
type EmptyAceStep15LatentAudio struct {
	Seconds   float64 `in:"seconds" default:"120.0" min:"1.0" max:"1000.0" step:"0.01"`
	BatchSize int     `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Number of latents."`
}

// Spec implements nodes.Node.
func (*EmptyAceStep15LatentAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyAceStep1.5LatentAudio", DisplayName: "Empty Ace Step 1.5 Latent Audio", Category: "model/latent/ace",
		Module: "comfy_extras.nodes_ace", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyAceStep15LatentAudio) Sizes(s *nodes.Sizing) nodes.Images { return noImages(s) }

// Run implements nodes.Node.
func (n *EmptyAceStep15LatentAudio) Run(*nodes.Context) (nodes.Result, error) {
	const rate, hop, ratio = 48000, 1920, 1764
	length, err := wholeLength(math.RoundToEven(n.Seconds * rate / hop))
	if err != nil {
		return nodes.Result{}, err
	}
	return Empty("audio latents", engine.Latent{Type: "audio", TemporalRatio: ratio}, n.BatchSize, 64, length)
}

// ReferenceTimbreAudio adds a reference for the timbre to a conditioning.
type ReferenceTimbreAudio struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Latent       engine.Latent       `in:"latent" type:"LATENT" optional:"true"`
}

// Spec implements nodes.Node.
func (*ReferenceTimbreAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ReferenceTimbreAudio", DisplayName: "Set Reference Audio", Category: "model/conditioning",
		Module: "comfy_extras.nodes_ace", V3: true,
		Outputs:      nodes.Outputs("CONDITIONING"),
		Experimental: true,
		Description:  "Sets the audio whose timbre ACE-Step 1.5 imitates.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ReferenceTimbreAudio) Run(*nodes.Context) (nodes.Result, error) {
	if n.Latent.Samples == nil {
		return nodes.Out(n.Conditioning), nil
	}
	return nodes.Out(n.Conditioning.Append("reference_audio_timbre_latents", []any{n.Latent.Samples})), nil
}
