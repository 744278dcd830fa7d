package app

import (
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Kinds of things that a workflow lacks.
const (
	missingNode       = "node"
	missingModel      = "model"
	unusableModelFile = "unusable" // a model file that is here and cannot be used
	missingFile       = "file"
	missingInput      = "input" // one that is not given, or leads nowhere
	wrongInput        = "value"
)

// need is something that a workflow misses.
type need struct {
	Kind  string `json:"kind"`
	Node  string `json:"node"`
	Class string `json:"class_type"`
	Input string `json:"input,omitempty"`
	// Name is the missing class, model or file.
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

type needs []need

// asJSON is the report for programs.
func (n needs) asJSON() map[string]any {
	names := func(kind string) []string {
		list := []string{}
		for _, x := range n {
			if x.Kind == kind && !slices.Contains(list, x.Name) {
				list = append(list, x.Name)
			}
		}
		return list
	}
	all := []need(n)
	if all == nil {
		all = []need{}
	}
	return map[string]any{
		"ok": len(n) == 0, "missing_nodes": names(missingNode), "missing_models": names(missingModel),
		"unusable_models": names(unusableModelFile), "missing_files": names(missingFile), "problems": all,
	}
}

// describe is the report for people.
func (n needs) describe(w io.Writer) {
	if len(n) == 0 {
		fmt.Fprintln(w, "nothing is missing")
		return
	}
	for _, x := range n {
		where := "node " + x.Node + " (" + x.Class + ")"
		if x.Input != "" {
			where += ", " + x.Input
		}
		fmt.Fprintf(w, "%s: %s\n", visible(where), visible(x.Text))
	}
}

// modelEndings are those of model files.
var modelEndings = []string{".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".pkl", ".onnx"}

// modelFolder returns the folder for the models of an input: the one that its class declares or, for classes that only the
// asked server has, the one that all our classes declare for inputs of that name; "" if that is unknown.
func modelFolder(class, input string) string {
	if c, ok := nodes.Default().Get(class); ok {
		if in, ok := c.Input(input); ok {
			return in.Folder()
		}
		return ""
	}
	folder, differ := "", false
	nodes.Default().Walk(func(c *nodes.Class) bool {
		if in, ok := c.Input(input); ok && in.Folder() != "" {
			differ = differ || folder != "" && folder != in.Folder()
			folder = in.Folder()
		}
		return !differ
	})
	if differ {
		return ""
	}
	return folder
}

// embedding finds the names of embeddings in a text.
var embedding = regexp.MustCompile(`(?:^|[\s,(])embedding:([^\s,:()]+)`)

// check checks a workflow in API form.
func check(prompt *pyjson.Object, here stock) (list needs) {
	for id, v := range prompt.All() {
		node, _ := v.(*pyjson.Object)
		class := node.String("class_type")
		info := here.class(class)
		if info == nil {
			list = append(list, need{missingNode, id, class, "", class, missingClass(class)})
			continue
		}
		c := &checker{prompt: prompt, here: here, id: id, class: class, given: node.Object("inputs")}
		for _, group := range []string{"required", "optional"} {
			for name, spec := range info.Object("input").Object(group).All() {
				c.input(name, spec, group == "required")
			}
		}
		list = append(list, c.found...)
	}
	return list
}

// checker checks one node.
type checker struct {
	prompt    *pyjson.Object
	here      stock
	id, class string
	given     *pyjson.Object
	found     needs
}

func (c *checker) say(kind, input, name, format string, args ...any) {
	c.found = append(c.found, need{kind, c.id, c.class, input, name, fmt.Sprintf(format, args...)})
}

func (c *checker) input(name string, spec any, required bool) {
	pair, _ := spec.([]any)
	if len(pair) == 0 {
		return
	}
	v, given := c.given.Get(name)
	options, _ := pair[len(pair)-1].(*pyjson.Object)
	typ, _ := pair[0].(string)
	if strings.HasPrefix(typ, "COMFY_AUTOGROW") || strings.HasPrefix(typ, "COMFY_DYNAMIC") {
		return // its inputs have other names
	}
	switch {
	case !given && required:
		c.say(missingInput, name, "", "the input is not given")
	case !given:
	case isLink(v):
		c.link(name, v.([]any), typ)
	default:
		c.value(name, pair[0], options, v)
	}
}

func isLink(v any) bool {
	list, ok := v.([]any)
	if !ok || len(list) != 2 {
		return false
	}
	_, from := list[0].(string)
	_, slot := list[1].(int64)
	return from && slot
}

// link checks that a link leads to an output of the right type, as far as that is known.
func (c *checker) link(name string, link []any, typ string) {
	from, slot := link[0].(string), int(link[1].(int64))
	node := c.prompt.Object(from)
	if node == nil {
		c.say(missingInput, name, "", "it is linked to node %s, which is not in the workflow", from)
		return
	}
	info := c.here.class(node.String("class_type"))
	if info == nil {
		return // that one is reported itself
	}
	outputs, _ := info.Get("output")
	list, _ := outputs.([]any)
	if slot < 0 || slot >= len(list) {
		c.say(missingInput, name, "", "it is linked to output %d of node %s (%s), which has %d", slot, from, node.String("class_type"), len(list))
		return
	}
	got, ok := list[slot].(string)
	if !ok || typ == "" || strings.Contains(typ, "COMFY_") || strings.Contains(got, "COMFY_") || got == "COMBO" || typ == "COMBO" {
		return
	}
	if !fits(got, typ) {
		c.say(wrongInput, name, "", "it is linked to an output of type %s, and takes %s", got, typ)
	}
}

// fits reports whether an output's type is among those that an input takes; * is any.
func fits(got, want string) bool {
	if got == "*" || want == "*" {
		return true
	}
	for g := range strings.SplitSeq(got, ",") {
		for w := range strings.SplitSeq(want, ",") {
			if strings.TrimSpace(g) == strings.TrimSpace(w) {
				return true
			}
		}
	}
	return false
}

// value checks a value against the choices that there are, and a text for embeddings.
func (c *checker) value(name string, typ any, options *pyjson.Object, v any) {
	choices, isList := typ.([]any)
	if typ == "COMBO" {
		given, _ := options.Get("options")
		choices, isList = given.([]any)
	}
	if isList {
		c.choice(name, choices, options, v)
		return
	}
	text, ok := v.(string)
	if typ == "STRING" && ok {
		for _, m := range embedding.FindAllStringSubmatch(text, -1) {
			if !c.hasEmbedding(m[1]) {
				c.say(missingModel, name, m[1], "the embedding %s is missing; put it into models/embeddings", m[1])
			}
		}
	}
}

func (c *checker) hasEmbedding(name string) bool {
	name = strings.ReplaceAll(name, `\`, "/")
	return slices.ContainsFunc(c.here.embeddings, func(have string) bool {
		have = strings.ReplaceAll(have, `\`, "/")
		return have == name || strings.TrimSuffix(have, path.Ext(have)) == strings.TrimSuffix(name, path.Ext(name))
	})
}

func (c *checker) choice(name string, choices []any, options *pyjson.Object, v any) {
	if list, many := v.([]any); many {
		for _, one := range list {
			c.choice(name, choices, options, one)
		}
		return
	}
	if slices.ContainsFunc(choices, func(x any) bool { return pyjson.Str(x) == pyjson.Str(v) }) {
		c.usable(name, v)
		return
	}
	text, is := v.(string)
	ending := strings.ToLower(path.Ext(text))
	upload := false
	for _, key := range []string{"image_upload", "video_upload", "audio_upload", "file_upload", "upload"} {
		if on, _ := options.Get(key); on == true {
			upload = true
		}
	}
	switch {
	case is && upload:
		c.say(missingFile, name, text, "the file %s is missing; put it into the input folder", text)
	case is && slices.Contains(modelEndings, ending):
		where := ""
		if folder := modelFolder(c.class, name); folder != "" {
			where = "; put it into models/" + folder
		}
		c.say(missingModel, name, text, "the model %s is missing%s", text, where)
	default:
		c.say(wrongInput, name, "", "%s is not among the choices%s", pyjson.Repr(v), some(choices))
	}
}

// usable checks that a chosen model file can be used.
func (c *checker) usable(name string, v any) {
	file, ok := v.(string)
	folder := modelFolder(c.class, name)
	if !ok || folder == "" || c.here.problem == nil {
		return
	}
	if problem := c.here.problem(folder, file); problem != "" {
		c.say(unusableModelFile, name, file, "the model %s cannot be used: %s", file, problem)
	}
}

// some lists choices, the first ones when there are many.
func some(choices []any) string {
	const most = 8
	if len(choices) == 0 {
		return ", of which there are none"
	}
	names := make([]string, 0, most)
	for _, x := range choices[:min(most, len(choices))] {
		names = append(names, pyjson.Str(x))
	}
	text := " (" + strings.Join(names, ", ")
	if len(choices) > most {
		text += ", …"
	}
	return text + ")"
}
