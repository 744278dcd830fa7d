package text

import (
	"regexp"
	"strings"

	"comfygo/engine"
	"comfygo/engine/family/gemma4"
	"comfygo/engine/family/ltxv"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TextGenerate{})
	nodes.Register(&TextGenerateLTX2Prompt{})
}

// Sampling are the inputs of generation by chance.
type Sampling struct {
	Temperature float64 `in:"temperature" default:"0.7" min:"0.01" max:"2.0" step:"0.000001"`
	TopK        int     `in:"top_k" default:"64" min:"0" max:"1000"`
	TopP        float64 `in:"top_p" default:"0.95" min:"0.0" max:"1.0" step:"0.01"`
	MinP        float64 `in:"min_p" default:"0.05" min:"0.0" max:"1.0" step:"0.01"`
	Repetition  float64 `in:"repetition_penalty" default:"1.05" min:"0.0" max:"5.0" step:"0.01"`
	Seed        uint64  `in:"seed" default:"0" min:"0" max:"18446744073709551615"`
	Presence    float64 `in:"presence_penalty" optional:"true" default:"0.0" min:"0.0" max:"5.0" step:"0.01"`
}

// generation are the inputs of both classes.
type generation struct {
	CLIP      *engine.CLIP   `in:"clip" type:"CLIP"`
	Prompt    string         `in:"prompt" multiline:"true" dynamicPrompts:"true" default:""`
	Image     *tensor.Tensor `in:"image" type:"IMAGE" optional:"true"`
	Video     *tensor.Tensor `in:"video" type:"IMAGE" optional:"true" tooltip:"Frames of a video of 24 a second, of which one a second is shown."`
	Audio     *media.Audio   `in:"audio" type:"AUDIO" optional:"true"`
	MaxLength int            `in:"max_length" default:"512" min:"1" max:"32768"`
	Mode      nodes.Choice   `in:"sampling_mode" display_name:"Sampling Mode"`
	Thinking  bool           `in:"thinking" optional:"true" default:"false" tooltip:"Has the model think before it answers, where it can."`
	Template  bool           `in:"use_default_template" optional:"true" default:"true" advanced:"true" tooltip:"Puts the model's own chat template around the prompt."`
}

// DynamicOptions implements nodes.Dynamic.
func (*generation) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "on", Inputs: &Sampling{}}, {Key: "off"}}
}

// text generates the text that follows a prompt.
func (n *generation) text(ctx *nodes.Context, prompt string) (string, error) {
	if n.CLIP == nil {
		return "", nodes.Errorf("RuntimeError", "generating text: there is no text encoder. A checkpoint without one was loaded; add a node that loads it from its own file")
	}
	if n.Image != nil && (len(n.Image.Shape) != 4 || n.Image.Dim(3) < 3 || n.Image.Len() == 0) {
		return "", nodes.Errorf("ValueError", "generating text: image holds no pixels of three channels")
	}
	if n.Video != nil && (len(n.Video.Shape) != 4 || n.Video.Dim(3) < 3 || n.Video.Len() == 0) {
		return "", nodes.Errorf("ValueError", "generating text: video holds no pixels of three channels")
	}
	if n.Audio != nil && (!n.Audio.Valid() || n.Audio.Waveform.Len() == 0) {
		return "", nodes.Errorf("ValueError", "generating text: audio holds no sound")
	}
	g := engine.Generation{
		MaxLength: n.MaxLength, Bare: !n.Template, Thinking: n.Thinking, Images: n.Image, Video: n.Video, Audio: n.Audio,
		Progress: func(done int) { ctx.Progress(float64(done), float64(n.MaxLength)) },
	}
	if s, ok := n.Mode.Inputs.(*Sampling); ok && n.Mode.Key == "on" {
		g.Choose = textgen.Options{
			Sample: true, Temperature: s.Temperature, TopK: s.TopK, TopP: s.TopP, MinP: s.MinP, Repetition: s.Repetition, Presence: s.Presence, Seed: s.Seed,
		}
	}
	return n.CLIP.Generate(ctx, prompt, g)
}

// TextGenerate has a language model go on with a prompt.
type TextGenerate struct{ generation }

