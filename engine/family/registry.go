package family

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"comfygo/engine/weights"
)

// Family is the common interface of the families of every role.
type Family interface {
	// Name is the family's name for people, such as "Stable Diffusion 1.x".
	Name() string
	// Rank orders detection: of two families that both read a file, the one of lower rank is taken. The ranks of
	// diffusion models follow upstream's list, in steps of ten (comfy/supported_models.py).
	Rank() int
}

// Registry holds the families of each role.
type Registry struct {
	mu        sync.Mutex
	diffusion []Diffusion
	text      []Text
	schemes   []Scheme
	vaes      []VAE
	controls  []Control
	patches   []ModelPatch
	upscalers []Upscaler
	visions   []Vision
	audios    []Audio
	latentUps []LatentUpscaler
	between   []Interpolator
	flows     []OpticalFlow
	geometry  []Geometry
	removers  []Background
	faces     []FaceFinder
	grounding []Grounding
	styles    []Style
	persons   []Identity
	unbuilt   []Unbuilt
}

// Default is the registry to which the families register themselves.
var Default = &Registry{}

// Register adds a family in every role that it implements. It panics when it implements none, or when another family of
// the same role has its rank: that is a mistake in the program.
func Register(f any) { Default.Register(f) }

// Register adds a family to r; see the function Register.
func (r *Registry) Register(f any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := false
	if d, ok := f.(Diffusion); ok {
		r.diffusion, known = add(r.diffusion, d), true
	}
	if d, ok := f.(Text); ok {
		r.text, known = add(r.text, d), true
	}
	if d, ok := f.(Scheme); ok {
		r.schemes, known = add(r.schemes, d), true
	}
	if d, ok := f.(VAE); ok {
		r.vaes, known = add(r.vaes, d), true
	}
	if d, ok := f.(Control); ok {
		r.controls, known = add(r.controls, d), true
	}
	if d, ok := f.(ModelPatch); ok {
		r.patches, known = add(r.patches, d), true
	}
	if d, ok := f.(Upscaler); ok {
		r.upscalers, known = add(r.upscalers, d), true
	}
	if d, ok := f.(Vision); ok {
		r.visions, known = add(r.visions, d), true
	}
	if d, ok := f.(Audio); ok {
		r.audios, known = add(r.audios, d), true
	}
	if d, ok := f.(LatentUpscaler); ok {
		r.latentUps, known = add(r.latentUps, d), true
	}
	if d, ok := f.(Interpolator); ok {
		r.between, known = add(r.between, d), true
	}
	if d, ok := f.(OpticalFlow); ok {
		r.flows, known = add(r.flows, d), true
	}
	if d, ok := f.(Geometry); ok {
		r.geometry, known = add(r.geometry, d), true
	}
	if d, ok := f.(Background); ok {
		r.removers, known = add(r.removers, d), true
	}
	if d, ok := f.(FaceFinder); ok {
		r.faces, known = add(r.faces, d), true
	}
	if d, ok := f.(Grounding); ok {
		r.grounding, known = add(r.grounding, d), true
	}
	if d, ok := f.(Style); ok {
		r.styles, known = add(r.styles, d), true
	}
	if d, ok := f.(Identity); ok {
		r.persons, known = add(r.persons, d), true
	}
	if d, ok := f.(Unbuilt); ok {
		r.unbuilt, known = add(r.unbuilt, d), true
	}
	if !known {
		panic(fmt.Sprintf("registering a model family: %T implements no role", f))
	}
}

func add[F Family](list []F, f F) []F {
	for _, other := range list {
		if other.Rank() == f.Rank() {
			panic(fmt.Sprintf("registering the model family %s: %s has the rank %d already", f.Name(), other.Name(), f.Rank()))
		}
	}
	list = append(list, f)
	slices.SortFunc(list, func(a, b F) int { return cmp.Compare(a.Rank(), b.Rank()) })
	return list
}

// Diffusion returns the families of diffusion models by rank.
func (r *Registry) Diffusion() []Diffusion { return snapshot(r, &r.diffusion) }

// Text returns the families of text encoders by rank.
func (r *Registry) Text() []Text { return snapshot(r, &r.text) }

// Schemes returns the ways in which text encoders act together, by rank.
func (r *Registry) Schemes() []Scheme { return snapshot(r, &r.schemes) }

// VAEs returns the families of VAEs by rank.
func (r *Registry) VAEs() []VAE { return snapshot(r, &r.vaes) }

// Controls returns the families of ControlNets by rank.
func (r *Registry) Controls() []Control { return snapshot(r, &r.controls) }

// ModelPatches returns the families of model patches by rank.
func (r *Registry) ModelPatches() []ModelPatch { return snapshot(r, &r.patches) }

// Upscalers returns the families of upscale models by rank.
func (r *Registry) Upscalers() []Upscaler { return snapshot(r, &r.upscalers) }

// Visions returns the families of image encoders by rank.
func (r *Registry) Visions() []Vision { return snapshot(r, &r.visions) }

// Audios returns the families of audio encoders by rank.
func (r *Registry) Audios() []Audio { return snapshot(r, &r.audios) }

// LatentUpscalers returns the families of upscale models of latents by rank.
func (r *Registry) LatentUpscalers() []LatentUpscaler { return snapshot(r, &r.latentUps) }

// Interpolators returns the families of frame interpolation models by rank.
func (r *Registry) Interpolators() []Interpolator { return snapshot(r, &r.between) }

// OpticalFlows returns the families of optical flow models by rank.
func (r *Registry) OpticalFlows() []OpticalFlow { return snapshot(r, &r.flows) }

// Geometries returns the families of geometry models by rank.
func (r *Registry) Geometries() []Geometry { return snapshot(r, &r.geometry) }

// Backgrounds returns the families of background removal models by rank.
func (r *Registry) Backgrounds() []Background { return snapshot(r, &r.removers) }

// FaceFinders returns the families of face landmark models by rank.
func (r *Registry) FaceFinders() []FaceFinder { return snapshot(r, &r.faces) }

// Groundings returns the families of grounding networks by rank.
func (r *Registry) Groundings() []Grounding { return snapshot(r, &r.grounding) }

// Styles returns the families of style models by rank.
func (r *Registry) Styles() []Style { return snapshot(r, &r.styles) }

// Identities returns the families of identity encoders by rank.
func (r *Registry) Identities() []Identity { return snapshot(r, &r.persons) }

// Unbuilt returns the families that are recognised and cannot be run, by rank.
func (r *Registry) Unbuilt() []Unbuilt { return snapshot(r, &r.unbuilt) }

func snapshot[F any](r *Registry, list *[]F) []F {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(*list)
}

// Unbuilt recognises model files of a family that is not built, so that their error names it.
type Unbuilt interface {
	Family
	// Recognise reports whether src, without the prefix of a checkpoint, holds a model of this family.
	Recognise(src weights.Source) bool
	// Kind is what a model of the family is, such as "diffusion model".
	Kind() string
	// Advice states what to do with the file; "" means that a model of a supported family should be used.
	Advice() string
}
