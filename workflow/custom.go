package workflow

import (
	"slices"
	"strconv"
	"strings"
)

// saveClasses are the classes with file names that may contain patterns.
var saveClasses = []string{
	"SaveImage", "SaveImageAdvanced", "SaveSVGNode", "SaveVideo", "SaveAnimatedWEBP", "SaveWEBM", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus",
	"SaveAudioAdvanced", "SaveGLB", "Save3DAdvanced", "SaveGaussianSplat", "SavePointCloud", "SaveAnimatedPNG", "CLIPSave", "VAESave",
	"ModelSave", "LoraSave", "SaveLatent",
}

// addExtras gives a new node what extensions of the front end add to its class.
func (n *node) addExtras() {
	switch n.typ {
	case "PreviewAny", "SaveText":
		n.widgets = append(n.widgets,
			&widget{name: "preview_text", kind: "textPreview", value: "", unsaved: true, hidden: true},
			&widget{name: "preview_mode", kind: "toggle", value: false, unsaved: true, hidden: true})
	case "CustomCombo":
		n.addOptions()
	case "WebcamCapture":
		n.widgets = append(n.widgets, &widget{name: "waiting for camera...", kind: "button", value: "capture", hidden: true})
	}
	if slices.Contains(saveClasses, n.typ) {
		if w := n.find("filename_prefix"); w != nil {
			w.filename = true
		}
	} else {
		n.props.Set("Node name for S&R", n.typ)
	}
}

// addOptions makes the widgets of a choice with typed options: the position of the choice among them, and a field for each
// option and one more.
func (n *node) addOptions() {
	if len(n.widgets) == 0 {
		return
	}
	choice := n.widgets[0]
	choice.choices = nil
	n.widgets = append(n.widgets, &widget{
		name: "index", kind: "hidden", set: func(any) {},
		get: func() any {
			for i, w := range n.widgets[min(2, len(n.widgets)):] {
				if same(w.current(), choice.current()) {
					return int64(i)
				}
			}
			return int64(-1)
		},
	})
	n.addOption()
}

func (n *node) addOption() {
	if len(n.widgets) > maxPerNode {
		return
	}
	w := &widget{name: "option" + strconv.Itoa(len(n.widgets)-1), kind: "string", value: ""}
	w.set = func(v any) {
		w.value = v
		choice := n.widgets[0]
		choice.choices = nil
		for _, o := range n.widgets {
			if strings.HasPrefix(o.name, "option") && truthy(o.value) {
				choice.choices = append(choice.choices, jsText(o.value))
			}
		}
		last := len(n.widgets) - 1
		switch {
		case n.widgets[last] == w:
			if truthy(v) {
				n.addOption()
			}
		case !truthy(v) && last > 0 && n.widgets[last-1] == w && !truthy(n.widgets[last].value):
			n.widgets = n.widgets[:last]
		}
	}
	n.widgets = append(n.widgets, w)
}
