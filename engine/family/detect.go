package family

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// File finds the parts of one weight file by role. Each role is searched once, on first use, so a file whose diffusion model
// is not supported still gives its VAE. Its methods may be called concurrently.
type File struct {
	src weights.Source
	// views are where a model may be found: the file itself, and below the wrappers that trainers put around models.
	views []weights.Source
	reg   *Registry

	diffusion  once[found[Denoiser]]
	checkpoint once[found[Denoiser]]
	vae        once[Autoencoder]
	sound      once[Autoencoder]
	control    once[ControlNetwork]
	patch      once[PatchNetwork]
	upscaler   once[UpscaleNetwork]
	vision     once[ImageEncoder]
	audio      once[AudioEncoder]
	latentUp   once[LatentUpscaleNetwork]
	between    once[InterpolationNetwork]
	flow       once[FlowNetwork]
	geometry   once[GeometryNetwork]
	background once[BackgroundNetwork]
	faces      once[FaceNetwork]
	grounding  once[GroundingNetwork]
	style      once[StyleNetwork]
	identity   once[IdentityNetwork]
	text       once[TextEncoder]
}

type found[T any] struct {
	value  T
	family Family
}

// once remembers the answer to one question.
type once[T any] struct {
	sync.Once
	value T
	err   error
}

func (o *once[T]) get(f func() (T, error)) (T, error) {
	o.Do(func() { o.value, o.err = f() })
	return o.value, o.err
}

// Open returns the parts of a file by the families of reg. Language models in llama.cpp's layout are shown in that of
// transformers, which the families know.
func Open(reg *Registry, src weights.Source) *File {
	src = layout.LlamaCPP(src)
	return &File{src: src, views: weights.Unwrap(src), reg: reg}
}

// Source is the whole file.
func (f *File) Source() weights.Source { return f.src }

// UnknownError reports that a file holds no supported part of the wanted role.
type UnknownError struct {
	// Path is the file, Role the wanted role.
	Path, Role string
	// Family names the family that the file was recognised as, "" when it is of none that is known.
	Family string
	// Kind is what a model of Family is, such as "diffusion model".
	Kind string
	// Runs lists the families of the role that can be run.
	Runs []string
	// Advice states what to do, Holds what the file holds instead.
	Advice, Holds string
}

// Error returns what the file is, what is supported and what to do.
func (e *UnknownError) Error() string {
	text := fmt.Sprintf("%s holds no %s", e.Path, e.Role)
	if e.Family != "" {
		text = fmt.Sprintf("%s is a %s file (%s), which cannot be run yet", e.Path, e.Family, e.Kind)
	}
	if e.Holds != "" {
		text += ": " + e.Holds
	}
	if e.Advice != "" {
		text += "; " + e.Advice
	} else if len(e.Runs) > 0 {
		text += "; " + e.alternatives()
	}
	return text
}

// fewFamilies is the number of families up to which an error names each of them.
const fewFamilies = 12

// alternatives states what to do with a file for which there is no advice of its own.
func (e *UnknownError) alternatives() string {
	if len(e.Runs) <= fewFamilies {
		return "families that run: " + strings.Join(e.Runs, ", ")
	}
	if e.Family != "" {
		return fmt.Sprintf("use a model of one of the %d families that run (docs/models.md lists them)", len(e.Runs))
	}
	return fmt.Sprintf("these are the tensors of none of the %d families that run (docs/models.md lists them): see whether the file was downloaded whole, is a %s, and whether `comfygo check FILE` knows it",
		len(e.Runs), e.Role)
}

// read tries the families of a role, by rank, on each view until one reads it. The error states what was read and where; the
// family is then the one that failed.
func read[F Family, T comparable](f *File, role Role, list []F, views []weights.Source, ask func(F, weights.Source) (T, error)) (T, Family, error) {
	var none T
	for _, view := range views {
		for _, fam := range list {
			v, err := ask(fam, view)
			if err != nil {
				return none, fam, fmt.Errorf("reading the %s (%s) in %s: %w", role, fam.Name(), f.src.Path(), err)
			}
			if v != none {
				return v, fam, nil
			}
		}
	}
	return none, nil, nil
}

// Diffusion returns the diffusion model of the file and its family. Other parts of a checkpoint are ignored, as in
// upstream's loader of diffusion models. If there is no diffusion model, the error is an *UnknownError.
func (f *File) Diffusion() (Denoiser, Family, error) {
	return f.readDiffusion(&f.diffusion, func(d Diffusion, view weights.Source) (Denoiser, error) { return d.Read(view, view) })
}

