package family

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// KindLoRA is the kind of files that hold adapters (LoRA and its relatives) for a model.
const KindLoRA = "LoRA"

// Description describes a weight file before it runs.
type Description struct {
	// Kinds lists the parts of the file: the names of roles, KindLoRA, or the kind of a family that cannot be run.
	Kinds []string `json:"kinds"`
	// Family is the family of the diffusion model, or else of the first part; "" when it is of none that is known.
	Family string `json:"family"`
	// Runs reports that the file can be used.
	Runs bool `json:"runs"`
	// Why is the reason why the file cannot be used, Advice states what to do.
	Why    string `json:"why,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// Holds reports whether the file holds a part of a kind.
func (d Description) Holds(kind string) bool { return slices.Contains(d.Kinds, kind) }

// String describes the file in one line.
func (d Description) String() string {
	text := strings.Join(d.Kinds, ", ")
	if d.Family != "" {
		text = d.Family + ": " + text
	}
	if !d.Runs {
		if text != "" {
			text += "; "
		}
		text += "cannot be used: " + d.Why
		if d.Advice != "" {
			text += "; " + d.Advice
		}
	}
	return text
}

// part is one part that a file may hold.
type part struct {
	role Role
	// find returns the family that reads the part, or nil if the file does not hold it. An error comes with the family that
	// could not read it.
	find func() (Family, error)
}

// parts lists the possible parts of a file. A ControlNet comes before the diffusion model, of which it resembles one half.
func (f *File) parts() []part {
	return []part{
		finder(f, RoleControl, f.reg.Controls(), f.views, Control.Read),
		finder(f, RolePatch, f.reg.ModelPatches(), f.views, ModelPatch.ReadPatch),
		finder(f, RoleDiffusion, f.reg.Diffusion(), f.diffusionViews(), func(d Diffusion, view weights.Source) (Denoiser, error) { return d.Read(view, f.src) }),
		finder(f, RoleVAE, f.reg.VAEs(), f.under(vaePrefixes), VAE.Read),
		finder(f, RoleText, f.reg.Text(), f.under(f.reg.textPrefixes()), Text.Read),
		finder(f, RoleIdentity, f.reg.Identities(), f.views, Identity.ReadIdentity),
		finder(f, RoleVision, f.reg.Visions(), f.views, Vision.Read),
		finder(f, RoleGrounding, f.reg.Groundings(), f.views, Grounding.Read),
		finder(f, RoleStyle, f.reg.Styles(), f.views, Style.Read),
		finder(f, RoleAudio, f.reg.Audios(), f.views, Audio.Read),
		finder(f, RoleLatentUpscale, f.reg.LatentUpscalers(), f.views, LatentUpscaler.ReadLatentUpscaler),
		finder(f, RoleInterpolation, f.reg.Interpolators(), f.views, Interpolator.ReadInterpolator),
		finder(f, RoleOpticalFlow, f.reg.OpticalFlows(), f.views, OpticalFlow.ReadOpticalFlow),
		finder(f, RoleGeometry, f.reg.Geometries(), f.views, Geometry.ReadGeometry),
		finder(f, RoleBackground, f.reg.Backgrounds(), f.views, Background.ReadBackground),
		finder(f, RoleFace, f.reg.FaceFinders(), f.views, FaceFinder.ReadFaces),
		finder(f, RoleUpscale, f.reg.Upscalers(), f.views, Upscaler.Read),
	}
}

func finder[F Family, T comparable](f *File, role Role, list []F, views []weights.Source, ask func(F, weights.Source) (T, error)) part {
	return part{role, func() (Family, error) {
		_, fam, err := read(f, role, list, views, ask)
		return fam, err
	}}
}

// Describe returns the description of the file. It reads names, shapes and metadata, but no weights.
func (f *File) Describe() Description {
	d := Description{Kinds: []string{}, Runs: true}
	for _, p := range f.parts() {
		fam, err := p.find()
		if fam == nil {
			continue
		}
		d.Kinds = append(d.Kinds, p.role.String())
		if d.Family == "" || p.role == RoleDiffusion {
			d.Family = fam.Name()
		}
		if err != nil && d.Runs {
			d.Runs, d.Why = false, err.Error()
		}
	}
	if !d.Holds(RoleDiffusion.String()) && !d.Holds(RoleControl.String()) {
		f.describeOther(&d)
	}
	if d.Runs {
		f.checkStored(&d)
	}
	return d
}

// describeOther describes a file without a diffusion model: adapters, a model of an unsupported family, or parts that can be
// used by themselves.
func (f *File) describeOther(d *Description) {
	if len(d.Kinds) == 0 {
		if patch.Layers(f.src) > 0 {
			d.Kinds = append(d.Kinds, KindLoRA)
			return
		}
	}
	if u := f.recognise(); u != nil {
		d.Kinds, d.Family, d.Runs = append([]string{u.Kind()}, d.Kinds...), u.Name(), false
		d.Why = fmt.Sprintf("models of the family %s cannot be run yet", u.Name())
		if d.Advice = u.Advice(); d.Advice == "" && u.Kind() == RoleDiffusion.String() {
			d.Advice = "use a model of a family that runs: `comfygo models --families` lists them"
		}
		return
	}
	if len(d.Kinds) == 0 {
		d.Runs, d.Why = false, contents(f.src)
	}
}

// checkStored looks for weights that are stored in a form that cannot be computed with.
func (f *File) checkStored(d *Description) {
	for _, name := range f.src.Names() {
		e, ok := f.src.Lookup(name)
		if !ok {
			continue
		}
		if err := e.Usable(); err != nil && e.Scheme != nil {
			d.Runs, d.Why = false, err.Error()
			return
		}
	}
}

// recognise returns the family that cannot be run of which the file holds a model, or nil.
func (f *File) recognise() Unbuilt {
	for _, view := range f.diffusionViews() {
		for _, u := range f.reg.Unbuilt() {
			if u.Recognise(view) {
				return u
			}
		}
	}
	return nil
}

// unknown returns the error for a file without a part of the role: an *UnknownError that states what the file is instead.
// runs are the supported families of the role.
func (f *File) unknown(role Role, runs []string) *UnknownError {
	e := &UnknownError{Path: f.src.Path(), Role: role.String(), Runs: runs}
	var held []string
	built := false // it holds a diffusion model or a ControlNet that runs
	for _, p := range f.parts() {
		if fam, err := p.find(); fam != nil && err == nil && p.role != role {
			held = append(held, fmt.Sprintf("%s (%s)", p.role, fam.Name()))
			built = built || p.role == RoleDiffusion || p.role == RoleControl
		}
	}
	if len(held) == 0 && patch.Layers(f.src) > 0 {
		e.Holds, e.Advice = "it is a "+KindLoRA, "load it with "+loaders[KindLoRA]
		return e
	}
	if u := f.recognise(); u != nil && !built {
		e.Family, e.Kind, e.Advice = u.Name(), u.Kind(), u.Advice()
		return e
	}
	if len(held) > 0 {
		kind, _, _ := strings.Cut(held[0], " (")
		e.Holds, e.Advice = "it holds a "+strings.Join(held, " and a "), "load it with "+loaders[kind]
		return e
	}
	e.Holds = contents(f.src)
	return e
}

// Loader names the node classes that load a kind of file, such as "VAELoader".
func Loader(kind string) string { return loaders[kind] }

// loaders names the node classes that load a kind of file.
var loaders = map[string]string{
	RoleControl.String():       "ControlNetLoader",
	RolePatch.String():         "ModelPatchLoader",
	RoleDiffusion.String():     "CheckpointLoaderSimple or UNETLoader",
	RoleVAE.String():           "VAELoader",
	RoleText.String():          "CLIPLoader or DualCLIPLoader",
	RoleVision.String():        "CLIPVisionLoader",
	RoleUpscale.String():       "UpscaleModelLoader",
	RoleAudio.String():         "AudioEncoderLoader",
	RoleLatentUpscale.String(): "LatentUpscaleModelLoader",
	RoleInterpolation.String(): "FrameInterpolationModelLoader",
	RoleOpticalFlow.String():   "OpticalFlowLoader",
	RoleBackground.String():    "LoadBackgroundRemovalModel",
	RoleGeometry.String():      "LoadMoGeModel or LoadDA3Model",
	RoleFace.String():          "LoadMediaPipeFaceLandmarker",
	RoleGrounding.String():     "GLIGENLoader",
	RoleStyle.String():         "StyleModelLoader",
	RoleIdentity.String():      "PhotoMakerLoader",
	KindLoRA:                   "LoraLoader or LoraLoaderModelOnly, on top of a model",
}
