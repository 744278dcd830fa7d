package workflow

import (
	"math"
	"slices"
	"strconv"

	"comfygo/internal/pyjson"
)

// widgetTypes are the types of inputs that get a widget: the front end's own and those of its extensions.
var widgetTypes = map[string]bool{
	"INT": true, "FLOAT": true, "BOOLEAN": true, "STRING": true, "MARKDOWN": true, typeCombo: true, "IMAGEUPLOAD": true, "COLOR": true,
	"IMAGECOMPARE": true, "BOUNDING_BOX": true, "CHART": true, "GALLERIA": true, "PAINTER": true, "COMPOSITOR": true, "TEXTAREA": true,
	"CURVE": true, "RANGE": true, "VIDEO_EDIT": true, "BOUNDING_BOXES": true, "COLORS": true, typeDynamic: true,
	"AUDIO_UI": true, "AUDIOUPLOAD": true, "AUDIO_RECORD": true, "WEBCAM": true, "LOAD_3D": true, "PREVIEW_3D": true, "LOAD_3D_ADVANCED": true,
}

// widget is one value of a node that a person can change.
type widget struct {
	name    string
	kind    string
	value   any
	spec    *spec
	number  *numeric
	choices []any

	unsaved  bool // has no place in widgets_values
	hidden   bool // has no place in the prompt
	dynamic  bool // its text may hold {a|b} and comments
	filename bool // its text may hold %date% and %node.widget%

	get func() any  // of a computed value
	set func(v any) // of a widget whose value changes the node
}

// current is the widget's value.
func (w *widget) current() any {
	if w.get != nil {
		return w.get()
	}
	return w.value
}

// assign gives the widget a value.
func (w *widget) assign(v any) {
	if w.set != nil {
		w.set(v)
		return
	}
	w.value = v
}

// enter gives the widget a value as a person or a primitive does: numbers are rounded and bounded.
func (w *widget) enter(v any) {
	if w.number != nil {
		if f, ok := float(v); ok {
			v = w.number.fit(f, v)
		}
	}
	w.assign(v)
}

// numeric is how a number widget rounds what is entered.
type numeric struct {
	whole          bool
	min, max, step float64
	round          float64
	precision      int
}

// fit rounds a number; exact is the number as it was, returned when nothing changes.
func (n *numeric) fit(f float64, exact any) any {
	out := f
	switch {
	case n.whole && n.step == 1:
		out = math.Floor(f + 0.5)
	case n.whole:
		offset := math.Mod(n.min, n.step)
		out = math.Floor((f-offset)/n.step+0.5)*n.step + offset
	case n.round != 0:
		rounded := math.Floor(f/n.round+0.5) * n.round
		if r, err := strconv.ParseFloat(strconv.FormatFloat(rounded, 'f', n.precision, 64), 64); err == nil {
			rounded = r
		}
		out = min(max(rounded, n.min), n.max)
	}
	if out == f {
		return exact
	}
	return number(out)
}

func intNumeric(s *spec) *numeric {
	n := &numeric{whole: true, min: s.number("min", 0), max: s.number("max", 2048), step: s.number("step", 1)}
	if n.step == 0 {
		n.step = 1
	}
	return n
}

func floatNumeric(s *spec) *numeric {
	step := s.number("step", 0.5)
	n := &numeric{min: s.number("min", 0), max: s.number("max", 2048), step: step, round: s.number("round", 0)}
	if step > 0 {
		n.precision = int(min(20, max(0, -math.Floor(math.Log10(step)))))
	}
	if n.precision != 0 && n.round == 0 {
		n.round = math.Pow(10, -float64(n.precision))
	}
	return n
}

// addWidgets makes the widgets of an input and returns the one that the input belongs to.
func (n *node) addWidgets(s *spec) *widget {
	switch s.widgetType() {
	case "INT":
		return n.addNumber(s, intNumeric(s), slices.Contains([]string{"seed", "noise_seed"}, s.name), "randomize")
	case "FLOAT":
		return n.addNumber(s, floatNumeric(s), false, "fixed")
	case "BOOLEAN":
		return n.addPlain(s, "toggle", s.option("default", false))
	case "STRING":
		w := n.addPlain(s, "text", s.option("default", ""))
		if s.on("multiline") {
			w.kind = "customtext"
		}
		w.dynamic = s.on("dynamicPrompts")
		return w
	case typeCombo:
		return n.addCombo(s)
	case typeDynamic:
		return n.addDynamicCombo(s)
	case "BOUNDING_BOX":
		return n.addBox(s)
	case "COLOR":
		if w := n.find(s.name); w != nil && w.kind == "color" {
			return w
		}
		return n.addPlain(s, "color", s.option("default", object(s.option("options", nil)).String("default")))
	}
	return n.addSpecial(s)
}

func (n *node) addPlain(s *spec, kind string, value any) *widget {
	w := &widget{name: s.name, kind: kind, value: pyjson.CloneValue(value), spec: s}
	if kind == "color" && value == "" {
		w.value = "#000000"
	}
	n.widgets = append(n.widgets, w)
	return w
}

