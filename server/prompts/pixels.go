package prompts

import (
	"image"
	"io"
	"math"
	"math/big"
	"os"
	"slices"
	"strings"

	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/server/disk"
)

// pixelsOf counts the pixels that a graph makes, and returns the id of a node of which it cannot tell; "" when it can of
// all. A node counts when it says a size: width and height, a factor, or how often it repeats; batches, frames and
// lists multiply. One that joins pictures counts as far as there are more pixels behind it than before it, and a picture
// from a file where it becomes a latent. Whatever else works on a picture keeps its size and is not counted again.
// Sizes that come from other nodes count when those are constants.
// Nodes that give on no picture, latent or mask make none, whatever they call their inputs.
func pixelsOf(prompt *pyjson.Object, classes *nodes.Registry, f *folders.Folders) (total float64, unknown string) {
	k := &pixelCount{prompt: prompt, classes: classes, folders: f, known: map[string]pictures{}, working: map[string]bool{}}
	for id := range prompt.All() {
		made := k.of(id).made
		switch {
		case !math.IsNaN(made):
			total += made
		case unknown == "":
			unknown = id
		}
	}
	return total, unknown
}

// pictures is what is known of those that a node gives on. Where nobody can tell a number it is NaN.
type pictures struct {
	count         float64 // all of them, in all lists
	width, height float64 // of the largest one
	lists         float64 // of how many elements the list is that they come in: who takes it runs so often
	exact         bool    // all have just this size, so that what follows from the proportions can be told
	loaded        bool    // from a file, and not counted yet
	made          float64 // how many pixels the node adds to the job
}

func (p pictures) pixels() float64 {
	if p.count == 0 {
		return 0
	}
	return p.count * p.width * p.height
}

type pixelCount struct {
	prompt  *pyjson.Object
	classes *nodes.Registry
	folders *folders.Folders
	known   map[string]pictures
	working map[string]bool // the nodes that are being looked at
}

// deepest bounds how many nodes are looked at behind one another.
const deepest = 5000

// plain are the types of links that no picture goes through.
var plain = strings.Fields(`INT FLOAT STRING BOOLEAN COMBO MODEL CLIP VAE CONDITIONING NOISE SAMPLER SIGMAS GUIDER CONTROL_NET
	UPSCALE_MODEL CLIP_VISION CLIP_VISION_OUTPUT STYLE_MODEL GLIGEN TIMESTEPS_RANGE LATENT_OPERATION`)

// step is a node that is being looked at.
type step struct {
	*pixelCount
	class  string
	spec   *nodes.Class // nil when nobody knows the class
	inputs *pyjson.Object
	links  []pictures          // what comes in, a node as often as it is linked
	named  map[string]pictures // the same by the input's name
	before float64             // the pixels of the nodes that are linked, each once
}

// gives reports whether one of the node's outputs is of such a type.
func (s *step) gives(is func(o nodes.Output) bool) bool {
	return s.spec == nil || slices.ContainsFunc(s.spec.Outputs, is)
}

// of is what a node gives on.
func (k *pixelCount) of(id string) pictures {
	if p, known := k.known[id]; known {
		return p
	}
	nobody := pictures{count: math.NaN(), width: math.NaN(), height: math.NaN(), lists: math.NaN()}
	if k.working[id] || len(k.working) > deepest {
		return nobody // a circle, which validation refuses, or a graph that nobody would draw
	}
	k.working[id] = true
	defer delete(k.working, id)
	node := k.prompt.Object(id)
	s := &step{pixelCount: k, class: node.String("class_type"), inputs: node.Object("inputs"), named: map[string]pictures{}}
	s.spec, _ = k.classes.Get(s.class)
	if s.inputs == nil {
		s.inputs = pyjson.NewObject()
	}
	seen := map[string]bool{}
	for name, v := range s.inputs.All() {
		link, ok := nodes.AsLink(v)
		if !ok || !s.takes(name) {
			continue
		}
		p := k.of(link.ID)
		s.links = append(s.links, p)
		s.named[name] = p
		if !seen[link.ID] {
			seen[link.ID] = true
			s.before += p.pixels()
		}
	}
	p := s.give()
	k.known[id] = p
	return p
}

