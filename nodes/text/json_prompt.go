package text

import (
	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&BuildJsonPromptIdeogram{})
}

// BuildJsonPromptIdeogramStyle1 are the inputs of style for "photo".
type BuildJsonPromptIdeogramStyle1 struct {
	Photo string `in:"photo" default:"" tooltip:"Camera and lens of a photograph, such as 35mm, f/1.4."`
}

// BuildJsonPromptIdeogramStyle2 are the inputs of style for "art_style".
type BuildJsonPromptIdeogramStyle2 struct {
	ArtStyle string `in:"art_style" default:"" tooltip:"Style of an artwork, such as flat vector illustration."`
}

// BuildJsonPromptIdeogram builds the JSON prompt that Ideogram 4 is trained with.
type BuildJsonPromptIdeogram struct {
	Element              any          `in:"element" type:"ARRAY" tooltip:"Prompt elements from Create Bounding Boxes."`
	HighLevelDescription string       `in:"high_level_description" default:"" multiline:"true" tooltip:"Description of the image in one or two sentences; optional, but recommended."`
	Background           string       `in:"background" default:"" multiline:"true" tooltip:"Description of the background or surroundings."`
	Style                nodes.Choice `in:"style"`
	Aesthetics           string       `in:"aesthetics" default:"" tooltip:"Keywords for the look, such as moody or cinematic."`
	Lighting             string       `in:"lighting" default:"" tooltip:"Description of the light, such as golden hour."`
	Medium               string       `in:"medium" default:"" tooltip:"Kind of image, such as photograph, illustration or 3d_render. Use photograph with the style photo."`
	ColorPalette         any          `in:"color_palette" type:"COLORS" default:"[]" socketless:"false" tooltip:"Hex colors that dominate the image, up to 16."`
}

// DynamicOptions implements nodes.Dynamic.
func (*BuildJsonPromptIdeogram) DynamicOptions(input string) []nodes.Option {
	switch input {
	case "style":
		return []nodes.Option{{Key: "none"}, {Key: "photo", Inputs: &BuildJsonPromptIdeogramStyle1{}}, {Key: "art_style", Inputs: &BuildJsonPromptIdeogramStyle2{}}}
	}
	return nil
}

// Spec implements nodes.Node.
func (*BuildJsonPromptIdeogram) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BuildJsonPromptIdeogram", DisplayName: "Build JSON Prompt (Ideogram)", Category: "text",
		Module: "comfy_extras.nodes_json_prompt", V3: true,
		Outputs:      []nodes.Output{{Type: "DICT", Name: "prompt"}},
		Experimental: true,
		Description:  "Builds a JSON prompt for the Ideogram 4 model.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *BuildJsonPromptIdeogram) Run(*nodes.Context) (nodes.Result, error) {
	elements, ok := n.Element.([]any)
	if !ok {
		elements = []any{}
	}
	caption := pyjson.NewObject()
	if pystr.Strip(n.HighLevelDescription) != "" {
		caption.Set("high_level_description", n.HighLevelDescription)
	}
	if n.Style.Key != "none" && n.Style.Key != "" {
		style := pyjson.NewObject("aesthetics", n.Aesthetics, "lighting", n.Lighting)
		switch in := n.Style.Inputs.(type) {
		case *BuildJsonPromptIdeogramStyle1:
			style.Set("photo", in.Photo).Set("medium", n.Medium)
		case *BuildJsonPromptIdeogramStyle2:
			style.Set("medium", n.Medium).Set("art_style", in.ArtStyle)
		default:
			style.Set("medium", n.Medium).Set("art_style", "")
		}
		palette, err := palette(n.ColorPalette)
		if err != nil {
			return nodes.Result{}, err
		}
		if len(palette) > 0 {
			style.Set("color_palette", palette)
		}
		caption.Set("style_description", style)
	}
	caption.Set("compositional_deconstruction", pyjson.NewObject("background", n.Background, "elements", elements))
	return nodes.Out(caption), nil
}

// palette returns the texts of a list or the values of an object in upper case.
func palette(v any) ([]any, error) {
	var list []any
	switch v := v.(type) {
	case nil:
	case []any:
		list = v
	case *pyjson.Object:
		for _, e := range v.All() {
			list = append(list, e)
		}
	default:
		return nil, nodes.Errorf("TypeError", "reading color_palette: a %s is no list of colors", pyjson.TypeName(v))
	}
	out := []any{}
	for _, e := range list {
		if s, ok := e.(string); ok && s != "" {
			out = append(out, pystr.Upper(s))
		}
	}
	return out, nil
}