// addNumber makes a number and, for seeds, what is to become of it after a run.
func (n *node) addNumber(s *spec, numeric *numeric, control bool, after string) *widget {
	w := n.addPlain(s, "number", s.option("default", int64(0)))
	w.number = numeric
	if v, ok := s.options.Get("control_after_generate"); ok && v != nil {
		control = truthy(v)
		if text, ok := v.(string); ok && numeric.whole {
			after = text
		}
	}
	if control {
		n.addControl(s, after)
	}
	return w
}

// addControl makes the widget that says how another changes after a run.
func (n *node) addControl(s *spec, after string) {
	name := "control_after_generate"
	if text := s.options.String(name); text != "" {
		name = text
	} else if prefix := s.options.String("control_prefix"); prefix != "" {
		name = prefix + " " + name
	}
	n.widgets = append(n.widgets, &widget{
		name: name, kind: "combo", value: after, hidden: true,
		choices: []any{"fixed", "increment", "decrement", "randomize"},
	})
}

func (n *node) addCombo(s *spec) *widget {
	if s.on("multi_select") {
		return n.addPlain(s, "custom", []any{})
	}
	w := n.addPlain(s, "combo", absent{})
	w.choices = s.choices
	switch first := s.option("default", nil); {
	case truthy(first):
		w.value = first
	case len(s.choices) > 0:
		w.value = s.choices[0]
	case s.on("remote"):
		w.value = "Loading..."
	}
	if s.on("control_after_generate") {
		after := s.options.String("control_after_generate")
		if after == "" {
			after = "randomize"
		}
		n.addControl(s, after)
		n.widgets = append(n.widgets, &widget{name: "control_filter_list", kind: "string", value: "", hidden: true})
	}
	return w
}

// addBox makes a rectangle and the four numbers that show it.
func (n *node) addBox(s *spec) *widget {
	kind := "boundingbox"
	if s.options.String("component") == "ImageCrop" {
		kind = "imagecrop"
	}
	box := s.option("default", pyjson.NewObject("x", int64(0), "y", int64(0), "width", int64(512), "height", int64(512)))
	w := n.addPlain(s, kind, box)
	for _, side := range []string{"x", "y", "width", "height"} {
		v, _ := object(box).Get(side)
		n.widgets = append(n.widgets, &widget{name: side, kind: "number", value: v, hidden: true})
	}
	return w
}

// addSpecial makes the widgets of rare types.
func (n *node) addSpecial(s *spec) *widget {
	named := func(name, kind string, value any) *widget {
		w := &widget{name: name, kind: kind, value: value, spec: s}
		n.widgets = append(n.widgets, w)
		return w
	}
	switch s.widgetType() {
	case "IMAGEUPLOAD":
		w := named(s.name, "button", "image")
		w.hidden = true
		return w
	case "AUDIOUPLOAD":
		w := named(s.name, "button", "")
		w.hidden = true
		return w
	case "AUDIO_UI":
		w := named(s.name, "audioUI", "")
		w.hidden, w.unsaved = true, true
		return w
	case "AUDIO_RECORD":
		named(s.name, "audioUI", "")
		w := named(s.name, "audiorecord", "")
		w.hidden = true
		return w
	case "IMAGECOMPARE":
		w := named(s.name, "imagecompare", []any{"", ""})
		w.unsaved = true
		return w
	case "LOAD_3D":
		return n.addScene(s, named)
	case "PREVIEW_3D":
		return named("image", "load3D", "")
	case "LOAD_3D_ADVANCED":
		return named("viewport_state", "load3DAdvanced", "")
	case "MARKDOWN", "TEXTAREA", "PAINTER", "WEBCAM":
		return n.addPlain(s, s.widgetType(), s.option("default", ""))
	case "CURVE":
		return n.addPlain(s, "curve", s.option("default", pyjson.NewObject("points",
			[]any{[]any{int64(0), int64(0)}, []any{int64(1), int64(1)}}, "interpolation", "monotone_cubic")))
	case "RANGE":
		return n.addPlain(s, "range", s.option("default", pyjson.NewObject("min", int64(0), "max", int64(1))))
	case "BOUNDING_BOXES", "COLORS", "GALLERIA":
		return n.addPlain(s, s.widgetType(), s.option("default", []any{}))
	}
	return n.addPlain(s, s.widgetType(), s.option("default", pyjson.NewObject()))
}

// addScene makes the widgets of a 3D view.
func (n *node) addScene(s *spec, named func(name, kind string, value any) *widget) *widget {
	if n.find("model_file") != nil {
		for _, b := range [][2]string{{"upload 3d model", "upload3dmodel"}, {"upload extra resources", "uploadExtraResources"}, {"clear", "clear"}} {
			named(b[0], "button", b[1])
		}
	}
	name := "image"
	if slices.Contains([]string{"Preview3DAdvanced", "Save3DAdvanced", "PreviewGaussianSplat", "PreviewPointCloud", "SaveGaussianSplat", "SavePointCloud"}, n.typ) {
		name = "viewport_state"
	}
	w := named(name, "load3D", "")
	if name == "viewport_state" {
		w.get = n.viewState
	}
	return w
}

// viewState returns the saved state that a 3D view passes to its node: the camera's position.
func (n *node) viewState() any {
	camera, _ := n.props.Get("Camera Config")
	state, _ := object(camera).Get("state")
	return pyjson.NewObject("image", "", "mask", "", "normal", "", "camera_info", state, "recording", "", "model_3d_info", []any{})
}
