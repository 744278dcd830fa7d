package workflow

import (
	"slices"

	"comfygo/internal/pyjson"
)

// Definitions returns the entry of a node class in /object_info, or nil if there is no such class.
type Definitions func(class string) *pyjson.Object

// class is a node class as the front end sees it.
type class struct {
	name    string
	title   string
	inputs  []spec // in the order in which sockets and widgets are made
	outputs []outputSpec
	output  bool // the class is an output node
}

type outputSpec struct {
	name, typ string
	matches   string // the group of a type that follows the inputs' types, "" for none
}

// classes reads definitions when they are first needed.
type classes struct {
	source Definitions
	known  map[string]*class
}

// get returns the class of a name, or nil.
func (c *classes) get(name string) *class {
	if found, ok := c.known[name]; ok {
		return found
	}
	var made *class
	if def := c.source(name); def != nil {
		made = readClass(name, def)
	}
	c.known[name] = made
	return made
}

func readClass(name string, def *pyjson.Object) *class {
	c := &class{name: name, title: def.String("display_name")}
	if c.title == "" {
		c.title = name
	}
	isOutput, _ := def.Get("output_node")
	c.output = isOutput == true
	input := def.Object("input")
	all := append(readSpecs(input.Object("required"), false), readSpecs(input.Object("optional"), true)...)
	c.inputs = ordered(extended(name, all), def.Object("input_order"))
	types, _ := def.Get("output")
	names, _ := def.Get("output_name")
	groups, _ := def.Get("output_matchtypes")
	for i, t := range list(types) {
		o := outputSpec{typ: typeText(t), name: str(at(names, i)), matches: str(at(groups, i))}
		if o.typ == typeMatch {
			o.typ = anyType
		}
		c.outputs = append(c.outputs, o)
	}
	return c
}

// ordered sorts inputs as input_order says: the required ones, the optional ones, then those that it does not name.
func ordered(specs []spec, order *pyjson.Object) []spec {
	if order.Len() == 0 {
		return specs
	}
	var out []spec
	taken := make([]bool, len(specs))
	for _, group := range []string{"required", "optional"} {
		names, _ := order.Get(group)
		for _, n := range list(names) {
			i := slices.IndexFunc(specs, func(s spec) bool { return s.name == n && s.optional == (group == "optional") })
			if i >= 0 && !taken[i] {
				taken[i] = true
				out = append(out, specs[i])
			}
		}
	}
	for i, s := range specs {
		if !taken[i] {
			out = append(out, s)
		}
	}
	return out
}

// extended adds the inputs that extensions of the front end give to classes: buttons for uploads and players.
func extended(name string, specs []spec) []spec {
	add := func(input, typ string) {
		specs = append(specs, spec{name: input, typ: typ, options: pyjson.NewObject()})
	}
	for _, s := range specs {
		if !s.optional && s.typ == typeCombo && (s.on("image_upload") || s.on("animated_image_upload") || s.on("video_upload")) {
			add("upload", "IMAGEUPLOAD")
			break
		}
	}
	switch name {
	case "SaveGLB", "Preview3D":
		add("image", "PREVIEW_3D")
	case "Load3DAdvanced":
		add("viewport_state", "LOAD_3D_ADVANCED")
	case "LoadAudio", "SaveAudio", "PreviewAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced":
		add("audioUI", "AUDIO_UI")
	}
	for _, s := range specs {
		if s.name == "audio" && !s.optional && s.on("audio_upload") {
			add("upload", "AUDIOUPLOAD")
			break
		}
	}
	return specs
}