// Checkpoint is Diffusion for a file that is loaded as a checkpoint: keys beside the model also count, such as those that
// mark its prediction type.
func (f *File) Checkpoint() (Denoiser, Family, error) {
	return f.readDiffusion(&f.checkpoint, func(d Diffusion, view weights.Source) (Denoiser, error) { return d.Read(view, f.src) })
}

func (f *File) readDiffusion(to *once[found[Denoiser]], ask func(Diffusion, weights.Source) (Denoiser, error)) (Denoiser, Family, error) {
	d, err := to.get(func() (found[Denoiser], error) {
		d, fam, err := read(f, RoleDiffusion, f.reg.Diffusion(), f.diffusionViews(), ask)
		if err == nil && d == nil {
			err = f.unknown(RoleDiffusion, names(f.reg.Diffusion()))
		}
		return found[Denoiser]{d, fam}, err
	})
	return d.value, d.family, err
}

// prefixes under which the tensors of a diffusion model are found in checkpoints. The one under which most tensors lie
// counts, if there are more than a handful. Upstream: unet_prefix_from_state_dict.
var diffusionPrefixes = []string{"model.diffusion_model.", "model.model.", "net."}

// furtherPrefixes are the prefixes of files that hold a diffusion model alone.
var furtherPrefixes = []string{"", "diffusion_model.", "model.", "transformer.", "unet."}

// handful is the number of tensors under a prefix that are too few for a model.
const handful = 5

func (f *File) diffusionViews() []weights.Source {
	var out []weights.Source
	for _, v := range f.views {
		out = append(out, diffusionViews(v)...)
	}
	return out
}

func diffusionViews(src weights.Source) []weights.Source {
	best, most := "", handful
	for _, p := range diffusionPrefixes {
		n := 0
		for _, name := range src.Names() {
			if strings.HasPrefix(name, p) {
				n++
			}
		}
		if n > most {
			best, most = p, n
		}
	}
	if best != "" {
		return []weights.Source{weights.Sub(src, best)}
	}
	var views []weights.Source
	for _, p := range furtherPrefixes {
		if p == "" || slices.ContainsFunc(src.Names(), func(n string) bool { return strings.HasPrefix(n, p) }) {
			views = append(views, weights.Sub(src, p))
		}
	}
	return views
}

// vaePrefixes are the prefixes of VAEs in checkpoints and alone.
var vaePrefixes = []string{"first_stage_model.", "vae.", "conditioner.embedders.1.encoder.", "pretransform.model.", ""}

// AudioVAE returns the VAE of audio in the file, which may be a checkpoint with one of images or videos beside it; an *UnknownError when it holds
// none.
func (f *File) AudioVAE() (Autoencoder, error) {
	return f.sound.get(func() (Autoencoder, error) {
		v, _, err := read(f, RoleVAE, f.reg.VAEs(), f.under([]string{""}), func(k VAE, src weights.Source) (Autoencoder, error) {
			v, err := k.Read(src)
			if err == nil && v != nil && v.Info().Audio == nil {
				return nil, nil
			}
			return v, err
		})
		if err == nil && v == nil {
			err = f.unknown(RoleVAE, names(f.reg.VAEs()))
		}
		return v, err
	})
}

// under returns the views of the file below each of the prefixes.
func (f *File) under(prefixes []string) []weights.Source {
	var out []weights.Source
	for _, v := range f.views {
		for _, p := range prefixes {
			if p == "" || slices.ContainsFunc(v.Names(), func(n string) bool { return strings.HasPrefix(n, p) }) {
				out = append(out, weights.Sub(v, p))
			}
		}
	}
	return out
}

// NoVAE returns the error for a file without a VAE: it states what the file holds instead.
func (f *File) NoVAE() *UnknownError { return f.unknown(RoleVAE, names(f.reg.VAEs())) }

// VAE returns the VAE of the file, or nil if it holds none; see NoVAE.
func (f *File) VAE() (Autoencoder, error) {
	return f.vae.get(func() (Autoencoder, error) {
		v, _, err := read(f, RoleVAE, f.reg.VAEs(), f.under(vaePrefixes), VAE.Read)
		return v, err
	})
}

// Control returns the ControlNet of the file; an *UnknownError when it holds none.
func (f *File) Control() (ControlNetwork, error) {
	return f.control.get(func() (ControlNetwork, error) {
		c, _, err := read(f, RoleControl, f.reg.Controls(), f.views, Control.Read)
		if err == nil && c == nil {
			err = f.unknown(RoleControl, names(f.reg.Controls()))
		}
		return c, err
	})
}

// ModelPatch returns the model patch of the file; an *UnknownError when it holds none.
func (f *File) ModelPatch() (PatchNetwork, error) {
	return f.patch.get(func() (PatchNetwork, error) {
		p, _, err := read(f, RolePatch, f.reg.ModelPatches(), f.views, ModelPatch.ReadPatch)
		if err == nil && p == nil {
			err = f.unknown(RolePatch, names(f.reg.ModelPatches()))
		}
		return p, err
	})
}

