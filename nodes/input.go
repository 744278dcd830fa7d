package nodes

import (
	"slices"
	"strings"

	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
)

// Input is one declared input.
type Input struct {
	// Name in the schema; dynamic inputs have longer keys in prompts.
	Name string
	// Type is the declared type; a v1 combo has "" and its choices instead.
	Type string
	// Optional inputs may be left out; Hidden is the kind of a hidden input, else "".
	Optional bool
	Hidden   string
	// Lazy inputs are computed only if CheckLazy requests them.
	Lazy bool
	// RawLink inputs get the link itself instead of its value.
	RawLink bool
	// Default is the declared default value, or nil.
	Default any
	// Multi marks a combo that takes several values.
	Multi bool

	options  *pyjson.Object // widget options in order, without choices
	opts     bool           // options are written even when empty
	list     []any          // static choices
	files    string         // choices are files
	folder   string         // of the models that choices of the node's own name
	chooser  Chooser        // choices are the node's own
	combo    bool
	grow     *template
	choice   []option
	path     []int // field index
	element  int   // in a field that is an array
	Min, Max any   // bounds, nil without bounds
}

// Required reports whether a prompt must have the input.
func (in *Input) Required() bool { return !in.Optional && in.Hidden == "" }

// IsCombo reports whether the value is one of a list.
func (in *Input) IsCombo() bool { return in.combo }

// Choices returns the choices of a combo in this environment.
func (in *Input) Choices(env Env) []any {
	switch {
	case in.chooser != nil:
		return in.chooser.Choices(env, in.Name)
	case in.files != "":
		return fileChoices(env, in.files)
	}
	return in.list
}

func fileChoices(env Env, source string) []any {
	out := []any{}
	if env.Folders == nil {
		return out
	}
	kind, isInput := strings.CutPrefix(source, "input:")
	names := []string{}
	if isInput {
		names = InputFiles(env.Folders, strings.Split(kind, ",")...)
	} else {
		names = append(names, env.Folders.List(source)...)
	}
	for _, n := range names {
		out = append(out, n)
	}
	return out
}

// InputFiles lists the files directly in the input folder, sorted: those of the given content types (image, video, audio, model),
// of images those that can be decoded; a type that begins with a point is an ending (".latent").
func InputFiles(f *folders.Folders, types ...string) []string {
	names := f.InputFiles()
	out := slices.DeleteFunc(folders.FilterContent(names, types...), func(name string) bool {
		return folders.ContentType(name) == "image" && !imaging.Loadable(name)
	})
	for _, t := range types {
		if strings.HasPrefix(t, ".") {
			for _, n := range names {
				if strings.HasSuffix(n, t) {
					out = append(out, n)
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// Folder returns the model folder of the files that the input names, or "".
func (in *Input) Folder() string {
	if in.folder != "" {
		return in.folder
	}
	if strings.HasPrefix(in.files, "input:") {
		return ""
	}
	return in.files
}

// Config returns the input's [type, options] as /object_info shows it. The type is a string or, for v1 combos, a list.
func (in *Input) Config(env Env) (typ any, options *pyjson.Object) {
	options = in.options.Clone()
	if options == nil {
		options = pyjson.NewObject()
	}
	switch {
	case in.grow != nil:
		options.Set("template", in.grow.info(env))
	case in.choice != nil:
		options.Set("options", optionInfo(env, in.choice))
	case in.combo && in.Type == "":
		return in.Choices(env), options
	case in.combo && in.hasChoices():
		options.Set("options", in.Choices(env))
	}
	return in.Type, options
}

func (in *Input) hasChoices() bool { return in.chooser != nil || in.files != "" || in.list != nil }
