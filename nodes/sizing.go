package nodes

import (
	"math"
	"math/big"
	"slices"
	"strings"

	"comfygo/folders"
	"comfygo/internal/pyjson"
)

// Sizer is implemented by every class with an output of type IMAGE, LATENT or MASK. Before a run it returns the number and
// the size of the images that the node will return, so that a limit on pixels can be enforced. A node without it counts as
// unknown.
type Sizer interface {
	Sizes(s *Sizing) Images
}

// Images describes the images, latents or masks that a node returns; sizes are in pixels, those of latents in the pixels of
// their images. Unknown numbers are NaN.
type Images struct {
	Count         float64 // all of them, in all lists
	Width, Height float64 // of the largest one
	Lists         float64 // number of elements of the list they come in: a node that takes it runs that often
	Exact         bool    // all have just this size, so that proportions can be told
	Loaded        bool    // they come from a file
	// Made reports that the node makes all of them; else only what is more than before counts.
	Made bool
}

// UnknownImages describes the output of a node about which nothing is known.
func UnknownImages() Images {
	return Images{Count: math.NaN(), Width: math.NaN(), Height: math.NaN(), Lists: math.NaN()}
}

// Pixels is the number of pixels of all images.
func (p Images) Pixels() float64 {
	if p.Count == 0 {
		return 0
	}
	return p.Count * p.Width * p.Height
}

// Of is the same number of images in another size, which need not be that of each.
func (p Images) Of(width, height float64) Images {
	p.Width, p.Height, p.Exact, p.Made = width, height, false, true
	return p
}

// Times is the images with both sides multiplied.
func (p Images) Times(by float64) Images {
	p.Width, p.Height, p.Made = p.Width*by, p.Height*by, true
	return p
}

// smallestSide is the least side that a latent is scaled to, in pixels.
const smallestSide = 64

// ScaledTo is the images in another size; a side of 0 follows from the proportions of what is there, with the smallest
// side added for what is rounded.
func (p Images) ScaledTo(width, height float64) Images {
	switch {
	case width != 0 && height != 0:
		return p.Of(width, height)
	case width == 0 && height == 0:
		p.Made = true
		return p
	case !p.Exact:
		return p.Of(math.NaN(), math.NaN())
	case width == 0:
		width = height*p.Width/p.Height + smallestSide
	default:
		height = width*p.Height/p.Width + smallestSide
	}
	return p.Of(width, height)
}

// Sizing is a Sizer's view of its node: the given values and the incoming images.
type Sizing struct {
	// In combines all inputs: the number of images is that of the largest batch, once for each element of a list.
	In Images
	// Linked are the images of each input by its name, and Links one for each link.
	Linked map[string]Images
	Links  []Images
	// Inputs are the node's inputs as the prompt has them.
	Inputs *pyjson.Object
	// Prompt is the whole graph and Folders are those the job reads from; both may be nil.
	Prompt  *pyjson.Object
	Folders *folders.Folders
	// Class is nil for an unknown class.
	Class *Class
}

// maxConstants bounds how many primitives are followed to the value of an input.
const maxConstants = 5000

// Takes reports whether the class has an input: others do not reach the node. Nested inputs are named with the outer one in
// front, as images.image0.
func (s *Sizing) Takes(name string) bool {
	if s.Class == nil {
		return true
	}
	first, _, _ := strings.Cut(name, ".")
	_, ok := s.Class.Input(first)
	return ok
}

// Has reports whether the node is given an input that it takes.
func (s *Sizing) Has(name string) bool { return s.Inputs.Has(name) && s.Takes(name) }

// Number returns the absolute value of an input, or that of the constant it is linked to, or NaN.
func (s *Sizing) Number(name string) float64 {
	v, _ := s.Inputs.Get(name)
	for range maxConstants {
		switch n := v.(type) {
		case int64:
			return math.Abs(float64(n))
		case float64:
			return math.Abs(n)
		case *big.Int:
			return math.Inf(1)
		}
		link, ok := AsLink(v)
		if !ok {
			return math.NaN()
		}
		from := s.Prompt.Object(link.ID).Object("inputs")
		if from.Len() != 1 || !from.Has("value") { // a primitive has its value and nothing else
			return math.NaN()
		}
		v, _ = from.Get("value")
	}
	return math.NaN()
}

// Text returns the text of an input, as of a combo; false if it has none.
func (s *Sizing) Text(name string) (string, bool) {
	if !s.Has(name) {
		return "", false
	}
	v, _ := s.Inputs.Get(name)
	text, ok := v.(string)
	return text, ok
}

// Repeated returns the number of images of a node that runs once for each of the elements of all lists.
func (s *Sizing) Repeated(p Images) float64 {
	if p.Lists == 1 {
		return p.Count * s.In.Lists
	}
	return p.Count
}

// Kept is for nodes that give on every image in the size it had, and none besides.
func (s *Sizing) Kept() Images { return s.In }

// Within is for nodes that give on no more and no larger images than come in; which, cannot be told.
func (s *Sizing) Within() Images {
	in := s.In
	in.Exact = false
	return in
}

// Joined is for nodes that put the images of all inputs behind one another, in the size of the largest.
func (s *Sizing) Joined() Images {
	in := s.In
	in.Count = 0
	for _, p := range s.Links {
		if p.Count != 0 {
			in.Count += s.Repeated(p)
		}
	}
	return in
}

// Canvas is for nodes that make images of a width and a height, in pixels, or bring those that come in to that size; then a
// side of 0 follows from the proportions. The inputs in counts multiply how many there are.
func (s *Sizing) Canvas(width, height float64, counts ...string) Images {
	const grain = 8 // sides of latents are rounded to it
	in := s.In
	if in.Count != 0 && (width == 0 || height == 0) {
		return in.ScaledTo(width, height)
	}
	out := in.Of(width, height)
	if in.Count == 0 {
		out.Count = in.Lists
		out.Exact = math.Mod(width, grain) == 0 && math.Mod(height, grain) == 0
	}
	for _, name := range counts {
		if s.Has(name) {
			out.Count *= max(1, s.Number(name))
		}
	}
	return out
}

// RepeatedBy is for nodes that repeat what comes in as often as an input says.
func (s *Sizing) RepeatedBy(input string) Images {
	in := s.In
	in.Count *= max(1, s.Number(input))
	in.Made = true
	return in
}

// imageTypes are the types of outputs for which a class must be a Sizer.
var imageTypes = []string{"IMAGE", "LATENT", "MASK"}

// GivesImages reports whether the class has an output of type IMAGE, LATENT or MASK.
func (c *Class) GivesImages() bool {
	return slices.ContainsFunc(c.Outputs, func(o Output) bool { return slices.Contains(imageTypes, o.Type) })
}

// Sizer returns the Sizer of the class, or false if it has none.
func (c *Class) Sizer() (Sizer, bool) {
	s, ok := c.New().(Sizer)
	return s, ok
}