// Upscaler returns the upscale model of the file; an *UnknownError when it holds none.
func (f *File) Upscaler() (UpscaleNetwork, error) {
	return f.upscaler.get(func() (UpscaleNetwork, error) {
		u, _, err := read(f, RoleUpscale, f.reg.Upscalers(), f.views, Upscaler.Read)
		if err == nil && u == nil {
			err = f.unknown(RoleUpscale, names(f.reg.Upscalers()))
		}
		return u, err
	})
}

// Vision returns the image encoder of the file; an *UnknownError when it holds none.
func (f *File) Vision() (ImageEncoder, error) {
	return f.vision.get(func() (ImageEncoder, error) {
		v, _, err := read(f, RoleVision, f.reg.Visions(), f.views, Vision.Read)
		if err == nil && v == nil {
			err = f.unknown(RoleVision, names(f.reg.Visions()))
		}
		return v, err
	})
}

// LatentUpscaler returns the upscale model of latents in the file; an *UnknownError when it holds none.
func (f *File) LatentUpscaler() (LatentUpscaleNetwork, error) {
	return f.latentUp.get(func() (LatentUpscaleNetwork, error) {
		u, _, err := read(f, RoleLatentUpscale, f.reg.LatentUpscalers(), f.views, LatentUpscaler.ReadLatentUpscaler)
		if err == nil && u == nil {
			err = f.unknown(RoleLatentUpscale, names(f.reg.LatentUpscalers()))
		}
		return u, err
	})
}

// Interpolator returns the frame interpolation model of the file; an *UnknownError when it holds none.
func (f *File) Interpolator() (InterpolationNetwork, error) {
	return f.between.get(func() (InterpolationNetwork, error) {
		n, _, err := read(f, RoleInterpolation, f.reg.Interpolators(), f.views, Interpolator.ReadInterpolator)
		if err == nil && n == nil {
			err = f.unknown(RoleInterpolation, names(f.reg.Interpolators()))
		}
		return n, err
	})
}

// OpticalFlow returns the optical flow model of the file; an *UnknownError when it holds none.
func (f *File) OpticalFlow() (FlowNetwork, error) {
	return f.flow.get(func() (FlowNetwork, error) {
		n, _, err := read(f, RoleOpticalFlow, f.reg.OpticalFlows(), f.views, OpticalFlow.ReadOpticalFlow)
		if err == nil && n == nil {
			err = f.unknown(RoleOpticalFlow, names(f.reg.OpticalFlows()))
		}
		return n, err
	})
}

// Geometry returns the geometry model of the file; an *UnknownError when it holds none.
func (f *File) Geometry() (GeometryNetwork, error) {
	return f.geometry.get(func() (GeometryNetwork, error) {
		n, _, err := read(f, RoleGeometry, f.reg.Geometries(), f.views, Geometry.ReadGeometry)
		if err == nil && n == nil {
			err = f.unknown(RoleGeometry, names(f.reg.Geometries()))
		}
		return n, err
	})
}

// Background returns the background removal model of the file; an *UnknownError when it holds none.
func (f *File) Background() (BackgroundNetwork, error) {
	return f.background.get(func() (BackgroundNetwork, error) {
		n, _, err := read(f, RoleBackground, f.reg.Backgrounds(), f.views, Background.ReadBackground)
		if err == nil && n == nil {
			err = f.unknown(RoleBackground, names(f.reg.Backgrounds()))
		}
		return n, err
	})
}

// Faces returns the face landmark model of the file; an *UnknownError when it holds none.
func (f *File) Faces() (FaceNetwork, error) {
	return f.faces.get(func() (FaceNetwork, error) {
		n, _, err := read(f, RoleFace, f.reg.FaceFinders(), f.views, FaceFinder.ReadFaces)
		if err == nil && n == nil {
			err = f.unknown(RoleFace, names(f.reg.FaceFinders()))
		}
		return n, err
	})
}

// Audio returns the audio encoder of the file; an *UnknownError when it holds none.
func (f *File) Audio() (AudioEncoder, error) {
	return f.audio.get(func() (AudioEncoder, error) {
		a, _, err := read(f, RoleAudio, f.reg.Audios(), f.views, Audio.Read)
		if err == nil && a == nil {
			err = f.unknown(RoleAudio, names(f.reg.Audios()))
		}
		return a, err
	})
}

// Grounding returns the grounding network of the file; an *UnknownError when it holds none.
func (f *File) Grounding() (GroundingNetwork, error) {
	return f.grounding.get(func() (GroundingNetwork, error) {
		g, _, err := read(f, RoleGrounding, f.reg.Groundings(), f.views, Grounding.Read)
		if err == nil && g == nil {
			err = f.unknown(RoleGrounding, names(f.reg.Groundings()))
		}
		return g, err
	})
}