// give is what the node makes of what comes in.
func (s *step) give() pictures {
	in := s.incoming()
	if !s.gives(func(o nodes.Output) bool { return !slices.Contains(plain, o.Type) }) {
		out := pictures{lists: in.lists}
		if s.spec != nil && s.gives(func(o nodes.Output) bool { return o.List }) {
			out.lists = math.NaN()
		}
		return out
	}
	out, says := s.sized(in)
	grown := out.pixels() - s.before
	switch {
	case says:
		out.made, out.loaded = out.pixels(), false
	case in.loaded && s.gives(func(o nodes.Output) bool { return o.Type == "LATENT" }):
		out.made, out.loaded = out.pixels(), false
	case len(s.links) > 0 && !(grown <= 0): // also when nobody can tell
		out.made = grown
	}
	if s.spec != nil && s.spec.InputIsList {
		out.lists = 1
	}
	if s.spec != nil && s.gives(func(o nodes.Output) bool { return o.List }) {
		out.lists = max(1, out.count)
	}
	return out
}

// incoming is all that comes in as one: a node takes as many pictures as the largest batch has, once for each element
// of a list.
func (s *step) incoming() pictures {
	in := pictures{lists: 1, exact: true}
	sizes := 0
	for _, p := range s.links {
		in.lists = max(in.lists, p.lists)
	}
	for _, p := range s.links {
		if p.count == 0 {
			continue
		}
		in.exact = in.exact && p.exact && (sizes == 0 || p.width == in.width && p.height == in.height)
		in.count, in.width, in.height = max(in.count, s.repeated(p, in.lists)), max(in.width, p.width), max(in.height, p.height)
		in.loaded = in.loaded || p.loaded
		sizes++
	}
	in.exact = in.exact && sizes > 0
	return in
}

// repeated is how many pictures a node sees that runs once for each of so many elements.
func (s *step) repeated(p pictures, lists float64) float64 {
	if p.lists == 1 {
		return p.count * lists
	}
	return p.count
}

// takes reports whether the class has an input: what else a node is given is heard by nobody. Inputs that belong to others
// have those in front, as images.image0.
func (s *step) takes(name string) bool {
	if s.spec == nil {
		return true
	}
	first, _, _ := strings.Cut(name, ".")
	_, ok := s.spec.Input(first)
	return ok
}

// has reports whether the node is given an input, and hears it.
func (s *step) has(name string) bool { return s.inputs.Has(name) && s.takes(name) }

// number is an input's number, or that of the constant it is linked to; NaN when there is none.
func (s *step) number(name string) float64 {
	v, _ := s.inputs.Get(name)
	for range deepest {
		switch n := v.(type) {
		case int64:
			return math.Abs(float64(n))
		case float64:
			return math.Abs(n)
		case *big.Int:
			return math.Inf(1)
		}
		link, ok := nodes.AsLink(v)
		if !ok {
			return math.NaN()
		}
		from := s.prompt.Object(link.ID).Object("inputs")
		if from.Len() != 1 || !from.Has("value") { // a primitive has its value and nothing else
			return math.NaN()
		}
		v, _ = from.Get("value")
	}
	return math.NaN()
}

// file is the picture that a node loads.
func (s *step) file(name string) pictures {
	nobody := pictures{count: math.NaN(), width: math.NaN(), height: math.NaN(), lists: 1}
	if s.folders == nil {
		return nobody
	}
	path, err := s.folders.Resolve(name)
	if err != nil {
		return nobody
	}
	f, _, err := disk.OpenRegular(path, os.Stat, os.Open)
	if err != nil {
		return nobody
	}
	defer f.Close()
	c, format, err := image.DecodeConfig(f)
	if err != nil {
		return nobody
	}
	p := pictures{count: 1, width: float64(c.Width), height: float64(c.Height), lists: 1, loaded: true, exact: format == "gif" || format == "bmp"}
	if format != "gif" && format != "webp" {
		return p
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nobody
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nobody
	}
	p.count = float64(imaging.Frames(data))
	return p
}