// Spec implements nodes.Node.
func (*TextGenerate) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextGenerate", DisplayName: "Generate Text", Category: "text", Module: "comfy_extras.nodes_textgen", V3: true,
		Description:   "Has the language model of a text encoder answer a prompt.",
		SearchAliases: []string{"LLM", "gemma"},
		Outputs:       []nodes.Output{{Type: "STRING", Name: "generated_text"}},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextGenerate) Run(ctx *nodes.Context) (nodes.Result, error) {
	out, err := n.text(ctx, n.Prompt)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// TextGenerateLTX2Prompt has Gemma 3 write a prompt for LTX 2.
type TextGenerateLTX2Prompt struct{ generation }

// Spec implements nodes.Node.
func (*TextGenerateLTX2Prompt) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextGenerateLTX2Prompt", DisplayName: "Generate LTX2 Prompt", Category: "text", Module: "comfy_extras.nodes_textgen", V3: true,
		Description:   "Has Gemma 3 turn a short idea into a prompt for a video with sound by LTX 2.",
		SearchAliases: []string{"prompt enhance", "LLM", "gemma"},
		Outputs:       []nodes.Output{{Type: "STRING", Name: "generated_text"}},
		Uses:          nodes.UsesDevice,
	}
}

// The instructions for Gemma 3, in words of our own: upstream's are longer.
const (
	ltxShared = "Write in English, in the present tense, as one paragraph of plain prose without headings, lists, time stamps or markup. " +
		"Begin with the visual style (\"Style: …,\"; cinematic and realistic when none is asked for), then tell what happens in the order in which it happens. " +
		"Keep every element that the user names: subjects, actions, camera, speech and sound; do not move the camera, add people or have anyone speak unless the user asks for it. " +
		"Quote requested speech word for word, with the sound of the voice and the language where it is not English. " +
		"Describe the sounds along with the actions that make them. Name only what can be seen and heard, with restrained adjectives and small, plain gestures instead of emotions. " +
		"When the user's text is already a detailed prompt of this kind, change only what is missing. When you cannot do it, answer with the user's text as it is. Answer with the prompt alone."
	ltxText  = "You write prompts for a model that makes videos with sound. Turn the user's idea into a detailed prompt: choose setting, light, materials, clothing and movement where the user leaves them open. " + ltxShared
	ltxImage = "You write prompts for a model that makes a video with sound from its first frame, the image that you are shown. Describe what changes from that frame on, as the user asks for it, and do not repeat what the image shows anyway; " +
		"where the request does not fit the image, tell how the scene gets there. Keep it short. " + ltxShared
)

// thoughts are what a model thought aloud, to their end or to that of the text.
var thoughts = regexp.MustCompile(`(?s)<think>.*?(?:</think>|$)`)

// Run implements nodes.Node. A model that answers nothing leaves the prompt as it is.
func (n *TextGenerateLTX2Prompt) Run(ctx *nodes.Context) (nodes.Result, error) {
	system, media := ltxText, ""
	if n.Image != nil {
		system, media = ltxImage, "\n<image_soft_token>\n"
	}
	prompt := n.prompt(system, media)
	out, err := n.text(ctx, prompt)
	if err != nil {
		return nodes.Result{}, err
	}
	if out = strings.TrimSpace(thoughts.ReplaceAllString(out, "")); out == "" {
		out = n.Prompt
	}
	return nodes.Out(out), nil
}

// prompt returns the text for Gemma 3 or 4, whose markers differ.
func (n *TextGenerateLTX2Prompt) prompt(system, media string) string {
	if n.CLIP != nil {
		_, plain := n.CLIP.Takes(gemma4.Key)
		_, projected := n.CLIP.Takes(ltxv.KeyGemma4)
		if plain || projected {
			think, open, text := "", "<|channel>final\n", "user prompt: "+n.Prompt
			if n.Thinking {
				think, open = "<|think|>\n", ""
			}
			if n.Image != nil {
				media, text = "<|image><|image|><image|>\n\n", "User Raw Input Prompt: "+n.Prompt+"."
			}
			return "<|turn>system\n" + think + system + "<turn|>\n<|turn>user\n" + media + text + "<turn|>\n<|turn>model\n" + open
		}
	}
	return "<start_of_turn>system\n" + system + "<end_of_turn>\n<start_of_turn>user\n" + media + "\nUser Raw Input Prompt: " + n.Prompt + ".<end_of_turn>\n<start_of_turn>model\n"
}
