package latent

import (
	"math"
	"strconv"

	"comfygo/engine"
	"comfygo/engine/family/song"
	"comfygo/engine/sampling"
	"comfygo/engine/textgen"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyAceStepLatentAudio{})
	nodes.Register(&EmptyAceStep15LatentAudio{})
	nodes.Register(&ReferenceTimbreAudio{})
	nodes.Register(&TextEncodeAceStepAudio{})
	nodes.Register(&TextEncodeAceStepAudio15{})
}

// TextEncodeAceStepAudio encodes tags and lyrics for ACE-Step.
type TextEncodeAceStepAudio struct {
	CLIP     *engine.CLIP `in:"clip" type:"CLIP"`
	Tags     string       `in:"tags" multiline:"true" dynamicPrompts:"true"`
	Lyrics   string       `in:"lyrics" multiline:"true" dynamicPrompts:"true"`
	Strength float64      `in:"lyrics_strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*TextEncodeAceStepAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeAceStepAudio", Category: "model/conditioning/ace", Module: "comfy_extras.nodes_ace", V3: true,
		Description: "Encodes tags and lyrics for ACE-Step.",
		Outputs:     nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextEncodeAceStepAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	s := song.Plain
	s.Lyrics = n.Lyrics
	c, err := encodeSong(ctx, n.CLIP, n.Tags, s)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c.With(map[string]any{sampling.KeyLyricsStrength: n.Strength})), nil
}

// TextEncodeAceStepAudio15 encodes tags, lyrics and figures of a song for ACE-Step 1.5.
type TextEncodeAceStepAudio15 struct {
	CLIP        *engine.CLIP `in:"clip" type:"CLIP"`
	Tags        string       `in:"tags" multiline:"true" dynamicPrompts:"true"`
	Lyrics      string       `in:"lyrics" multiline:"true" dynamicPrompts:"true"`
	Seed        uint64       `in:"seed" type:"INT" default:"0" min:"0" max:"18446744073709551615" control_after_generate:"true"`
	BPM         int          `in:"bpm" default:"120" min:"10" max:"300"`
	Duration    float64      `in:"duration" default:"120.0" min:"0.0" max:"2000.0" step:"0.1"`
	Beats       string       `in:"timesignature" options:"2|3|4|6"`
	Language    string       `in:"language" options:"ar|az|bg|bn|ca|cs|da|de|el|en|es|fa|fi|fr|he|hi|hr|ht|hu|id|is|it|ja|ko|la|lt|ms|ne|nl|no|pa|pl|pt|ro|ru|sa|sk|sr|sv|sw|ta|te|th|tl|tr|uk|ur|vi|yue|zh|unknown" default:"en"`
	Key         string       `in:"keyscale" options:"C major|C# major|Db major|D major|D# major|Eb major|E major|F major|F# major|Gb major|G major|G# major|Ab major|A major|A# major|Bb major|B major|C minor|C# minor|Db minor|D minor|D# minor|Eb minor|E minor|F minor|F# minor|Gb minor|G minor|G# minor|Ab minor|A minor|A# minor|Bb minor|B minor"`
	Codes       bool         `in:"generate_audio_codes" default:"true" advanced:"true" tooltip:"Has the language model write audio codes first, which takes time and improves the music. Not needed with a reference audio."`
	Guidance    float64      `in:"cfg_scale" default:"2.0" min:"0.0" max:"100.0" step:"0.1" advanced:"true"`
	Temperature float64      `in:"temperature" default:"0.85" min:"0.0" max:"2.0" step:"0.01" advanced:"true"`
	TopP        float64      `in:"top_p" default:"0.9" min:"0.0" max:"2000.0" step:"0.01" advanced:"true"`
	TopK        int          `in:"top_k" default:"0" min:"0" max:"100" advanced:"true"`
	MinP        float64      `in:"min_p" default:"0.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
}

// Spec implements nodes.Node.
func (*TextEncodeAceStepAudio15) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeAceStepAudio1.5", Category: "model/conditioning/ace", Module: "comfy_extras.nodes_ace", V3: true,
		Description: "Encodes tags, lyrics and figures of a song for ACE-Step 1.5, and has its language model write the codes of the music.",
		Outputs:     nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextEncodeAceStepAudio15) Run(ctx *nodes.Context) (nodes.Result, error) {
	beats, err := strconv.Atoi(n.Beats)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding a song: timesignature is %q, wanted a number", n.Beats)
	}
	c, err := encodeSong(ctx, n.CLIP, n.Tags, song.Song{
		Lyrics: n.Lyrics, Language: n.Language, Key: n.Key, BPM: n.BPM, Beats: beats, Duration: n.Duration, NoCodes: !n.Codes, Guidance: n.Guidance,
		Choose: textgen.Options{Sample: true, Temperature: n.Temperature, TopP: n.TopP, TopK: n.TopK, MinP: n.MinP, Seed: n.Seed},
	})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}

// encodeSong encodes tags and a song.
func encodeSong(ctx *nodes.Context, clip *engine.CLIP, tags string, s song.Song) (engine.Conditioning, error) {
	if clip == nil {
		return nil, nodes.Errorf("AttributeError", "encoding a song: there is no text encoder. A checkpoint without one was loaded; add a node that loads it from its own file")
	}
	if clip.Type() != "ace" {
		ctx.Warn("encoding a song: all but the tags has no effect with a text encoder of type " + clip.Type() + "; load that of ACE-Step, type ace")
	}
	s.Progress = func(done, of int) { ctx.Progress(float64(done), float64(of)) }
	return clip.EncodePrompt(ctx, engine.Prompt{Text: tags, Extra: s})
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
