package server

import (
	"image"
	"math"
	"math/big"
	"os"
	"slices"

	"comfygo/folders"
	"comfygo/nodes"
	"comfygo/nodes/pyjson"
)

// pixelsOf counts the pixels that a graph makes, and returns the id of a node of which it cannot tell; "" when it can of
// all. A node counts when it says a size: width and height, a factor, or how often it repeats; batches and frames
// multiply. Whatever else works on a picture keeps its size and is not counted again. Sizes that come from other
// nodes count when those are constants.
// Nodes that give on no picture, latent or mask make none, whatever they call their inputs.
func pixelsOf(prompt *pyjson.Object, classes *nodes.Registry, f *folders.Folders) (total float64, unknown string) {
	k := &pixelCount{prompt: prompt, classes: classes, folders: f, sizes: map[string]float64{}, counts: map[string]float64{}, working: map[string]bool{}}
	for id := range prompt.All() {
		size, makes := k.makes(id)
		switch {
		case !makes:
		case math.IsNaN(size):
			if unknown == "" {
				unknown = id
			}
		default:
			total += size
		}
	}
	return total, unknown
}

type pixelCount struct {
	prompt  *pyjson.Object
	classes *nodes.Registry
	folders *folders.Folders
	sizes   map[string]float64 // of what a node gives on, in pixels; NaN: nobody can tell
	counts  map[string]float64 // how many pictures a node gives on
	working map[string]bool    // the nodes that are being looked at
}

// pictured reports whether a node gives on pictures, or what pictures are made of. Classes that nobody knows may.
func (k *pixelCount) pictured(id string) bool {
	class, ok := k.classes.Get(k.prompt.Object(id).String("class_type"))
	if !ok {
		return true
	}
	return slices.ContainsFunc(class.Outputs, func(o nodes.Output) bool {
		return o.Type == "IMAGE" || o.Type == "LATENT" || o.Type == "MASK" || o.Type == "*"
	})
}

// The inputs that say how many pictures there are, that make pictures larger by a factor, and the repetitions.
var (
	countInputs  = []string{"batch_size", "length", "num_frames", "frames", "video_frames"}
	factorInputs = []string{"scale_by", "upscale_by", "rescale_factor"}
	repeatInputs = []string{"amount"}
)

// makes is how many pixels a node adds to the job; makes is false when it only works on what others have made.
func (k *pixelCount) makes(id string) (size float64, makes bool) {
	inputs := k.prompt.Object(id).Object("inputs")
	if inputs == nil || !k.pictured(id) {
		return 0, false
	}
	if inputs.Has("width") && inputs.Has("height") || hasAny(inputs, factorInputs) || inputs.Has("megapixels") || hasAny(inputs, repeatInputs) {
		return k.size(id), true
	}
	return 0, false
}

func hasAny(o *pyjson.Object, keys []string) bool {
	for _, key := range keys {
		if o.Has(key) {
			return true
		}
	}
	return false
}

// size is how many pixels a node gives on: its own size, or that of the largest of what comes in, times what it multiplies.
func (k *pixelCount) size(id string) float64 {
	if s, known := k.sizes[id]; known {
		return s
	}
	if k.working[id] || len(k.working) > deepest {
		return math.NaN() // a circle, which validation refuses, or a graph that nobody would draw
	}
	if !k.pictured(id) {
		return 0
	}
	k.working[id] = true
	defer delete(k.working, id)
	inputs := k.prompt.Object(id).Object("inputs")
	var s float64
	switch {
	case inputs.Has("width") && inputs.Has("height"):
		s = k.number(inputs, "width") * k.number(inputs, "height")
		for _, name := range countInputs {
			if inputs.Has(name) {
				s *= max(1, k.number(inputs, name))
			}
		}
		s *= k.pictures(inputs)
	case inputs.Has("megapixels"):
		const mega = 1024 * 1024
		s = k.number(inputs, "megapixels") * mega * k.pictures(inputs)
	default:
		s = k.incoming(inputs)
		for _, name := range factorInputs {
			if inputs.Has(name) {
				f := k.number(inputs, name)
				s *= f * f
			}
		}
		for _, name := range repeatInputs {
			if inputs.Has(name) {
				s *= max(1, k.number(inputs, name))
			}
		}
		s = max(s, k.file(inputs))
	}
	k.sizes[id] = s
	return s
}

// pictures is how many pictures come in where a node says only the size of each; 1 when none do.
func (k *pixelCount) pictures(inputs *pyjson.Object) float64 {
	count := 1.0
	for _, v := range inputs.All() {
		link, ok := nodes.AsLink(v)
		if !ok {
			continue
		}
		count = max(count, k.count(link.ID, 0))
	}
	return count
}

// deepest bounds how many nodes are looked at behind one another.
const deepest = 5000

// count is how many pictures a node gives on; NaN when nobody can tell.
func (k *pixelCount) count(id string, depth int) float64 {
	if n, known := k.counts[id]; known {
		return n
	}
	inputs := k.prompt.Object(id).Object("inputs")
	if inputs == nil || !k.pictured(id) {
		return 1
	}
	if depth > deepest {
		return math.NaN()
	}
	k.counts[id] = 1 // for circles
	n := 1.0
	for _, v := range inputs.All() {
		if link, ok := nodes.AsLink(v); ok {
			n = max(n, k.count(link.ID, depth+1))
		}
	}
	for _, list := range [][]string{repeatInputs, countInputs} {
		for _, name := range list {
			if inputs.Has(name) {
				n *= max(1, k.number(inputs, name))
			}
		}
	}
	k.counts[id] = n
	return n
}

// incoming is the largest size that comes in.
func (k *pixelCount) incoming(inputs *pyjson.Object) float64 {
	most := 0.0
	for _, v := range inputs.All() {
		if link, ok := nodes.AsLink(v); ok {
			most = max(most, k.size(link.ID)) // NaN wins
		}
	}
	return most
}

// file is the size of the picture that a node loads; 0 when it loads none.
func (k *pixelCount) file(inputs *pyjson.Object) float64 {
	v, _ := inputs.Get("image")
	name, ok := v.(string)
	if !ok || k.folders == nil {
		return 0
	}
	path, err := k.folders.Resolve(name)
	if err != nil {
		return 0
	}
	f, _, err := openRegular(path, os.Stat, os.Open)
	if err != nil {
		return 0
	}
	defer f.Close()
	c, _, err := image.DecodeConfig(f)
	if err != nil {
		return 0
	}
	return float64(c.Width) * float64(c.Height)
}

// number is an input's number, or that of the constant it is linked to; NaN when there is none.
func (k *pixelCount) number(inputs *pyjson.Object, name string) float64 {
	v, _ := inputs.Get(name)
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
		from := k.prompt.Object(link.ID).Object("inputs")
		if from.Len() != 1 || !from.Has("value") { // a primitive has its value and nothing else
			return math.NaN()
		}
		v, _ = from.Get("value")
	}
	return math.NaN()
}