// Identity returns the identity encoder of the file; an *UnknownError when it holds none.
func (f *File) Identity() (IdentityNetwork, error) {
	return f.identity.get(func() (IdentityNetwork, error) {
		n, _, err := read(f, RoleIdentity, f.reg.Identities(), f.views, Identity.ReadIdentity)
		if err == nil && n == nil {
			err = f.unknown(RoleIdentity, names(f.reg.Identities()))
		}
		return n, err
	})
}

// Style returns the style model of the file; an *UnknownError when it holds none.
func (f *File) Style() (StyleNetwork, error) {
	return f.style.get(func() (StyleNetwork, error) {
		s, _, err := read(f, RoleStyle, f.reg.Styles(), f.views, Style.Read)
		if err == nil && s == nil {
			err = f.unknown(RoleStyle, names(f.reg.Styles()))
		}
		return s, err
	})
}

// VisionUnder returns the image encoder whose tensors lie below a prefix of a checkpoint, or nil. A prefix
// ends in "visual." where checkpoints keep the encoder in open_clip's layout.
func (f *File) VisionUnder(prefix string) (ImageEncoder, error) {
	views := f.under([]string{prefix, strings.TrimSuffix(prefix, "visual.")})
	v, _, err := read(f, RoleVision, f.reg.Visions(), views, Vision.Read)
	return v, err
}

// textPrefixes are the prefixes of text encoders of any family in files; see Prefixed.
var textPrefixes = []string{"", "text_encoder.", "text_encoders.", "transformer."}

// Text returns the text encoder of a file that holds it alone; an *UnknownError when it holds none.
func (f *File) Text() (TextEncoder, error) {
	return f.text.get(func() (TextEncoder, error) {
		e, _, err := read(f, RoleText, f.reg.Text(), f.under(f.reg.textPrefixes()), Text.Read)
		if err == nil && e == nil {
			err = f.unknown(RoleText, names(f.reg.Text()))
		}
		return e, err
	})
}

// Bundled returns the text encoders of a checkpoint by key, searched under the prefixes that its diffusion model's family
// gives for each. Missing encoders have no entry.
func (f *File) Bundled(prefixes map[string][]string) (map[string]TextEncoder, error) {
	out := map[string]TextEncoder{}
	for key, list := range prefixes {
		for _, view := range f.bundled(list) {
			e, _, err := read(f, RoleText, f.reg.Text(), []weights.Source{view}, Text.Read)
			if err != nil {
				return nil, err
			}
			if e != nil && e.Key() == key {
				out[key] = e
				break
			}
		}
	}
	return out, nil
}

// bundled is under, with the tokenizers that checkpoints keep beside all of their text encoders.
func (f *File) bundled(prefixes []string) []weights.Source {
	var out []weights.Source
	for _, v := range f.views {
		for _, p := range prefixes {
			if slices.ContainsFunc(v.Names(), func(n string) bool { return strings.HasPrefix(n, p) }) {
				top, _, _ := strings.Cut(p, ".")
				out = append(out, tokenized{weights.Sub(v, p), weights.Sub(v, top+".")})
			}
		}
	}
	return out
}

// tokenized is a text encoder in a checkpoint. Names without a dot, such as "spiece_model", are looked for above, too.
type tokenized struct {
	weights.Source
	above weights.Source
}

// Lookup implements weights.Source.
func (t tokenized) Lookup(name string) (weights.Entry, bool) {
	e, ok := t.Source.Lookup(name)
	if !ok && !strings.Contains(name, ".") {
		return t.above.Lookup(name)
	}
	return e, ok
}

func names[F Family](list []F) []string {
	out := make([]string, len(list))
	for i, f := range list {
		out[i] = f.Name()
	}
	return out
}

// contents lists the top levels of the keys, for a file in which nothing is known.
func contents(src weights.Source) string {
	seen := map[string]int{}
	var order []string
	for _, n := range src.Names() {
		top, _, _ := strings.Cut(n, ".")
		if seen[top]++; seen[top] == 1 {
			order = append(order, top)
		}
	}
	if len(order) == 0 {
		return "the file holds no tensors"
	}
	const most = 12
	more := ""
	if len(order) > most {
		more = fmt.Sprintf(" and %d more groups", len(order)-most)
		order = order[:most]
	}
	parts := make([]string, len(order))
	for i, o := range order {
		parts[i] = fmt.Sprintf("%s (%d)", o, seen[o])
	}
	return fmt.Sprintf("its %d tensors are %s%s", len(src.Names()), strings.Join(parts, ", "), more)
}
