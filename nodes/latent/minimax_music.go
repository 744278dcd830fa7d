package latent

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/family/minimaxmusic"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyMiniMaxMusic3LatentAudio{})
	nodes.Register(&MiniMaxMusic3TextEncode{})
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

// MiniMaxMusic3TextEncode writes a song with the language model of MiniMax Music 3: the states of its frames are the conditioning.
type MiniMaxMusic3TextEncode struct {
	CLIP        *engine.CLIP `in:"clip" type:"CLIP"`
	Caption     string       `in:"caption" multiline:"true" dynamicPrompts:"true"`
	Lyrics      string       `in:"lyrics" multiline:"true" dynamicPrompts:"true"`
	Seed        uint64       `in:"seed" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true"`
	MaxDuration float64      `in:"max_duration" default:"120.0" min:"0.04" max:"360.0" step:"0.04" tooltip:"Longest duration in seconds; the model may end the song before."`
	CFGScale    float64      `in:"cfg_scale" advanced:"true" default:"1.5" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	TopK        int          `in:"top_k" advanced:"true" default:"50" min:"1" max:"16384"`
}

// Spec implements nodes.Node.
func (*MiniMaxMusic3TextEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MiniMaxMusic3TextEncode", DisplayName: "MiniMax Music3 Text Encode", Category: "model/conditioning/minimax music",
		Module: "comfy_extras.nodes_minimax_music", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING"}, {Type: "FLOAT", Name: "seconds"}},
		Description: "Writes a song of a caption and lyrics with the language model of MiniMax Music 3; the diffusion model makes its audio.",
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *MiniMaxMusic3TextEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	const perSecond, most = 25, 9000
	switch {
	case n.CLIP == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "writing a song: there is no text encoder. A checkpoint without one was loaded; add a node that loads it from its own file")
	case math.IsNaN(n.MaxDuration) || math.IsNaN(n.CFGScale):
		return nodes.Result{}, nodes.Errorf("ValueError", "writing a song: max_duration is %g and cfg_scale %g, wanted numbers", n.MaxDuration, n.CFGScale)
	}
	if taken, _ := n.CLIP.Takes(minimaxmusic.Key); !taken {
		return nodes.Result{}, nodes.Errorf("ValueError", "writing a song: the text encoder is one of type %s: load that of MiniMax Music 3 with CLIPLoader of type minimax", n.CLIP.Type())
	}
	frames := int(min(most, max(1, math.RoundToEven(n.MaxDuration*perSecond))))
	c, err := n.CLIP.EncodePrompt(ctx, engine.Prompt{Text: n.Caption, Extra: minimaxmusic.Song{
		Lyrics: n.Lyrics, Seed: n.Seed, Frames: frames, Guidance: n.CFGScale, Top: n.TopK,
		Progress: func(done, of int) { ctx.Progress(float64(done), float64(of)) },
	}})
	if err != nil {
		return nodes.Result{}, err
	}
	if len(c) == 0 || c[0].Tokens == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "writing a song: the text encoder gave no states")
	}
	rows := c[0].Tokens.Dim(0)
	scale := tensor.New(rows, 1, 1)
	for i := range scale.Data {
		scale.Data[i] = 1
	}
	return nodes.Out(c.With(map[string]any{minimaxmusic.KeyScale: scale}), minimaxmusic.Seconds(c[0].Tokens.Dim(1))), nil
}
