package prompts

import (
	"math"
	"slices"
	"strings"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// pixelsOf counts the pixels that a graph makes, and returns the id of the first node with an unknown number; "" without
// one. The classes compute the sizes of their outputs from those of their inputs (nodes.Sizer). A node that makes images of its own size counts
// with all of them; others as far as they add pixels, and an image from a file where it
// becomes a latent. Batches, frames and lists multiply.
// Nodes without outputs make none, whatever the names of their inputs.
func pixelsOf(prompt *pyjson.Object, classes *nodes.Registry, f *folders.Folders) (total float64, unknown string) {
	k := &pixelCount{prompt: prompt, classes: classes, folders: f, known: map[string]nodes.Images{}, made: map[string]float64{}, working: map[string]bool{}}
	for id := range prompt.All() {
		k.of(id)
		switch made := k.made[id]; {
		case !math.IsNaN(made):
			total += made
		case unknown == "":
			unknown = id
		}
	}
	return total, unknown
}

// pixelCount counts the pixels of a graph.
type pixelCount struct {
	prompt  *pyjson.Object
	classes *nodes.Registry
	folders *folders.Folders
	known   map[string]nodes.Images
	made    map[string]float64 // the pixels that a node adds to the job
	working map[string]bool    // the nodes that are being looked at
}

// deepest bounds the length of a chain of nodes that is followed.
const deepest = 5000

// plain are the types of links that no images go through.
var plain = strings.Fields(`INT FLOAT STRING BOOLEAN COMBO MODEL CLIP VAE CONDITIONING NOISE SAMPLER SIGMAS GUIDER CONTROL_NET
	UPSCALE_MODEL CLIP_VISION CLIP_VISION_OUTPUT STYLE_MODEL GLIGEN TIMESTEPS_RANGE LATENT_OPERATION`)

// of returns the images that a node returns.
func (k *pixelCount) of(id string) nodes.Images {
	if p, known := k.known[id]; known {
		return p
	}
	if k.working[id] || len(k.working) > deepest {
		k.made[id] = math.NaN()
		return nodes.UnknownImages() // a cycle, which validation refuses, or a graph beyond what people draw
	}
	k.working[id] = true
	defer delete(k.working, id)
	node := k.prompt.Object(id)
	s := &nodes.Sizing{Inputs: node.Object("inputs"), Linked: map[string]nodes.Images{}, Prompt: k.prompt, Folders: k.folders}
	s.Class, _ = k.classes.Get(node.String("class_type"))
	if s.Inputs == nil {
		s.Inputs = pyjson.NewObject()
	}
	before := 0.0 // the pixels of the nodes that are linked, each once
	seen := map[string]bool{}
	for name, v := range s.Inputs.All() {
		link, ok := nodes.AsLink(v)
		if !ok || !s.Takes(name) {
			continue
		}
		p := k.of(link.ID)
		s.Links = append(s.Links, p)
		s.Linked[name] = p
		if !seen[link.ID] {
			seen[link.ID] = true
			before += p.Pixels()
		}
	}
	s.In = incoming(s)
	k.known[id], k.made[id] = give(s, before)
	return k.known[id]
}

// give computes the node's outputs from its inputs, and the number of pixels that this adds to the job.
func give(s *nodes.Sizing, before float64) (out nodes.Images, made float64) {
	gives := func(is func(o nodes.Output) bool) bool {
		return s.Class == nil || slices.ContainsFunc(s.Class.Outputs, is)
	}
	list := s.Class != nil && gives(func(o nodes.Output) bool { return o.List })
	if !gives(func(o nodes.Output) bool { return !slices.Contains(plain, o.Type) }) {
		out = nodes.Images{Lists: s.In.Lists}
		if list {
			out.Lists = math.NaN()
		}
		return out, 0
	}
	out = sizes(s)
	grown := out.Pixels() - before
	switch {
	case out.Made, s.In.Loaded && gives(func(o nodes.Output) bool { return o.Type == "LATENT" }):
		made, out.Loaded = out.Pixels(), false
	case len(s.Links) > 0 && !(grown <= 0): // also when it is unknown
		made = grown
	}
	out.Made = false
	if s.Class != nil && s.Class.InputIsList {
		out.Lists = 1
	}
	if list {
		out.Lists = max(1, out.Count)
	}
	return out, made
}

// sizes asks the class. A class without outputs of image types may pass images on, but makes none.
func sizes(s *nodes.Sizing) nodes.Images {
	if s.Class != nil {
		if sizer, ok := s.Class.Sizer(); ok {
			return sizer.Sizes(s)
		}
		if s.Class.GivesImages() {
			out := nodes.UnknownImages()
			out.Made = true
			return out
		}
	} else if s.In.Count == 0 { // validation says that the class is missing
		return nodes.UnknownImages()
	}
	return s.Within()
}

// incoming combines all inputs: the number of images is that of the largest batch, once for each element of a list.
func incoming(s *nodes.Sizing) nodes.Images {
	s.In = nodes.Images{Lists: 1, Exact: true}
	in := &s.In
	sizes := 0
	for _, p := range s.Links {
		in.Lists = max(in.Lists, p.Lists)
	}
	for _, p := range s.Links {
		if p.Count == 0 {
			continue
		}
		in.Exact = in.Exact && p.Exact && (sizes == 0 || p.Width == in.Width && p.Height == in.Height)
		in.Count, in.Width, in.Height = max(in.Count, s.Repeated(p)), max(in.Width, p.Width), max(in.Height, p.Height)
		in.Loaded = in.Loaded || p.Loaded
		sizes++
	}
	in.Exact = in.Exact && sizes > 0
	return *in
}
